//! One server a data directory: two would tell each other nothing, and what one promises the other would lose.

use crate::{alarms::Alarm, metrics::Metrics, upkeep::until};
use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::watch, time::interval};

/// How often it is looked whether the locks are there.
const LOOK: Duration = Duration::from_secs(5);

/// Held for as long as the server runs; the system lets go of it when the process ends, however that is.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
    named: Named,
}

/// The file that is locked, and by which name others look for it.
#[derive(Clone, Debug)]
struct Named {
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
}

impl Named {
    fn of(path: &Path, file: &File) -> io::Result<Self> {
        let found = file.metadata()?;
        Ok(Self {
            path: path.to_owned(),
            file: (found.dev(), found.ino()),
        })
    }

    /// Whether who looks for it finds it still.
    fn is_there(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.file)
    }
}

/// Raises the alarm while a lock's file is gone: another server that starts now would not find this one.
pub(crate) fn watch(
    locks: &[Lock],
    metrics: Arc<Metrics>,
    stopped: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + 'static {
    let all: Vec<_> = locks.iter().map(|lock| lock.named.clone()).collect();
    async move {
        let mut looks = interval(LOOK);
        loop {
            tokio::select! {
                () = until(stopped.clone()) => return,
                _ = looks.tick() => {}
            }
            let lost = all.iter().find(|named| !named.is_there());
            let detail = lost.map(|named| named.path.display().to_string());
            let detail = detail.as_deref().unwrap_or_default();
            metrics
                .alarms()
                .set(Alarm::LockLost, lost.is_some(), detail);
        }
    }
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
    let mut written = || -> io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    written().with_context(|| {
        format!(
            "cannot write {}: see that there is space where it lies (`df -h`)",
            path.display()
        )
    })?;
    let named = Named::of(path, &file)?;
    Ok(Lock { _file: file, named })
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
    fn a_lock_whose_file_was_removed_or_made_anew_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reveille.lock");
        let lock = take(&path).unwrap();
        assert!(lock.named.is_there());
        fs::remove_file(&path).unwrap();
        assert!(!lock.named.is_there());
        let _second = take(&path).unwrap();
        assert!(!lock.named.is_there());
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
