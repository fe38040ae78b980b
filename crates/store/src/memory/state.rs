//! The tables of the memory backend, and steps, which stand or fall as a whole.

use super::table::Table;
use crate::{Pruned, StoreError};
use domain::{
    Address, Change, Device, DeviceId, Door, Message, MessageId, Note, NotificationId, Timestamp,
    TraceEvent, TrackingId, User, change::HistoryEntry, push::OwedPush,
};

/// Everything. Rows that have an order carry a number that only grows.
#[derive(Default)]
pub(super) struct State {
    last_number: u64,
    pub(super) users: Table<Address, User>,
    pub(super) devices: Table<DeviceId, Device>,
    pub(super) devices_of: Table<(Address, DeviceId), ()>,
    pub(super) doors: Table<(DeviceId, u32), Door>,
    pub(super) history: Table<u64, HistoryEntry>,
    pub(super) history_of: Table<(DeviceId, u64), ()>,
    pub(super) messages: Table<u64, Message>,
    pub(super) message_numbers: Table<MessageId, u64>,
    pub(super) queue: Table<(DeviceId, u64), ()>,
    pub(super) unclaimed: Table<(Address, u64), ()>,
    pub(super) owed: Table<NotificationId, OwedPush>,
    pub(super) owed_to: Table<(DeviceId, NotificationId), ()>,
    pub(super) stories: Table<u64, TrackingId>,
    pub(super) story_numbers: Table<TrackingId, u64>,
    pub(super) aliases: Table<(String, u64), ()>,
    pub(super) events: Table<(u64, u64), TraceEvent>,
}

macro_rules! each_table {
    ($state:ident, $do:ident) => {
        $state.users.$do();
        $state.devices.$do();
        $state.devices_of.$do();
        $state.doors.$do();
        $state.history.$do();
        $state.history_of.$do();
        $state.messages.$do();
        $state.message_numbers.$do();
        $state.queue.$do();
        $state.unclaimed.$do();
        $state.owed.$do();
        $state.owed_to.$do();
        $state.stories.$do();
        $state.story_numbers.$do();
        $state.aliases.$do();
        $state.events.$do();
    };
}

/// All numbers of one key.
pub(super) fn under<K: Clone>(key: &K) -> std::ops::RangeInclusive<(K, u64)> {
    (key.clone(), 0)..=(key.clone(), u64::MAX)
}

impl State {
    /// All of a step's changes, or none.
    pub(super) fn step(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        let done = changes
            .into_iter()
            .try_for_each(|change| self.apply(change));
        if done.is_ok() {
            each_table!(self, keep);
        } else {
            each_table!(self, take_back);
        }
        done
    }

    fn apply(&mut self, change: Change) -> Result<(), StoreError> {
        match change {
            Change::PutUser(user) => self.users.put(user.address.clone(), *user),
            Change::RemoveUser(address) => self.remove_user(&address),
            Change::PutDevice(device) => self.put_device(*device)?,
            Change::RemoveDevice(id) => self.remove_device(&id),
            Change::PutDoor(door) => self.put_door(*door)?,
            Change::RemoveDoor(id) => {
                self.doors.remove(&(id.device, id.number));
            }
            Change::Archive(message) => self.archive(&message),
            Change::Enqueue { device, message } => self.enqueue(device, &message)?,
            Change::EnqueueForUser { user, message } => self.enqueue_for_user(user, &message)?,
            Change::AdoptQueue { user, device } => self.adopt(&user, &device)?,
            Change::Delivered { device, message } => self.delivered(device, &message),
            Change::Owe(push) => self.owe(*push)?,
            Change::Settle(id) => self.settle(&id),
        }
        Ok(())
    }

    /// Keeps what can be kept; says how many notes were dropped.
    pub(super) fn note(&mut self, notes: Vec<Note>) -> u64 {
        let mut dropped = 0;
        for note in notes {
            match note {
                Note::Story(event) => self.tell(event),
                Note::History(entry) if self.devices.has(&entry.device) => self.remember(entry),
                Note::History(_) => dropped += 1,
            }
        }
        each_table!(self, keep);
        dropped
    }

    /// Retention, in the order of arrival; what waits for somebody stays.
    pub(super) fn prune(&mut self, before: Timestamp) -> Pruned {
        let pruned = Pruned {
            stories: self.prune_stories(before),
            messages: self.prune_messages(before),
            history: self.prune_history(before),
        };
        each_table!(self, keep);
        pruned
    }

    pub(super) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn needs_user(&self, address: &Address) -> Result<(), StoreError> {
        needs(self.users.has(address), "user", address.as_str())
    }

    pub(super) fn needs_device(&self, id: &DeviceId) -> Result<(), StoreError> {
        needs(self.devices.has(id), "device", id.as_str())
    }
}

pub(super) fn needs(there: bool, kind: &'static str, name: &str) -> Result<(), StoreError> {
    there.then_some(()).ok_or_else(|| StoreError::Missing {
        kind,
        name: name.to_owned(),
    })
}
