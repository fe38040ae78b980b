//! Where state lives: [`Store`], a trait for each aggregate, in memory and in SQLite. A step's changes are saved in one
//! transaction, what is owed included, and whoever waits for them is told only when they survive `kill -9` and a power cut.
//!
//! This crate keeps what it is given and decides nothing: what to change is the domain's word
//! ([`domain::Change`]). Both backends pass one contract suite (`tests/store/contract.rs`) and are compared on random changes.

mod damage;
mod error;
pub mod faulty;
pub mod limits;
mod memory;
mod sqlite;
mod store;
mod times;

pub use damage::Damage;
pub use error::{OpenError, StoreError};
pub use sqlite::{BackupError, Checked, Copied, Restored};
pub use store::{
    Accounts, Answer, Blocks, Cards, Devices, Forgotten, Grants, Invitations, Messages, Outbox,
    Pruned, PushApps, Pushes, Rosters, Sessions, SignIns, Sink, Stats, Store, Stories, Story, Told,
};
pub use times::{BOUNDS as TIME_BOUNDS, Times};

use std::{path::Path, sync::Arc};

/// What a URL names.
enum Place<'u> {
    Memory,
    Sqlite(&'u Path),
}

fn place(url: &str) -> Result<Place<'_>, OpenError> {
    match url.split_once(':') {
        Some(("memory", "")) => Ok(Place::Memory),
        Some(("sqlite", path)) if !path.is_empty() => Ok(Place::Sqlite(Path::new(path))),
        _ => Err(OpenError::BadUrl(url.to_owned())),
    }
}

/// The file of a store that has one.
fn file(url: &str) -> Result<&Path, OpenError> {
    match place(url)? {
        Place::Memory => Err(OpenError::NoFile),
        Place::Sqlite(path) => Ok(path),
    }
}

/// What root makes in the service's directory is the service's, or it could not open it. Whoever is not root may not give files
/// away, and needs not.
pub fn give_to_owner_of_directory(path: &Path) {
    sqlite::give_to_owner_of_directory(path);
}

/// The directory in which a database lies.
pub fn directory_of(path: &Path) -> &Path {
    sqlite::directory_of(path)
}

/// How many octets are free for us where a directory lies.
///
/// # Errors
/// There is no such directory, or it may not be looked at.
pub fn free_space(directory: &Path) -> std::io::Result<u64> {
    sqlite::free_space(directory)
}

/// Opens the store at `url`: `memory:` (gone when the process ends) or `sqlite:PATH` (created if there never was one,
/// brought up to the newest schema if it is older). Reads and writes the disk before it returns; starts the store's
/// threads.
pub fn open(url: &str) -> Result<Arc<dyn Store>, OpenError> {
    match place(url)? {
        Place::Memory => Ok(Arc::new(memory::MemoryStore::default())),
        Place::Sqlite(path) => Ok(Arc::new(sqlite::open(path)?)),
    }
}

/// Copies the store at `url`, of one moment, into a file that is not there yet. Others may use it meanwhile.
pub fn backup(url: &str, to: &Path) -> Result<Copied, BackupError> {
    sqlite::backup(file(url)?, to)
}

/// Puts a backup in the place of the store at `url`, and what was there aside. Nobody may use it: the caller holds the lock of
/// its server.
pub fn restore(url: &str, from: &Path) -> Result<Restored, BackupError> {
    sqlite::restore(file(url)?, from)
}

/// Finishes a restore that was cut short, if there is one. Nobody may use the store.
pub fn finish_restore(url: &str) -> Result<Option<Restored>, BackupError> {
    match place(url)? {
        Place::Memory => Ok(None),
        Place::Sqlite(path) => sqlite::finish(path),
    }
}

/// Reads all of the store at `url` and changes nothing. `None` if there is no database yet. Takes as long as it is large.
pub fn check(url: &str) -> Result<Option<Checked>, OpenError> {
    sqlite::check(file(url)?)
}

/// Reads what a server reads when it starts, looks whether each page is sound, and changes nothing. `None` if there is no database
/// yet. Takes some seconds a gigabyte.
pub fn survey(url: &str) -> Result<Option<Checked>, OpenError> {
    match place(url)? {
        Place::Memory => Ok(None),
        Place::Sqlite(path) => sqlite::survey(path),
    }
}

/// Reads what a server reads when it starts, and changes nothing. `None` if there is no database yet.
pub fn glance(url: &str) -> Result<Option<Checked>, OpenError> {
    match place(url)? {
        Place::Memory => Ok(None),
        Place::Sqlite(path) => sqlite::glance(path),
    }
}

/// Sets aside every row that cannot be read, also those that no start needs. Its schema must be the newest.
pub fn set_aside(url: &str) -> Result<Vec<Damage>, OpenError> {
    sqlite::set_aside(file(url)?)
}
