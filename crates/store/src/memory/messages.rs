//! The archive and the queues.

use super::{
    backend::{MemoryStore, rows},
    state::{State, needs, under},
};
use crate::{Answer, Messages, StoreError};
use domain::{
    Address, ArchivePage, ArchiveQuery, Class, DeviceId, Message, MessageId, Timestamp, Unread,
    archive,
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

    fn unread(&self, device: &DeviceId, message: Option<&MessageId>) -> Answer<Unread> {
        self.read(|state| {
            let number = message.and_then(|id| state.message_numbers.get(id));
            let writer = number.and_then(|number| state.messages.get(number));
            let waiting = state.queue.range(under(device));
            let unread = waiting.filter(|(_, is_read)| !**is_read);
            let unread = unread.filter_map(|((_, number), _)| state.messages.get(number));
            let mut counts = Unread::default();
            for message in unread.filter(|it| it.class == Class::Chat) {
                counts.all += 1;
                counts.of_writer += u32::from(writer.is_some_and(|it| it.from == message.from));
            }
            counts
        })
    }

    fn queued(&self, device: &DeviceId, limit: usize) -> Answer<Vec<Message>> {
        self.read(|state| {
            let waiting = state.queue.range(under(device));
            waiting
                .filter_map(|((_, number), _)| state.messages.get(number))
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
        if !self.queue.has(&(device.clone(), number)) {
            self.queue.put((device, number), false);
        }
        Ok(())
    }

    pub(super) fn enqueue_for_user(
        &mut self,
        user: Address,
        message: &MessageId,
    ) -> Result<(), StoreError> {
        let number = self.number_of(message)?;
        self.needs_user(&user)?;
        if !self.unclaimed.has(&(user.clone(), number)) {
            self.unclaimed.put((user, number), false);
        }
        Ok(())
    }

    /// The first of those that went over, and how many they are.
    pub(super) fn go_over(
        &mut self,
        device: DeviceId,
        message: &MessageId,
    ) -> Result<(), StoreError> {
        let number = self.number_of(message)?;
        self.needs_device(&device)?;
        let (first, messages) = self.overflow.get(&device).copied().unwrap_or((number, 0));
        self.overflow.put(device, (first, messages + 1));
        Ok(())
    }

    pub(super) fn refill(&mut self, device: &DeviceId, most: u64) {
        let Some((first, messages)) = self.overflow.get(device).copied() else {
            return;
        };
        let Some(user) = self.devices.get(device).map(|it| it.user.clone()) else {
            return;
        };
        let theirs = self.archive_of.range((user.clone(), first)..);
        let theirs = theirs.take_while(|((owner, _), ())| *owner == user);
        let got = |number: &u64| self.messages.get(number).is_some_and(|it| it.to == user);
        let theirs = theirs.map(|((_, number), ())| *number).filter(got);
        let found: Vec<u64> = theirs
            .take(usize::try_from(most).unwrap_or(usize::MAX))
            .collect();
        for number in &found {
            let place = (device.clone(), *number);
            if !self.queue.has(&place) {
                self.queue.put(place, false);
            }
        }
        let many = found.len() as u64;
        match found.last() {
            Some(last) if many == most && many < messages => {
                self.overflow
                    .put(device.clone(), (last + 1, messages - many));
            }
            _ => drop(self.overflow.remove(device)),
        }
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
        for (number, is_read) in waiting {
            let place = (device.clone(), number);
            if !self.queue.has(&place) {
                self.queue.put(place, is_read);
            }
        }
        Ok(())
    }

    /// What waits for the device waits for its user.
    pub(super) fn return_queue(&mut self, device: &DeviceId) {
        let Some(user) = self.devices.get(device).map(|device| device.user.clone()) else {
            return;
        };
        for ((_, number), is_read) in self.queue.take_range(under(device)) {
            let place = (user.clone(), number);
            if !self.unclaimed.has(&place) {
                self.unclaimed.put(place, is_read);
            }
        }
    }

    /// What waited for the user, and does not any more.
    pub(super) fn disown(&mut self, user: &Address) -> Vec<(u64, bool)> {
        let waiting = self.unclaimed.take_range(under(user));
        let is_read = |((_, number), is_read)| (number, is_read);
        waiting.into_iter().map(is_read).collect()
    }

    /// A user has read what this writer wrote, up to this message.
    pub(super) fn mark_read(&mut self, user: &Address, writer: &str, up_to: &MessageId) {
        let Some(&last) = self.message_numbers.get(up_to) else {
            return;
        };
        let devices: Vec<_> = self.device_ids(user).cloned().collect();
        for device in devices {
            let waiting = self
                .queue
                .range((device.clone(), 0)..=(device.clone(), last));
            let is_theirs = |number: &u64| {
                let message = self.messages.get(number);
                message.is_some_and(|it| it.from == writer)
            };
            let read = waiting.filter(|((_, number), _)| is_theirs(number));
            let read: Vec<_> = read.map(|(place, _)| place.clone()).collect();
            for place in read {
                self.queue.put(place, true);
            }
        }
    }

    pub(super) fn delivered(&mut self, device: DeviceId, message: &MessageId) {
        if let Some(&number) = self.message_numbers.get(message) {
            self.queue.remove(&(device, number));
        }
    }

    pub(super) fn unclaimed_lengths(&self) -> BTreeMap<Address, u64> {
        let mut lengths = BTreeMap::new();
        for ((user, _), _) in self.unclaimed.iter() {
            *lengths.entry(user.clone()).or_default() += 1;
        }
        lengths
    }

    /// What somebody wrote or got, is in nobody's archive and waits for nobody, goes.
    pub(super) fn forget_messages(&mut self, who: &Address) -> u64 {
        let waiting = self.waiting();
        let is_anybodys = |number: u64, message: &Message| {
            let mut sides = archive::sides(&message.from, &message.to);
            sides.any(|(owner, _)| self.archive_of.has(&(owner, number)))
        };
        let is_theirs = |message: &Message| {
            archive::sides(&message.from, &message.to).any(|(owner, _)| owner == *who)
        };
        let nobodys: Vec<u64> = self
            .messages
            .iter()
            .filter(|(number, message)| {
                is_theirs(message) && !waiting.contains(number) && !is_anybodys(**number, message)
            })
            .map(|(number, _)| *number)
            .collect();
        for number in &nobodys {
            if let Some(message) = self.messages.remove(number) {
                self.message_numbers.remove(&message.id);
                self.forget_story(&message.tracking);
            }
        }
        nobodys.len() as u64
    }

    /// Messages that somebody has not got, wherever they wait.
    fn waiting(&self) -> HashSet<u64> {
        let over = self.overflow.iter().flat_map(|(device, (first, _))| {
            let user = self.devices.get(device).map(|it| it.user.clone());
            let behind = self.messages.range(*first..);
            behind
                .filter(move |(_, message)| Some(&message.to) == user.as_ref())
                .map(|(number, _)| *number)
        });
        let queued = self.queue.iter().map(|((_, number), _)| *number);
        let unclaimed = self.unclaimed.iter().map(|((_, number), _)| *number);
        queued.chain(unclaimed).chain(over).collect()
    }

    pub(super) fn prune_messages(&mut self, before: Timestamp) -> u64 {
        let waiting = self.waiting();
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
