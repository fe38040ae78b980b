//! What the store keeps, as a plain model: what is in it survives every restart of the server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::push::OwedPush;
use domain::roster::Contact;
use domain::{
    Address, Change, Device, DeviceId, Door, DoorId, Message, MessageId, NotificationId, Record,
    Timestamp, User,
};

/// Everything that was committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    pub(super) users: BTreeMap<Address, User>,
    pub(super) rosters: BTreeMap<(Address, Address), Contact>,
    pub(super) devices: BTreeMap<DeviceId, Device>,
    pub(super) doors: BTreeMap<(DeviceId, u32), Door>,
    pub(super) owed: BTreeMap<NotificationId, OwedPush>,
    /// The archive, in the order of arrival.
    pub(super) archive: Vec<Arc<Message>>,
    numbers: BTreeMap<MessageId, usize>,
    queues: BTreeSet<(DeviceId, usize)>,
    unclaimed: BTreeSet<(Address, usize)>,
    /// What went from a queue because its device or its user went.
    pub(super) dropped: BTreeSet<MessageId>,
}

/// Whatever a change is about is not there.
#[derive(Debug)]
pub(super) struct Missing;

impl Store {
    /// All of a step's changes, or none.
    pub(super) fn step(&mut self, changes: Vec<Change>) -> Result<(), Missing> {
        let before = self.clone();
        let done = changes.into_iter().try_for_each(|it| self.apply(it));
        if done.is_err() {
            *self = before;
        }
        done
    }

    /// Whom a user knows, by address.
    pub(super) fn roster(&self, user: &Address) -> impl Iterator<Item = &Contact> {
        let of = self.rosters.iter().filter(move |((it, _), _)| it == user);
        of.map(|(_, contact)| contact)
    }

    fn apply(&mut self, change: Change) -> Result<(), Missing> {
        match change {
            Change::PutUser(user) => {
                self.users.insert(user.address.clone(), *user);
            }
            Change::RemoveUser(user) => {
                let theirs = self.devices.values().filter(|it| it.user == user);
                let theirs: Vec<_> = theirs.map(|it| it.id.clone()).collect();
                for device in &theirs {
                    self.remove(device);
                }
                self.users.remove(&user);
                self.rosters.retain(|(of, _), _| *of != user);
                let theirs = self.unclaimed.extract_if(.., |(of, _)| *of == user);
                let theirs: Vec<_> = theirs.map(|(_, number)| number).collect();
                self.drop_messages(&theirs);
            }
            Change::PutContact(contact) => {
                self.users.get(&contact.user).ok_or(Missing)?;
                let key = (contact.user.clone(), contact.peer.clone());
                self.rosters.insert(key, *contact);
            }
            Change::RemoveContact { user, peer } => {
                self.rosters.remove(&(user, peer));
            }
            Change::PutDevice(device) => {
                self.users.get(&device.user).ok_or(Missing)?;
                self.devices.insert(device.id.clone(), *device);
            }
            Change::RemoveDevice(device) => self.remove(&device),
            Change::PutDoor(door) => {
                self.devices.get(&door.id.device).ok_or(Missing)?;
                let key = (door.id.device.clone(), door.id.number);
                self.doors.insert(key, *door);
            }
            Change::RemoveDoor(DoorId { device, number }) => {
                self.doors.remove(&(device, number));
            }
            Change::Archive(message) => {
                if !self.numbers.contains_key(&message.id) {
                    self.numbers.insert(message.id.clone(), self.archive.len());
                    self.archive.push(message);
                }
            }
            Change::Enqueue { device, message } => {
                let number = *self.numbers.get(&message).ok_or(Missing)?;
                self.devices.get(&device).ok_or(Missing)?;
                self.queues.insert((device, number));
            }
            Change::EnqueueForUser { user, message } => {
                let number = *self.numbers.get(&message).ok_or(Missing)?;
                self.users.get(&user).ok_or(Missing)?;
                self.unclaimed.insert((user, number));
            }
            Change::ReturnQueue(device) => self.return_queue(&device),
            Change::AdoptQueue { user, device } => self.adopt(&user, &device)?,
            Change::Delivered { device, message } => {
                if let Some(number) = self.numbers.get(&message) {
                    self.queues.remove(&(device, *number));
                }
            }
            Change::Owe(push) => {
                self.devices.get(&push.device).ok_or(Missing)?;
                self.owed.insert(push.id.clone(), *push);
            }
            Change::Settle(id) => {
                self.owed.remove(&id);
            }
        }
        Ok(())
    }

