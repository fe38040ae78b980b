//! What came of reading the configuration again, for whoever asked for it.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::{fmt, pin::Pin, sync::Arc};

/// Reads it again, and says what came of it.
pub type Reloading =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Reloaded>> + Send>> + Send + Sync>;

/// Why something was not taken; all else was.
#[derive(Debug, thiserror::Error)]
#[error("{0} stays as it was, all else is taken")]
pub(crate) struct InPart(pub(crate) &'static str);

/// A key whose value is another one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Changed {
    /// Section and key.
    pub key: String,
    /// What it was.
    pub before: String,
    /// What the file says now.
    pub after: String,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, before, after } = self;
        write!(f, "{key}: {before} -> {after}")
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Reloaded {
    /// What counts from now on.
    pub taken: Vec<Changed>,
    /// What counts after a restart.
    pub needs_restart: Vec<Changed>,
}
