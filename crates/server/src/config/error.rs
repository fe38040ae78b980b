//! What can be wrong with a configuration.

use std::{io, path::PathBuf};

/// What is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {why}. {}", path.display(), way_out(why))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// The file says something that cannot be.
    #[error("{}: {message}{hint}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Line, column and what is wrong.
        message: String,
        /// The key that was meant, perhaps.
        hint: String,
    },
    /// An environment variable says something that cannot be.
    #[error("environment variable {name}: {message}{hint}")]
    Environment {
        /// The variable.
        name: String,
        /// What is wrong.
        message: String,
        /// The key that was meant, perhaps.
        hint: String,
    },
    /// More than one thing is wrong.
    #[error("{}", several(.0))]
    Several(Vec<ConfigError>),
    /// The values do not go together.
    #[error("{key}: {message}")]
    Value {
        /// Section and key.
        key: String,
        /// What is wrong, and what to do.
        message: String,
    },
}

/// A value of this key is wrong.
pub(super) fn wrong(key: &str, message: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        key: key.to_owned(),
        message: message.into(),
    }
}

fn several(errors: &[ConfigError]) -> String {
    let lines = errors.iter().map(ToString::to_string);
    let head = format!("{} things are wrong", errors.len());
    std::iter::once(head)
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n  ")
}

fn way_out(why: &io::Error) -> &'static str {
    match why.kind() {
        io::ErrorKind::PermissionDenied => "Run this as root, or as the user of the server",
        _ => "Write one with `reveille init DIR`, or name another with --config",
    }
}
