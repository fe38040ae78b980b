//! A copy of a database while others use it: of one moment, whole or not there, and read back before it is called one.

use super::{
    failure::open_error,
    files::{self, beside},
    migrations, open,
};
use crate::OpenError;
use rusqlite::Connection;
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// What was copied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Copied {
    /// Its size.
    pub octets: u64,
    /// Its schema.
    pub schema: i64,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// What is to be copied cannot be opened.
    #[error(transparent)]
    Source(#[from] OpenError),
    /// There is no database to copy.
    #[error("{}: there is no database yet: the first start of the server makes it", .0.display())]
    Nothing(PathBuf),
    /// The copy that is to be put in its place is not there.
    #[error("{}: there is no such file: name a backup that `reveille backup` made", .0.display())]
    NoBackup(PathBuf),
    /// It must not overwrite anything.
    #[error("{}: is there already, and nothing is overwritten: name another file, or remove it", .0.display())]
    Exists(PathBuf),
    /// Another one writes the same file.
    #[error("{}: another backup is being written to it: wait for it, or name another file", .0.display())]
    UnderWay(PathBuf),
    /// What was copied is damaged, so a copy is worth nothing.
    #[error("{path}: is damaged and was not copied ({detail}): `reveille restore FILE` with a backup that is whole puts the server right", path = path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// The copy cannot be written.
    #[error("{path}: cannot be written: {detail}: check the directory, its permissions and the space on its disk", path = path.display())]
    Write {
        /// The copy.
        path: PathBuf,
        /// What happened.
        detail: String,
    },
}

/// Copies a database into a file that is not there yet. The server may go on writing: what is copied is one moment.
pub(crate) fn backup(path: &Path, to: &Path) -> Result<Copied, BackupError> {
    if files::is_there(to) {
        return Err(BackupError::Exists(to.to_owned()));
    }
    if open::for_looking(path)?.is_none() {
        return Err(BackupError::Nothing(path.to_owned()));
    }
    let part = Part::begin(to)?;
    let copied = copy(path, &part.path)?;
    match files::publish(&part.path, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(BackupError::Exists(to.to_owned()))
        }
        done => done.map(|()| copied).map_err(cannot_write(to)),
    }
}

/// Copies a database into an empty file, looks whether the copy is good, and waits for the disk.
pub(super) fn copy(path: &Path, into: &Path) -> Result<Copied, BackupError> {
    let failed = |error: rusqlite::Error| copying(path, into, &error);
    let source = open::connect(path).map_err(|error| open_error(path, &error))?;
    source.busy_timeout(crate::limits::BUSY).map_err(failed)?;
    open::identify(&source, path)?;
    let target = into.to_str().ok_or_else(|| BackupError::Write {
        path: into.to_owned(),
        detail: "its name is no UTF-8".to_owned(),
    })?;
    source.execute("VACUUM INTO ?1", [target]).map_err(failed)?;
    drop(source);
    let copied = Connection::open(into).map_err(failed)?;
    let sound: String = copied
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(failed)?;
    if sound != "ok" {
        return Err(BackupError::Damaged {
            path: path.to_owned(),
            detail: sound,
        });
    }
    let schema = migrations::version(&copied).map_err(failed)?;
    copied.close().map_err(|(_, error)| failed(error))?;
    files::sync(into).map_err(cannot_write(into))?;
    let octets = fs::metadata(into).map_err(cannot_write(into))?.len();
    Ok(Copied { octets, schema })
}

fn copying(path: &Path, into: &Path, error: &rusqlite::Error) -> BackupError {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DatabaseLocked, NotADatabase};
    match error.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => OpenError::Locked(path.to_owned()).into(),
        Some(DatabaseCorrupt | NotADatabase) => BackupError::Damaged {
            path: path.to_owned(),
            detail: error.to_string(),
        },
        _ => BackupError::Write {
            path: into.to_owned(),
            detail: error.to_string(),
        },
    }
}

fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |error| BackupError::Write {
        path,
        detail: error.to_string(),
    }
}

/// A copy that is being written: under another name, with a lock by which another one knows of it. What one that was
/// killed has left is written over.
struct Part {
    path: PathBuf,
    _lock: File,
}

impl Part {
    fn begin(to: &Path) -> Result<Self, BackupError> {
        let path = beside(to, ".part");
        let under_way = || BackupError::UnderWay(to.to_owned());
        let file = match files::private(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::OpenOptions::new().write(true).open(&path)
            }
            made => made,
        };
        let file = file.map_err(cannot_write(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(under_way()),
            Err(TryLockError::Error(error)) => return Err(cannot_write(&path)(error)),
        }
        // Whoever had it may have finished between our opening and our locking: then it has its name by now.
        if !is_same(&file, &path) {
            return Err(under_way());
        }
        file.set_len(0).map_err(cannot_write(&path))?;
        files::remove(&beside(&path, "-journal")).map_err(cannot_write(&path))?;
        Ok(Self { path, _lock: file })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Published, or of no use.
        let _ = files::remove(&self.path);
    }
}

fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let of = |it: fs::Metadata| (it.dev(), it.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(file), Ok(path)) => of(file) == of(path),
        _ => false,
    }
}