    fn adopt(&mut self, user: &Address, device: &DeviceId) -> Result<(), Missing> {
        let (theirs, others) = std::mem::take(&mut self.unclaimed)
            .into_iter()
            .partition::<BTreeSet<_>, _>(|(of, _)| of == user);
        self.unclaimed = others;
        if !theirs.is_empty() {
            self.devices.get(device).ok_or(Missing)?;
        }
        let adopted = theirs
            .into_iter()
            .map(|(_, number)| (device.clone(), number));
        self.queues.extend(adopted);
        Ok(())
    }

    fn return_queue(&mut self, device: &DeviceId) {
        let Some(user) = self.devices.get(device).map(|it| it.user.clone()) else {
            return;
        };
        let theirs = self.queues.extract_if(.., |(of, _)| of == device);
        self.unclaimed
            .extend(theirs.map(|(_, number)| (user.clone(), number)));
    }

    fn remove(&mut self, device: &DeviceId) {
        self.devices.remove(device);
        self.doors.retain(|(of, _), _| of != device);
        let theirs = self.queues.extract_if(.., |(of, _)| of == device);
        let theirs: Vec<_> = theirs.map(|(_, number)| number).collect();
        self.drop_messages(&theirs);
        self.owed.retain(|_, push| push.device != *device);
    }

    fn drop_messages(&mut self, numbers: &[usize]) {
        let messages = numbers.iter().filter_map(|it| self.archive.get(*it));
        self.dropped.extend(messages.map(|it| it.id.clone()));
    }

    /// Whether a message waits for a user of whom no device is known.
    pub(super) fn is_unclaimed(&self, message: &MessageId) -> bool {
        let number = self.numbers.get(message);
        let mut all = self.unclaimed.iter();
        number.is_some_and(|number| all.any(|(_, it)| it == number))
    }

    /// The messages that wait for a device.
    pub(super) fn queue(&self, device: &DeviceId) -> impl Iterator<Item = &Arc<Message>> {
        let all = (device.clone(), 0)..=(device.clone(), usize::MAX);
        let numbers = self.queues.range(all).map(|(_, number)| *number);
        numbers.filter_map(|number| self.archive.get(number))
    }

    /// The numbers of a device's doors, with their ends.
    pub(super) fn doors_of(&self, device: &DeviceId) -> Vec<(u32, Timestamp)> {
        let theirs = self.doors.values().filter(|it| it.id.device == *device);
        theirs.map(|it| (it.id.number, it.expires_at)).collect()
    }

    /// Whether a door of a device leads to this place.
    pub(super) fn has_door_to(&self, device: &DeviceId, place: &[u8]) -> bool {
        let mut theirs = self.doors.values().filter(|it| it.id.device == *device);
        theirs.any(|door| door.data.windows(place.len()).any(|it| it == place))
    }

    /// How many messages wait for a user without a device.
    pub(super) fn unclaimed(&self, user: &Address) -> u64 {
        self.unclaimed.iter().filter(|(of, _)| of == user).count() as u64
    }

    /// What a start reads, each record with the user whom it is about; accounts are for all.
    pub(super) fn records(&self) -> Vec<(Option<Address>, Record)> {
        let users = self
            .users
            .values()
            .map(|it| (None, Record::User(it.clone())));
        let mut records: Vec<_> = users.collect();
        for device in self.devices.values() {
            let mut of_device = vec![Record::Device(device.clone())];
            let doors = self.doors.values().filter(|it| it.id.device == device.id);
            of_device.extend(doors.cloned().map(Record::Door));
            let waiting = self.queue(&device.id).count() as u64;
            if waiting > 0 {
                of_device.push(Record::Queued(device.id.clone(), waiting));
            }
            let owed = self.owed.values().filter(|it| it.device == device.id);
            of_device.extend(owed.cloned().map(Record::Owed));
            let user = Some(device.user.clone());
            records.extend(of_device.into_iter().map(|it| (user.clone(), it)));
        }
        for user in self.users.keys() {
            let waiting = self.unclaimed(user);
            if waiting > 0 {
                let unclaimed = Record::Unclaimed(user.clone(), waiting);
                records.push((Some(user.clone()), unclaimed));
            }
        }
        records
    }
}
