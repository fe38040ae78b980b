//! The store in memory: for tests, for the simulator and for trying things out. Gone when the process ends; otherwise it
//! keeps every promise of [`Store`], all-or-nothing included.

mod accounts;
mod devices;
mod messages;
mod outbox;
mod state;
mod stories;
mod table;

use crate::{Answer, Pruned, Sink, Stats, Store, StoreError, limits};
use domain::{Change, Note, Record, Timestamp};
use state::State;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Default)]
pub(crate) struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    state: State,
    closed: bool,
    stats: Stats,
}

impl MemoryStore {
    /// Nothing here panics while it holds the lock; if it did, going on would be better than refusing everybody.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers at once, unless the store is closed.
    fn answer<T: Send + 'static>(&self, ask: impl FnOnce(&mut Inner) -> T) -> Answer<T> {
        let inner = &mut *self.lock();
        let answer = if inner.closed {
            Err(StoreError::Closed)
        } else {
            Ok(ask(inner))
        };
        Box::pin(std::future::ready(answer))
    }

    fn read<T: Send + 'static>(&self, query: impl FnOnce(&State) -> T) -> Answer<T> {
        self.answer(|inner| query(&inner.state))
    }
}

impl Store for MemoryStore {
    fn commit(&self, steps: Vec<Vec<Change>>) -> Answer<Vec<Result<(), StoreError>>> {
        self.answer(|inner| {
            let words: Vec<_> = steps
                .into_iter()
                .map(|step| inner.state.step(step))
                .collect();
            let failed = words.iter().filter(|word| word.is_err()).count() as u64;
            inner.stats.failed += failed;
            inner.stats.steps += words.len() as u64 - failed;
            inner.stats.groups += 1;
            words
        })
    }

    fn note(&self, notes: Vec<Note>) {
        let inner = &mut *self.lock();
        inner.stats.notes_dropped += if inner.closed {
            notes.len() as u64
        } else {
            inner.state.note(notes)
        };
    }

    fn flush(&self) -> Answer<()> {
        self.answer(|_| ())
    }

    fn load(&self, mut sink: Sink) -> Answer<()> {
        self.read(|state| {
            for user in state.users.values() {
                sink(Record::User(user.clone()));
            }
            state.devices_with_what_is_theirs(&mut sink);
            for (user, length) in state.unclaimed_lengths() {
                sink(Record::Unclaimed(user, length));
            }
        })
    }

    fn prune(&self, before: Timestamp) -> Answer<Pruned> {
        self.answer(|inner| inner.state.prune(before))
    }

    fn changed_elsewhere(&self) -> Answer<bool> {
        self.read(|_| false)
    }

    fn stats(&self) -> Stats {
        self.lock().stats
    }

    fn close(&self) -> Answer<()> {
        self.lock().closed = true;
        Box::pin(std::future::ready(Ok(())))
    }
}

fn rows(limit: usize) -> usize {
    limit.min(limits::READ_ROWS)
}
