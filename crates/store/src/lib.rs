//! Where state lives: [`Store`], a trait for each aggregate, in memory and in SQLite. A step's changes are saved in one
//! transaction, what is owed included, and whoever waits for them is told only when they survive `kill -9` and a power cut.
//!
//! This crate keeps what it is given and decides nothing: what to change is the domain's word
//! ([`domain::Change`]). Both backends pass one contract suite (`tests/store/contract.rs`) and are compared on random changes.

mod error;
pub mod faulty;
pub mod limits;
mod memory;
mod sqlite;
mod store;

pub use error::{OpenError, StoreError};
pub use store::{
    Accounts, Answer, Devices, Messages, Outbox, Pruned, Rosters, Sink, Stats, Store, Stories,
    Story,
};

use std::{path::Path, sync::Arc};

/// Opens the store at `url`: `memory:` (gone when the process ends) or `sqlite:PATH` (created if the file is missing,
/// brought up to the newest schema if it is older). Reads and writes the disk before it returns; starts the store's
/// threads.
pub fn open(url: &str) -> Result<Arc<dyn Store>, OpenError> {
    match url.split_once(':') {
        Some(("memory", "")) => Ok(Arc::new(memory::MemoryStore::default())),
        Some(("sqlite", path)) if !path.is_empty() => Ok(Arc::new(sqlite::open(Path::new(path))?)),
        _ => Err(OpenError::BadUrl(url.to_owned())),
    }
}
