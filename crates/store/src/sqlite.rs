//! The store in SQLite: one thread writes ([`writer`]), others read ([`readers`]), through a write-ahead log, so that
//! neither waits for the other. Other processes may open the same file.

mod accounts;
mod apply;
mod archive;
mod backend;
mod columns;
mod database;
mod devices;
mod failure;
mod inbox;
mod job_queue;
mod load;
mod messages;
mod migrations;
mod open;
mod outbox;
mod readers;
mod retention;
mod rosters;
mod sql;
mod stories;
mod writer;

use crate::{Answer, OpenError, Pruned, Sink, Stats, Store, StoreError};
use domain::{Change, Note, Timestamp};
use failure::store_error;
use retention::Progress;
use sql::Sql;
use std::{path::Path, sync::Arc};
use writer::Writes;

pub(crate) use backend::SqliteStore;

/// What the writer is handed goes to the files of its aggregates.
const WRITES: Writes = Writes {
    step: apply::step,
    notes: stories::write,
};

/// Opens a database, or makes one.
pub(crate) fn open(path: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::with(WRITES, path)
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

    fn changed_elsewhere(&self) -> Answer<bool> {
        self.writer.changed_elsewhere()
    }

    fn stats(&self) -> Stats {
        self.writer.stats()
    }

    fn close(&self) -> Answer<()> {
        let closed = self.writer.close(self.readers.close());
        Box::pin(async move {
            closed.await;
            Ok(())
        })
    }
}
