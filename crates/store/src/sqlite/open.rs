//! Opening a database: is it ours, may we, do we know its schema; the settings of each connection.

use super::{
    failure::open_error,
    migrations::{self, migrate},
};
use crate::{OpenError, limits};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

/// Marks a database file as Reveille's: `RVLL`.
const APPLICATION_ID: i64 = 0x5256_4c4c;

/// The connection of the writer, with the schema brought up to date. Two may open a new database at one moment: SQLite
/// refuses the second at once where waiting could end in a deadlock, so it begins anew until [`limits::OPEN_BUSY`] is over.
pub(super) fn for_writing(path: &Path) -> Result<Connection, OpenError> {
    create(path)?;
    let until = Instant::now() + limits::OPEN_BUSY;
    loop {
        match prepare(path, until) {
            Err(OpenError::Locked(_)) if Instant::now() < until => {
                thread::sleep(limits::OPEN_PAUSE);
            }
            done => return done,
        }
    }
}

fn prepare(path: &Path, until: Instant) -> Result<Connection, OpenError> {
    let failed = |error| open_error(path, &error);
    let mut connection = connect(path).map_err(failed)?;
    let rest = until.saturating_duration_since(Instant::now());
    connection.busy_timeout(rest).map_err(failed)?;
    identify(&connection, path)?;
    let journal: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(failed)?;
    if journal != "wal" {
        return Err(OpenError::NoWal(path.to_owned()));
    }
    migrate(&mut connection, APPLICATION_ID).map_err(failed)?;
    settings(&connection, limits::CACHE_KIB).map_err(failed)?;
    Ok(connection)
}

/// A connection that only reads. The database exists by then.
pub(super) fn for_reading(path: &Path) -> Result<Connection, OpenError> {
    let open = || {
        let connection = connect(path)?;
        settings(&connection, limits::READER_CACHE_KIB)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    };
    open().map_err(|error| open_error(path, &error))
}

/// Each connection stays on one thread, so SQLite needs no mutexes of its own.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

fn settings(connection: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    connection.busy_timeout(limits::BUSY)?;
    // A statement is planned once and not anew for each value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // FULL: the log is on the disk before a commit is answered. NORMAL would survive kill -9, but a power cut would
    // take back what was answered since the last checkpoint.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "journal_size_limit", limits::LOG_BYTES)?;
    connection.pragma_update(None, "wal_autocheckpoint", limits::LOG_PAGES)?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    Ok(())
}

/// Makes the file if it is missing, for its owner's eyes only: it holds password verifiers and push tokens. SQLite gives
/// the files beside it the same permissions.
fn create(path: &Path) -> Result<(), OpenError> {
    if path.is_dir() {
        return Err(OpenError::IsDirectory(path.to_owned()));
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(cannot_create(path, &error)),
    }
}

fn cannot_create(path: &Path, error: &io::Error) -> OpenError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => OpenError::NoDirectory {
            directory: path.parent().map(PathBuf::from).unwrap_or_default(),
            path,
        },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::Denied(path)
        }
        _ => OpenError::Failed {
            path,
            detail: error.to_string(),
        },
    }
}

/// Refuses what we must not touch, before anything is written.
fn identify(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let number = |sql| {
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .map_err(|error| open_error(path, &error))
    };
    let application = number("PRAGMA application_id")?;
    let empty = number("SELECT COUNT(*) FROM sqlite_schema")? == 0;
    if application != APPLICATION_ID && !empty {
        return Err(OpenError::NotOurs(path.to_owned()));
    }
    let found = number("PRAGMA user_version")?;
    let known = migrations::newest();
    if found > known {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    Ok(())
}
