//! The store in SQLite: one thread writes ([`writer`]), others read ([`readers`]), through a write-ahead log, so that
//! neither waits for the other. Other processes may open the same file.

mod accounts;
mod apply;
mod archive;
mod backend;
mod backup;
mod blocks;
mod cards;
mod check;
mod columns;
mod database;
mod devices;
mod failure;
mod files;
mod forget;
mod grants;
mod inbox;
mod invitations;
mod job_queue;
mod load;
mod messages;
mod migrations;
mod open;
mod outbox;
mod overflow;
mod probe;
mod push_apps;
mod pushes;
mod readers;
mod restore;
mod retention;
mod rosters;
mod sessions;
mod set_aside;
mod sign_ins;
mod sql;
mod stories;
mod table;
mod wiping;
mod writer;

use crate::{Answer, Damage, Forgotten, OpenError, Pruned, Sink, Stats, Store, StoreError};
use domain::{Change, Note, Timestamp, trace::Named};
use failure::store_error;
use retention::Progress;
use sql::Sql;
use std::{path::Path, sync::Arc};
use writer::Writes;

pub(crate) use backend::SqliteStore;
pub(crate) use backup::backup;
pub use backup::{BackupError, Copied};
pub use check::Checked;
pub(crate) use check::{check, glance, survey};
pub(crate) use files::{directory_of, free_space, give_to_owner_of_directory};
pub use restore::Restored;
pub(crate) use restore::{finish, restore};

/// What the writer is handed goes to the files of its aggregates.
const WRITES: Writes = Writes {
    step: apply::step,
    notes: stories::write,
};

/// Opens a database, or makes one.
pub(crate) fn open(path: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::with(WRITES, path)
}

/// Sets aside every row that cannot be read. The schema must be the newest: the caller has looked.
pub(crate) fn set_aside(path: &Path) -> Result<Vec<Damage>, OpenError> {
    let connection = open::for_writing(path)?;
    let mut database = database::Database::new(&connection);
    let done = database.transaction(Sql::Begin, |database| {
        check::set_aside_unreadable(database.connection(), true)
    });
    done.map_err(|error| OpenError::Failed {
        path: path.to_owned(),
        detail: error.to_string(),
    })
}

impl Store for SqliteStore {
    fn commit(&self, steps: Vec<Vec<Change>>) -> Answer<Vec<Result<(), StoreError>>> {
        self.writer.commit(steps)
    }

    fn note(&self, notes: Vec<Note>) {
        self.writer.note(notes);
    }

    fn flush(&self) -> Answer<()> {
        self.writer.flush()
    }

    fn load(&self, sink: Sink) -> Answer<()> {
        self.readers.ask(|database| load::all(database, sink))
    }

    fn prune(&self, before: Timestamp) -> Answer<Pruned> {
        let writer = Arc::clone(&self.writer);
        Box::pin(async move {
            let mut progress = Progress::default();
            while !progress.done {
                let so_far = progress;
                let bite = writer.work(move |database| {
                    database.transaction(Sql::Begin, |database| {
                        retention::bite(database, before, so_far).map_err(store_error)
                    })
                });
                progress = bite.await?;
            }
            Ok(progress.pruned)
        })
    }

    fn forget(&self, who: &Named) -> Answer<Forgotten> {
        let (writer, who) = (Arc::clone(&self.writer), Arc::new(who.clone()));
        let flushed = self.flush();
        Box::pin(async move {
            // Those notes that could not be written are no reason to keep the others.
            let _ = flushed.await;
            let mut progress = forget::Progress::default();
            while !progress.done {
                let (so_far, who) = (progress, Arc::clone(&who));
                let bite = writer.work(move |database| {
                    database.transaction(Sql::Begin, |database| {
                        forget::bite(database, &who, so_far).map_err(store_error)
                    })
                });
                progress = bite.await?;
            }
            Ok(progress.forgotten)
        })
    }

    fn set_aside(&self) -> Answer<Vec<Damage>> {
        self.writer.work(|database| {
            database.transaction(Sql::Begin, |database| {
                check::set_aside_unreadable(database.connection(), false)
            })
        })
    }

    fn probe(&self) -> Answer<()> {
        self.writer.work(probe::probe)
    }

    fn changed_elsewhere(&self) -> Answer<bool> {
        self.writer.changed_elsewhere()
    }

    fn stats(&self) -> Stats {
        let mut stats = self.writer.stats();
        (stats.unreadable, stats.last_unreadable) = self.readers.unreadable();
        stats.octets = files::octets(&self.path);
        stats
    }

    fn close(&self) -> Answer<()> {
        let closed = self.writer.close(self.readers.close());
        Box::pin(async move {
            closed.await;
            Ok(())
        })
    }
}
