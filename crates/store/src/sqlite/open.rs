//! Opening a database: is it ours, may we, do we know its schema; the settings of each connection.

use super::{
    failure::open_error,
    files,
    migrations::{self, migrate},
};
use crate::{OpenError, limits};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
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
    files::mark(path).map_err(|error| cannot_create(path, &error))?;
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
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
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
    // What is removed is overwritten where that costs no page more (`wiping` does it everywhere).
    connection.pragma_update_and_check(None, "secure_delete", "fast", |_| Ok(()))?;
    connection.pragma_update(None, "journal_size_limit", limits::LOG_BYTES)?;
    connection.pragma_update(None, "wal_autocheckpoint", limits::LOG_PAGES)?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    Ok(())
}

/// Sees to it that there is a database: makes one where none ever was. One that is gone or empty was taken from us, and
/// nobody is to find out by an empty server.
fn create(path: &Path) -> Result<(), OpenError> {
    if files::is_there(&files::pending(path)) {
        return Err(OpenError::RestorePending(path.to_owned()));
    }
    match fs::metadata(path) {
        Ok(file) if file.is_dir() => Err(OpenError::IsDirectory(path.to_owned())),
        Ok(file) if file.len() == 0 => Err(OpenError::Empty(path.to_owned())),
        Ok(_) => Ok(()),
        Err(_) if files::was_there(path) => Err(OpenError::Missing {
            path: path.to_owned(),
            marker: files::marker(path),
        }),
        Err(_) => make(path),
    }
}

/// Counts what this process makes, so that each has a name of its own.
static MADE: AtomicU64 = AtomicU64::new(0);

/// Makes a database under another name, and renames it when it is whole: whoever is killed meanwhile leaves no empty one.
fn make(path: &Path) -> Result<(), OpenError> {
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let made = files::beside(path, &format!(".new-{}-{number}", std::process::id()));
    files::private(&made).map_err(|error| cannot_create(path, &error))?;
    files::give_to_owner_of_directory(&made);
    let fill = || -> rusqlite::Result<()> {
        let mut connection = connect(&made)?;
        migrate(&mut connection, APPLICATION_ID)?;
        connection.close().map_err(|(_, error)| error)
    };
    let filled = fill().map_err(|error| open_error(path, &error));
    let published = filled.and_then(|()| match files::publish(&made, path) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done.map_err(|error| cannot_create(path, &error)),
    });
    // What is left of it is of no use; a second name of what is published is gone already.
    let _ = files::remove(&made);
    published
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

/// A connection that changes nothing, not even by being there: for looking at a database that may be nobody's at the
/// moment, or another user's. `None` if there is no database and there never was.
pub(super) fn for_looking(path: &Path) -> Result<Option<Connection>, OpenError> {
    if files::is_there(&files::pending(path)) {
        return Err(OpenError::RestorePending(path.to_owned()));
    }
    match fs::metadata(path) {
        Ok(file) if file.is_dir() => return Err(OpenError::IsDirectory(path.to_owned())),
        Ok(file) if file.len() == 0 => return Err(OpenError::Empty(path.to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(cannot_create(path, &error));
        }
        Err(_) if files::was_there(path) => {
            return Err(OpenError::Missing {
                path: path.to_owned(),
                marker: files::marker(path),
            });
        }
        Err(_) => return Ok(None),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // Without a log nobody writes, and SQLite would begin one.
    let opened = if files::is_there(&files::beside(path, "-wal")) {
        Connection::open_with_flags(path, flags)
    } else {
        let uri = format!("file:{}?immutable=1", percent_encoded(path));
        Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
    };
    let connection = opened.map_err(|error| open_error(path, &error))?;
    let settled = connection.busy_timeout(limits::BUSY);
    settled.map_err(|error| open_error(path, &error))?;
    identify(&connection, path)?;
    Ok(Some(connection))
}

fn percent_encoded(path: &Path) -> String {
    let octets = path.as_os_str().as_encoded_bytes().iter();
    let encode = |octet: &u8| match octet {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
            char::from(*octet).to_string()
        }
        other => format!("%{other:02X}"),
    };
    octets.map(encode).collect()
}

/// Refuses what we must not touch, before anything is written.
pub(super) fn identify(connection: &Connection, path: &Path) -> Result<(), OpenError> {
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
