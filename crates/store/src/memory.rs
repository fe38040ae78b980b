//! The store in memory: for tests, for the simulator and for trying things out. Gone when the process ends; otherwise it
//! keeps every promise of [`Store`], all-or-nothing included.

mod state;
mod table;

use crate::{Answer, Pruned, Snapshot, Stats, Store, StoreError, Story, Unread, limits};
use domain::{
    Address, Change, Device, DeviceId, Message, MessageId, Timestamp, TraceEvent, TrackingId, User,
    change::HistoryEntry,
};
use state::{Owner, State, under};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

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

    fn step(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let inner = &mut *self.lock();
        if inner.closed {
            return Err(StoreError::Closed);
        }
        let done = inner.state.step(changes);
        match done {
            Ok(()) => {
                inner.stats.steps += 1;
                inner.stats.groups += 1;
            }
            Err(_) => inner.stats.failed += 1,
        }
        done
    }

    fn read<T: Send + 'static>(&self, query: impl FnOnce(&State) -> T) -> Answer<T> {
        let inner = self.lock();
        let answer = if inner.closed {
            Err(StoreError::Closed)
        } else {
            Ok(query(&inner.state))
        };
        now(answer)
    }
}

fn now<T: Send + 'static>(answer: Result<T, StoreError>) -> Answer<T> {
    Box::pin(std::future::ready(answer))
}

impl Store for MemoryStore {
    fn commit(&self, changes: Vec<Change>) -> Answer<()> {
        now(self.step(changes))
    }

    fn note(&self, changes: Vec<Change>) {
        if self.step(changes).is_err() {
            self.lock().stats.notes_dropped += 1;
        }
    }

    fn load(&self) -> Answer<Snapshot> {
        self.read(|state| {
            let mut owed: Vec<_> = state.owed.values().cloned().collect();
            owed.sort_by(|a, b| (a.due, &a.id).cmp(&(b.due, &b.id)));
            let mut snapshot = Snapshot {
                users: state.users.values().cloned().collect(),
                devices: state.devices.values().cloned().collect(),
                owed,
                ..Snapshot::default()
            };
            for (owner, length) in queue_lengths(state) {
                match owner {
                    Owner::Device(id) => snapshot.queues.push((id.clone(), length)),
                    Owner::User(address) => snapshot.unclaimed.push((address.clone(), length)),
                }
            }
            snapshot
        })
    }

    fn user(&self, address: &Address) -> Answer<Option<User>> {
        self.read(|state| state.users.get(address).cloned())
    }

    fn users(&self) -> Answer<Vec<User>> {
        self.read(|state| state.users.values().cloned().collect())
    }

    fn device(&self, id: &DeviceId) -> Answer<Option<Device>> {
        self.read(|state| state.devices.get(id).cloned())
    }

    fn devices(&self, user: Option<&Address>) -> Answer<Vec<Device>> {
        self.read(|state| match user {
            None => state.devices.values().cloned().collect(),
            Some(user) => state
                .device_ids(user)
                .filter_map(|id| state.devices.get(id))
                .cloned()
                .collect(),
        })
    }

    fn history(&self, device: &DeviceId, limit: usize) -> Answer<Vec<HistoryEntry>> {
        self.read(|state| {
            let newest_first = state.history.range(under(device)).rev();
            newest_first
                .map(|(_, entry)| entry.clone())
                .take(rows(limit))
                .collect()
        })
    }

    fn queued(&self, device: &DeviceId, limit: usize) -> Answer<Vec<Message>> {
        self.read(|state| waiting(state, device).take(rows(limit)).cloned().collect())
    }

    fn queue_length(&self, device: &DeviceId) -> Answer<u64> {
        self.read(|state| waiting(state, device).count() as u64)
    }

    fn unread(&self, device: &DeviceId) -> Answer<Vec<Unread>> {
        self.read(|state| {
            let mut by_writer: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
            for (place, message) in waiting(state, device).enumerate() {
                by_writer.entry(&message.from).or_insert((place, 0)).1 += 1;
            }
            let mut unread: Vec<_> = by_writer.into_iter().collect();
            unread.sort_by_key(|(_, (place, _))| *place);
            unread
                .into_iter()
                .map(|(from, (_, messages))| Unread {
                    from: from.to_owned(),
                    messages,
                })
                .collect()
        })
    }

    fn message(&self, id: &MessageId) -> Answer<Option<Message>> {
        self.read(|state| message(state, id).cloned())
    }

    fn archive(
        &self,
        user: &Address,
        before: Option<&MessageId>,
        limit: usize,
    ) -> Answer<Vec<Message>> {
        self.read(|state| {
            let end = match before {
                None => u64::MAX,
                Some(id) => state.message_numbers.get(id).copied().unwrap_or(0),
            };
            let party = user.as_str().to_owned();
            state
                .conversations
                .range((party.clone(), 0)..(party, end))
                .rev()
                .filter_map(|((_, number), ())| state.messages.get(number))
                .take(rows(limit))
                .cloned()
                .collect()
        })
    }

    fn trace(&self, id: &str) -> Answer<Vec<TraceEvent>> {
        self.read(|state| {
            let own = state.story_numbers.get(&TrackingId(id.to_owned()));
            let called = state.aliases.range(under(&id.to_owned()));
            let called = called.map(|((_, story), ())| story);
            let stories: BTreeSet<&u64> = own.into_iter().chain(called).collect();
            stories
                .into_iter()
                .flat_map(|story| state.events.range(under(story)))
                .map(|(_, event)| event.clone())
                .take(limits::READ_ROWS)
                .collect()
        })
    }

    fn recent_traces(&self, limit: usize) -> Answer<Vec<Story>> {
        self.read(|state| {
            state
                .stories
                .iter()
                .rev()
                .filter_map(|(number, tracking)| {
                    let mut events = state.events.range(under(number)).map(|(_, event)| event);
                    let first = events.next()?;
                    Some(Story {
                        tracking: tracking.clone(),
                        began: first.at,
                        first: first.step,
                        summary: first.detail.clone(),
                        last: events.next_back().unwrap_or(first).step,
                    })
                })
                .take(rows(limit))
                .collect()
        })
    }

    fn prune(&self, before: Timestamp) -> Answer<Pruned> {
        let mut inner = self.lock();
        if inner.closed {
            return now(Err(StoreError::Closed));
        }
        now(Ok(inner.state.prune(before)))
    }

    fn changed_elsewhere(&self) -> Answer<bool> {
        self.read(|_| false)
    }

    fn stats(&self) -> Stats {
        let inner = self.lock();
        Stats {
            overflowed: inner.state.overflowed,
            ..inner.stats
        }
    }

    fn close(&self) -> Answer<()> {
        self.lock().closed = true;
        now(Ok(()))
    }
}

fn rows(limit: usize) -> usize {
    limit.min(limits::READ_ROWS)
}

fn message<'a>(state: &'a State, id: &MessageId) -> Option<&'a Message> {
    state.messages.get(state.message_numbers.get(id)?)
}

fn waiting<'a>(state: &'a State, device: &DeviceId) -> impl Iterator<Item = &'a Message> {
    state
        .queue
        .range(under(&Owner::Device(device.clone())))
        .filter_map(|(_, id)| message(state, id))
}

fn queue_lengths(state: &State) -> BTreeMap<&Owner, u64> {
    let mut lengths = BTreeMap::new();
    for ((owner, _), _) in state.queue.iter() {
        *lengths.entry(owner).or_default() += 1;
    }
    lengths
}
