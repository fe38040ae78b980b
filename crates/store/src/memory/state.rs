//! The tables of the memory backend, and what each change does to them.

use super::table::Table;
use crate::{Pruned, StoreError, limits};
use domain::{
    Address, Change, Device, DeviceId, Message, MessageId, NotificationId, Timestamp, TraceEvent,
    TrackingId, User, change::HistoryEntry, push::OwedPush,
};
use std::collections::HashSet;

/// For whom a message waits.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Owner {
    Device(DeviceId),
    User(Address),
}

/// Everything. Rows that have an order carry a number that only grows.
#[derive(Default)]
pub(super) struct State {
    last_number: u64,
    /// Messages that left a full queue.
    pub(super) overflowed: u64,
    pub(super) users: Table<Address, User>,
    pub(super) devices: Table<DeviceId, Device>,
    pub(super) devices_of: Table<(Address, DeviceId), ()>,
    pub(super) history: Table<(DeviceId, u64), HistoryEntry>,
    pub(super) messages: Table<u64, Message>,
    pub(super) message_numbers: Table<MessageId, u64>,
    /// Numbers of the messages from and to somebody.
    pub(super) conversations: Table<(String, u64), ()>,
    pub(super) queue: Table<(Owner, u64), MessageId>,
    queue_numbers: Table<(Owner, MessageId), u64>,
    pub(super) owed: Table<NotificationId, OwedPush>,
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
        $state.history.$do();
        $state.messages.$do();
        $state.message_numbers.$do();
        $state.conversations.$do();
        $state.queue.$do();
        $state.queue_numbers.$do();
        $state.owed.$do();
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
            Change::PutUser(user) => self.users.put(user.address.clone(), user),
            Change::RemoveUser(address) => self.remove_user(&address),
            Change::PutDevice(device) => self.put_device(*device)?,
            Change::RemoveDevice(id) => self.remove_device(&id),
            Change::History(entry) => {
                self.needs_device(&entry.device)?;
                let number = self.number();
                self.history.put((entry.device.clone(), number), entry);
            }
            Change::Archive(message) => self.archive(message),
            Change::Enqueue { device, message } => {
                self.needs_device(&device)?;
                self.enqueue(&Owner::Device(device), message)?;
            }
            Change::EnqueueForUser { user, message } => {
                self.needs_user(&user)?;
                self.enqueue(&Owner::User(user), message)?;
            }
            Change::AdoptQueue { user, device } => self.adopt(user, device)?,
            Change::Delivered { device, message } => {
                self.unqueue(Owner::Device(device), &message);
            }
            Change::Owe(push) => {
                self.needs_device(&push.device)?;
                self.owed.put(push.id.clone(), push);
            }
            Change::Settle(id) => {
                self.owed.remove(&id);
            }
            Change::Trace(event) => self.trace(event),
        }
        Ok(())
    }

    fn remove_user(&mut self, address: &Address) {
        let ids: Vec<DeviceId> = self.device_ids(address).cloned().collect();
        for id in &ids {
            self.remove_device(id);
        }
        self.clear_queue(&Owner::User(address.clone()));
        self.users.remove(address);
    }

    pub(super) fn device_ids(&self, user: &Address) -> impl Iterator<Item = &DeviceId> {
        let first = (user.clone(), DeviceId(String::new()));
        self.devices_of
            .range(first..)
            .map(|((owner, id), ())| (owner, id))
            .take_while(move |(owner, _)| *owner == user)
            .map(|(_, id)| id)
    }

    fn put_device(&mut self, device: Device) -> Result<(), StoreError> {
        self.needs_user(&device.user)?;
        let changed_hands = self
            .devices
            .get(&device.id)
            .is_some_and(|old| old.user != device.user);
        if changed_hands {
            self.remove_device(&device.id);
        }
        self.devices_of
            .put((device.user.clone(), device.id.clone()), ());
        self.devices.put(device.id.clone(), device);
        Ok(())
    }

    fn remove_device(&mut self, id: &DeviceId) {
        let Some(device) = self.devices.remove(id) else {
            return;
        };
        self.devices_of.remove(&(device.user, id.clone()));
        self.clear_queue(&Owner::Device(id.clone()));
        self.history.remove_range(under(id));
        let owed: Vec<NotificationId> = self
            .owed
            .values()
            .filter(|push| push.device == *id)
            .map(|push| push.id.clone())
            .collect();
        for push in &owed {
            self.owed.remove(push);
        }
    }

    fn archive(&mut self, message: Message) {
        if self.message_numbers.has(&message.id) {
            return;
        }
        let number = self.number();
        self.message_numbers.put(message.id.clone(), number);
        for party in [message.to.as_str(), &message.from] {
            self.conversations.put((party.to_owned(), number), ());
        }
        self.messages.put(number, message);
    }

    fn enqueue(&mut self, owner: &Owner, message: MessageId) -> Result<(), StoreError> {
        if !self.message_numbers.has(&message) {
            return Err(StoreError::Missing {
                kind: "message",
                name: message.0,
            });
        }
        if self.queue_numbers.has(&(owner.clone(), message.clone())) {
            return Ok(());
        }
        let number = self.number();
        self.put_in_queue(owner.clone(), number, message);
        self.shorten(owner);
        Ok(())
    }

    fn put_in_queue(&mut self, owner: Owner, number: u64, message: MessageId) {
        self.queue_numbers
            .put((owner.clone(), message.clone()), number);
        self.queue.put((owner, number), message);
    }

    /// The oldest leave a queue that is too long.
    fn shorten(&mut self, owner: &Owner) {
        let waiting = self.queue.range(under(owner));
        let too_many = waiting
            .clone()
            .count()
            .saturating_sub(limits::QUEUE_PER_DEVICE);
        let oldest: Vec<MessageId> = waiting.map(|(_, id)| id.clone()).take(too_many).collect();
        for message in &oldest {
            self.unqueue(owner.clone(), message);
        }
        self.overflowed += oldest.len() as u64;
    }

    fn adopt(&mut self, user: Address, device: DeviceId) -> Result<(), StoreError> {
        let owner = Owner::User(user);
        let waiting: Vec<(u64, MessageId)> = self
            .queue
            .range(under(&owner))
            .map(|((_, number), message)| (*number, message.clone()))
            .collect();
        if waiting.is_empty() {
            return Ok(());
        }
        self.needs_device(&device)?;
        self.clear_queue(&owner);
        let adopter = Owner::Device(device);
        for (number, message) in waiting {
            if !self.queue_numbers.has(&(adopter.clone(), message.clone())) {
                self.put_in_queue(adopter.clone(), number, message);
            }
        }
        self.shorten(&adopter);
        Ok(())
    }

    fn unqueue(&mut self, owner: Owner, message: &MessageId) {
        let key = (owner, message.clone());
        if let Some(number) = self.queue_numbers.remove(&key) {
            self.queue.remove(&(key.0, number));
        }
    }

    fn clear_queue(&mut self, owner: &Owner) {
        for message in self.queue.remove_range(under(owner)) {
            self.queue_numbers.remove(&(owner.clone(), message));
        }
    }

    fn trace(&mut self, event: TraceEvent) {
        let number = self.number();
        let begun = self.story_numbers.get(&event.tracking).copied();
        let story = begun.unwrap_or(number);
        if begun.is_none() {
            self.story_numbers.put(event.tracking.clone(), story);
            self.stories.put(story, event.tracking.clone());
        }
        if let Some(alias) = &event.alias {
            self.aliases.put((alias.clone(), story), ());
        }
        self.events.put((story, number), event);
    }

    /// Retention, by the same rules as a step: what waits for somebody stays.
    pub(super) fn prune(&mut self, before: Timestamp) -> Pruned {
        let pruned = Pruned {
            stories: self.prune_stories(before),
            messages: self.prune_messages(before),
            history: self.prune_history(before),
        };
        each_table!(self, keep);
        pruned
    }

    fn prune_stories(&mut self, before: Timestamp) -> u64 {
        let old: Vec<u64> = self
            .stories
            .iter()
            .map(|(number, _)| *number)
            .filter(|story| {
                let first = self.events.range(under(story)).next();
                first.is_some_and(|(_, event)| event.at < before)
            })
            .collect();
        for story in &old {
            for event in self.events.remove_range(under(story)) {
                if let Some(alias) = event.alias {
                    self.aliases.remove(&(alias, *story));
                }
            }
            if let Some(tracking) = self.stories.remove(story) {
                self.story_numbers.remove(&tracking);
            }
        }
        old.len() as u64
    }

    fn prune_messages(&mut self, before: Timestamp) -> u64 {
        let waiting: HashSet<&MessageId> = self.queue.values().collect();
        let old: Vec<u64> = self
            .messages
            .iter()
            .filter(|(_, message)| message.at < before && !waiting.contains(&message.id))
            .map(|(number, _)| *number)
            .collect();
        for number in &old {
            if let Some(message) = self.messages.remove(number) {
                self.message_numbers.remove(&message.id);
                for party in [message.to.as_str(), &message.from] {
                    self.conversations.remove(&(party.to_owned(), *number));
                }
            }
        }
        old.len() as u64
    }

    fn prune_history(&mut self, before: Timestamp) -> u64 {
        let old: Vec<(DeviceId, u64)> = self
            .history
            .iter()
            .filter(|(_, entry)| entry.at < before)
            .map(|(key, _)| key.clone())
            .collect();
        for key in &old {
            self.history.remove(key);
        }
        old.len() as u64
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn needs_user(&self, address: &Address) -> Result<(), StoreError> {
        needs(self.users.has(address), "user", address.as_str())
    }

    fn needs_device(&self, id: &DeviceId) -> Result<(), StoreError> {
        needs(self.devices.has(id), "device", &id.0)
    }
}

fn needs(there: bool, kind: &'static str, name: &str) -> Result<(), StoreError> {
    there.then_some(()).ok_or_else(|| StoreError::Missing {
        kind,
        name: name.to_owned(),
    })
}
