//! The tables behind their lock, and how they are asked.

use super::state::State;
use crate::{Answer, Stats, StoreError, limits};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the parent module.
#[derive(Default)]
pub(crate) struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) state: State,
    pub(super) closed: bool,
    pub(super) stats: Stats,
}

impl MemoryStore {
    /// Nothing here panics while it holds the lock; if it did, going on would be better than refusing everybody.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers at once, unless the store is closed.
    pub(super) fn answer<T: Send + 'static>(&self, ask: impl FnOnce(&mut Inner) -> T) -> Answer<T> {
        let inner = &mut *self.lock();
        let answer = if inner.closed {
            Err(StoreError::Closed)
        } else {
            Ok(ask(inner))
        };
        Box::pin(std::future::ready(answer))
    }

    pub(super) fn read<T: Send + 'static>(&self, query: impl FnOnce(&State) -> T) -> Answer<T> {
        self.answer(|inner| query(&inner.state))
    }
}

/// A limit as it is kept to.
pub(super) fn rows(limit: usize) -> usize {
    limit.min(limits::READ_ROWS)
}
