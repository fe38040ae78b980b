//! What a phone goes through, written down with its time, for whoever waits for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use domain::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use crate::phone::PhoneEvent;

/// Entries that a phone keeps; the oldest go first.
const MOST_ENTRIES: usize = 10_000;

/// An event with its time.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Counts a phone's entries, from 0.
    pub seq: u64,
    /// When, by the clock on the wall.
    pub at: Timestamp,
    /// When, for differences.
    #[serde(skip)]
    pub instant: Instant,
    /// What.
    #[serde(flatten)]
    pub event: PhoneEvent,
}

/// A phone's bounded log. Clones share it.
#[derive(Clone)]
pub(super) struct Log {
    kept: Arc<Mutex<VecDeque<Entry>>>,
    /// The number of the next entry.
    next: watch::Sender<u64>,
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            kept: Arc::default(),
            next: watch::Sender::new(0),
        }
    }

    pub(super) fn write(&self, event: PhoneEvent) {
        tracing::debug!(?event, "phone");
        let mut kept = self.kept();
        if kept.len() == MOST_ENTRIES {
            kept.pop_front();
        }
        let seq = *self.next.borrow();
        kept.push_back(Entry {
            seq,
            at: now(),
            instant: Instant::now(),
            event,
        });
        self.next.send_replace(seq + 1);
    }

    pub(super) fn since(&self, seq: u64) -> Vec<Entry> {
        self.kept()
            .iter()
            .filter(|entry| entry.seq >= seq)
            .cloned()
            .collect()
    }

    pub(super) fn position(&self) -> u64 {
        *self.next.borrow()
    }

    /// The first entry from `seq` on that `wanted` takes, waiting for it up to `patience`.
    pub(super) async fn find(
        &self,
        seq: u64,
        patience: Duration,
        mut wanted: impl FnMut(&PhoneEvent) -> bool,
    ) -> Option<Entry> {
        let mut next = self.next.subscribe();
        let mut from = seq;
        let search = async {
            loop {
                next.mark_unchanged();
                let entries = self.since(from);
                if let Some(entry) = entries.iter().find(|entry| wanted(&entry.event)) {
                    return Some(entry.clone());
                }
                from = entries.last().map_or(from, |entry| entry.seq + 1);
                next.changed().await.ok()?;
            }
        };
        tokio::time::timeout(patience, search).await.ok().flatten()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}
