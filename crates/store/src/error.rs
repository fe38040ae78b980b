//! What can go wrong, sorted by who must act. Every text that reaches an operator names the file and a remedy.

use std::path::PathBuf;

/// Why a commit or a read failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// More work waits than [`limits`](crate::limits) allows. The caller should refuse its peer for now.
    #[error("the store has more to do than it can take: try again later")]
    Overloaded,
    /// A change speaks of a user, device or message that does not exist (any more). The caller's picture is out of date.
    #[error("there is no {kind} {name}")]
    Missing {
        /// `user`, `device` or `message`.
        kind: &'static str,
        /// Which.
        name: String,
    },
    /// Another process held the database for longer than [`limits::BUSY`](crate::limits::BUSY).
    #[error("another process keeps the database locked: end it, or try again")]
    Busy,
    /// The disk is full. The operator must act.
    #[error("no space left for the database: free some, then try again")]
    DiskFull,
    /// The database may not be written (any more): a file system that was mounted anew after an error, as a rule. The
    /// operator must act.
    #[error(
        "the database cannot be written: see to its file system and permissions, then try again"
    )]
    ReadOnly,
    /// The database holds what we cannot have written: the disk or another program damaged it. The operator must act.
    #[error(
        "the database is damaged ({0}): `reveille store check` says where, `reveille restore FILE` puts a backup in its place"
    )]
    Damaged(String),
    /// Any other failure of the database, in its own words.
    #[error("the database failed: {0}")]
    Failed(String),
    /// The store was closed, or its thread died.
    #[error("the store is closed")]
    Closed,
}

/// Why a store could not be opened. Each says what the operator can do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither `memory:` nor `sqlite:PATH`.
    #[error("{0:?} names no store: write memory: or sqlite:PATH")]
    BadUrl(String),
    /// What lives in memory has no file.
    #[error("store.url is memory: there is no file to look at, to copy or to replace")]
    NoFile,
    /// The directory of the database is missing.
    #[error("{path}: the directory {directory} does not exist: create it, owned by the user that runs reveille", path = path.display(), directory = directory.display())]
    NoDirectory {
        /// The database.
        path: PathBuf,
        /// The directory that is missing.
        directory: PathBuf,
    },
    /// The path is a directory.
    #[error("{}: is a directory: name a file in it, as sqlite:{}/reveille.db", .0.display(), .0.display())]
    IsDirectory(PathBuf),
    /// The file or its directory may not be read and written.
    #[error("{}: permission denied: the user that runs reveille must be able to write the file and its directory", .0.display())]
    Denied(PathBuf),
    /// The file is there and empty: we never leave one so.
    #[error("{}: is empty, and no database that reveille made ever is: put a backup in its place with `reveille restore FILE`, or remove it to begin with an empty server", .0.display())]
    Empty(PathBuf),
    /// There was a database here, and now there is none.
    #[error("{path}: is missing, though there was a database here: bring it back, or put a backup in its place with `reveille restore FILE`; to begin with an empty server, remove {marker} (and what is left of the old one's log)", path = path.display(), marker = marker.display())]
    Missing {
        /// The database.
        path: PathBuf,
        /// What says that it was there.
        marker: PathBuf,
    },
    /// A backup was to be put in its place, and that was cut short.
    #[error("{}: a backup is being put in its place and that is not finished: `reveille serve` finishes it, and so does `reveille restore --finish`", .0.display())]
    RestorePending(PathBuf),
    /// The file is no SQLite database.
    #[error("{}: is not a SQLite database, or its first page is damaged: put a backup in its place with `reveille restore FILE`, or name another file", .0.display())]
    NotADatabase(PathBuf),
    /// The file is a SQLite database, but another program's.
    #[error("{}: is a database of another program: name another file", .0.display())]
    NotOurs(PathBuf),
    /// A newer version of reveille wrote it.
    #[error("{path}: has schema {found}, and this version of reveille knows schemas up to {known}: install the version that wrote it, or restore the backup from before the update", path = path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this version knows.
        known: i64,
    },
    /// Another process holds it.
    #[error("{}: another process keeps the database locked: end it (`fuser {}` names it), then try again", .0.display(), .0.display())]
    Locked(PathBuf),
    /// The file is damaged.
    #[error("{path}: the database is damaged ({detail}): put a backup in its place with `reveille restore FILE`", path = path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// The file system cannot hold a write-ahead log (a network file system, as a rule).
    #[error("{}: its file system supports no write-ahead log: put it on a local disk", .0.display())]
    NoWal(PathBuf),
    /// Nothing can be written where it lies.
    #[error("{}: no space left where it lies: free some, then try again; the database itself is not damaged by that", .0.display())]
    DiskFull(PathBuf),
    /// Any other failure, in SQLite's or the system's own words.
    #[error("{path}: cannot be opened: {detail}", path = path.display())]
    Failed {
        /// The database.
        path: PathBuf,
        /// What happened.
        detail: String,
    },
}
