//! The archive and the queues.

use super::{
    backend::{MemoryStore, rows},
    state::{State, needs, under},
};
use crate::{Answer, Messages, StoreError};
use domain::{
    Address, ArchivePage, ArchiveQuery, Class, DeviceId, Message, MessageId, Timestamp, archive,
};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

impl Messages for MemoryStore {
    fn message(&self, id: &MessageId) -> Answer<Option<Message>> {
        self.read(|state| {
            let number = state.message_numbers.get(id)?;
            state.messages.get(number).cloned()
        })
    }

    fn archive(&self, user: &Address, query: &ArchiveQuery) -> Answer<Option<ArchivePage>> {
        self.read(|state| {
            let theirs = state.archive_of.range(under(user));
            let theirs = theirs.filter_map(|((_, number), ())| state.messages.get(number));
            let theirs: Vec<_> = theirs.cloned().map(Arc::new).collect();
            query.page(user, &theirs)
        })
    }

    fn queued(&self, device: &DeviceId, limit: usize) -> Answer<Vec<Message>> {
        self.read(|state| {
            let waiting = state.queue.range(under(device));
            waiting
                .filter_map(|((_, number), ())| state.messages.get(number))
                .take(rows(limit))
                .cloned()
                .collect()
        })
    }
}

impl State {
    pub(super) fn archive(&mut self, message: &Message) {
        if self.message_numbers.has(&message.id) {
            return;
        }
        let number = self.number();
        self.message_numbers.put(message.id.clone(), number);
        self.messages.put(number, message.clone());
        if message.class == Class::Transient {
            return;
        }
        for (owner, _) in archive::sides(&message.from, &message.to) {
            if self.users.has(&owner) {
                self.archive_of.put((owner, number), ());
            }
        }
    }

    pub(super) fn enqueue(
        &mut self,
        device: DeviceId,
        message: &MessageId,
    ) -> Result<(), StoreError> {
        let number = self.number_of(message)?;
        self.needs_device(&device)?;
        self.queue.put((device, number), ());
        Ok(())
    }

    pub(super) fn enqueue_for_user(
        &mut self,
        user: Address,
        message: &MessageId,
    ) -> Result<(), StoreError> {
        let number = self.number_of(message)?;
        self.needs_user(&user)?;
        self.unclaimed.put((user, number), ());
        Ok(())
    }

    fn number_of(&self, message: &MessageId) -> Result<u64, StoreError> {
        let number = self.message_numbers.get(message).copied();
        needs(number.is_some(), "message", message.as_str())?;
        Ok(number.unwrap_or_default())
    }

    pub(super) fn adopt(&mut self, user: &Address, device: &DeviceId) -> Result<(), StoreError> {
        let waiting = self.disown(user);
        if !waiting.is_empty() {
            self.needs_device(device)?;
        }
        for number in waiting {
            self.queue.put((device.clone(), number), ());
        }
        Ok(())
    }

    /// What waits for the device waits for its user.
    pub(super) fn return_queue(&mut self, device: &DeviceId) {
        let Some(user) = self.devices.get(device).map(|device| device.user.clone()) else {
            return;
        };
        for (_, number) in self.queue.remove_range(under(device)) {
            self.unclaimed.put((user.clone(), number), ());
        }
    }

    /// What waited for the user, and does not any more.
    pub(super) fn disown(&mut self, user: &Address) -> Vec<u64> {
        let waiting = self.unclaimed.remove_range(under(user));
        waiting.into_iter().map(|(_, number)| number).collect()
    }

    pub(super) fn delivered(&mut self, device: DeviceId, message: &MessageId) {
        if let Some(&number) = self.message_numbers.get(message) {
            self.queue.remove(&(device, number));
        }
    }

    pub(super) fn unclaimed_lengths(&self) -> BTreeMap<Address, u64> {
        let mut lengths = BTreeMap::new();
        for ((user, _), ()) in self.unclaimed.iter() {
            *lengths.entry(user.clone()).or_default() += 1;
        }
        lengths
    }

    pub(super) fn prune_messages(&mut self, before: Timestamp) -> u64 {
        let queued = self.queue.iter().map(|((_, number), ())| number);
        let unclaimed = self.unclaimed.iter().map(|((_, number), ())| number);
        let waiting: HashSet<&u64> = queued.chain(unclaimed).collect();
        let old: Vec<u64> = self
            .messages
            .iter()
            .take_while(|(_, message)| message.at < before)
            .map(|(number, _)| *number)
            .filter(|number| !waiting.contains(number))
            .collect();
        for number in &old {
            if let Some(message) = self.messages.remove(number) {
                self.message_numbers.remove(&message.id);
                for (owner, _) in archive::sides(&message.from, &message.to) {
                    self.archive_of.remove(&(owner, *number));
                }
            }
        }
        old.len() as u64
    }
}
