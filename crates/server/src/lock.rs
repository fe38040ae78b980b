//! One server a data directory: two would tell each other nothing, and what one promises the other would lose.

use anyhow::{Context, Result, bail};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Held for as long as the server runs; the system lets go of it when the process ends, however that is.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// What is locked for a data directory and a database: the directory, and the database where it is kept elsewhere.
fn files(data_dir: &Path, store_url: &str) -> Vec<PathBuf> {
    let mut files = vec![data_dir.join("reveille.lock")];
    if let Some(path) = store_url.strip_prefix("sqlite:").map(Path::new)
        && path.parent() != Some(data_dir)
    {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        files.push(name.into());
    }
    files
}

/// Takes all of them.
///
/// # Errors
/// Another server has one: says which process that is.
pub(crate) fn all(data_dir: &Path, store_url: &str) -> Result<Vec<Lock>> {
    let files = files(data_dir, store_url);
    files.iter().map(|file| take(file)).collect()
}

/// Takes a lock.
///
/// # Errors
/// Another server has it: says which process that is.
fn take(path: &Path) -> Result<Lock> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .with_context(|| {
            format!(
                "cannot open {}: check that the directory exists and this user may write it",
                path.display()
            )
        })?;
    store::give_to_owner_of_directory(path);
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // A server that has just begun has not written it yet.
            let _ = file.read_to_string(&mut text);
            let process = match text.trim() {
                "" => "another process".to_owned(),
                pid => format!("process {pid}"),
            };
            bail!(
                "{process} runs a server with {}: stop it, or give this one a server.data_dir (and store.url) of its own",
                path.parent().unwrap_or(path).display()
            );
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Lock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_told_which_process_has_the_directory() {
        let folder = tempfile::tempdir().unwrap();
        let [path] = &files(folder.path(), "memory:")[..] else {
            panic!("one file");
        };
        let first = take(path).unwrap();
        let refused = take(path).unwrap_err().to_string();
        let process = format!("process {}", std::process::id());
        assert!(refused.contains(&process), "{refused}");
        assert!(refused.contains("server.data_dir"), "{refused}");
        drop(first);
        take(path).unwrap();
    }

    #[test]
    fn a_database_elsewhere_is_locked_as_well() {
        let here = Path::new("/data");
        assert_eq!(files(here, "sqlite:/data/reveille.db").len(), 1);
        assert_eq!(
            files(here, "sqlite:/other/a.db")[1],
            Path::new("/other/a.db.lock")
        );
    }
}
