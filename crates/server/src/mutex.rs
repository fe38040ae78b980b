//! Locks that are held for a look-up only.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What it guards, also where somebody fell over while holding it: nothing is left half done in a look-up.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
