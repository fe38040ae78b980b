//! What the service has promised to deliver: each push with where it stands, and when its time comes.

use domain::{NotificationId, QueuedPush, SettledPush, TenantId, Timestamp};
use std::collections::{BTreeSet, HashMap};

/// Names a queued push.
pub(crate) type QueueKey = (TenantId, NotificationId);

/// Where a push stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Stand {
    /// Its next attempt is being saved; then it waits for its time.
    Saving,
    /// It waits for its time.
    Waiting,
    /// Its time has come, and it waits for its turn.
    InLine,
    /// It is on its way.
    Flying,
    /// It has ended, which is being saved.
    Settling(Box<SettledPush>),
    /// It has ended, which could not be saved: that is tried again when its time comes.
    Unsaved(Box<SettledPush>),
}

/// A push of the queue.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) queued: QueuedPush,
    pub(crate) state: Stand,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    of: HashMap<QueueKey, Entry>,
    due: BTreeSet<(Timestamp, QueueKey)>,
    /// By when they came.
    ages: BTreeSet<(Timestamp, QueueKey)>,
    per_tenant: HashMap<TenantId, usize>,
}

impl Queue {
    /// How many of a tenant there are.
    pub(crate) fn len_of(&self, tenant: &TenantId) -> usize {
        self.per_tenant.get(tenant).copied().unwrap_or(0)
    }

    pub(crate) fn len(&self) -> usize {
        self.of.len()
    }

    pub(crate) fn get(&self, key: &QueueKey) -> Option<&Entry> {
        self.of.get(key)
    }

    /// One more, or the same as it is now.
    pub(crate) fn put(&mut self, queued: QueuedPush, state: Stand) {
        let key = (queued.tenant.clone(), queued.push.id.clone());
        self.remove(&key);
        *self.per_tenant.entry(key.0.clone()).or_default() += 1;
        if state.waits() {
            self.due.insert((queued.due, key.clone()));
        }
        self.ages.insert((queued.at, key.clone()));
        self.of.insert(key, Entry { queued, state });
    }

    pub(crate) fn remove(&mut self, key: &QueueKey) -> Option<Entry> {
        let entry = self.of.remove(key)?;
        self.due.remove(&(entry.queued.due, key.clone()));
        self.ages.remove(&(entry.queued.at, key.clone()));
        if let Some(count) = self.per_tenant.get_mut(&key.0) {
            *count -= 1;
            if *count == 0 {
                self.per_tenant.remove(&key.0);
            }
        }
        Some(entry)
    }

    /// Since when the oldest is here.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.ages.first().map(|(at, _)| *at)
    }

    /// How many each tenant has, of those that have any.
    pub(crate) fn per_tenant(&self) -> impl Iterator<Item = (&TenantId, usize)> {
        self.per_tenant
            .iter()
            .map(|(tenant, count)| (tenant, *count))
    }

    /// It stands elsewhere now.
    pub(crate) fn set(&mut self, key: &QueueKey, state: Stand) {
        if let Some(entry) = self.of.get_mut(key) {
            let due = (entry.queued.due, key.clone());
            if state.waits() {
                self.due.insert(due);
            } else {
                self.due.remove(&due);
            }
            entry.state = state;
        }
    }

    /// It is due at another time.
    pub(crate) fn set_due(&mut self, key: &QueueKey, due: Timestamp) {
        if let Some(entry) = self.of.get_mut(key) {
            let old = std::mem::replace(&mut entry.queued.due, due);
            if self.due.remove(&(old, key.clone())) {
                self.due.insert((due, key.clone()));
            }
        }
    }

    /// When the next one's time comes.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// One whose time has come.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<QueueKey> {
        self.next_due().filter(|due| *due <= now)?;
        self.due.pop_first().map(|(_, key)| key)
    }

    pub(crate) fn forget_tenant(&mut self, tenant: &TenantId) {
        let gone: Vec<_> = self
            .of
            .keys()
            .filter(|key| key.0 == *tenant)
            .cloned()
            .collect();
        for key in gone {
            self.remove(&key);
        }
    }
}

impl Stand {
    fn waits(&self) -> bool {
        matches!(self, Self::Waiting | Self::Unsaved(_))
    }
}
