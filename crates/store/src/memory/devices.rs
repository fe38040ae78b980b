//! Devices, their doors and their history.

use super::{
    backend::{MemoryStore, rows},
    state::{State, under},
};
use crate::{Answer, Devices, Sink, StoreError};
use domain::{Address, Device, DeviceId, Door, Record, Timestamp, change::HistoryEntry};

impl Devices for MemoryStore {
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

    fn doors(&self, device: &DeviceId) -> Answer<Vec<Door>> {
        self.read(|state| state.doors_of(device).cloned().collect())
    }

    fn history(&self, device: &DeviceId, limit: usize) -> Answer<Vec<HistoryEntry>> {
        self.read(|state| {
            let newest_first = state.history_of.range(under(device)).rev();
            newest_first
                .filter_map(|((_, number), ())| state.history.get(number))
                .take(rows(limit))
                .cloned()
                .collect()
        })
    }
}

impl State {
    pub(super) fn device_ids(&self, user: &Address) -> impl Iterator<Item = &DeviceId> {
        let first = (user.clone(), DeviceId::from(""));
        self.devices_of
            .range(first..)
            .map(|((owner, id), ())| (owner, id))
            .take_while(move |(owner, _)| *owner == user)
            .map(|(_, id)| id)
    }

    fn doors_of(&self, id: &DeviceId) -> impl Iterator<Item = &Door> {
        let all = (id.clone(), 0)..=(id.clone(), u32::MAX);
        self.doors.range(all).map(|(_, door)| door)
    }

    pub(super) fn devices_with_what_is_theirs(&self, sink: &mut Sink) {
        for device in self.devices.values() {
            sink(Record::Device(device.clone()));
            for door in self.doors_of(&device.id) {
                sink(Record::Door(door.clone()));
            }
            let waiting = self.queue.range(under(&device.id)).count() as u64;
            if waiting > 0 {
                sink(Record::Queued(device.id.clone(), waiting));
            }
            if let Some((_, messages)) = self.overflow.get(&device.id) {
                sink(Record::Over(device.id.clone(), *messages));
            }
            for push in self.owed_to(&device.id) {
                sink(Record::Owed(push.clone()));
            }
        }
    }

    pub(super) fn put_device(&mut self, device: Device) -> Result<(), StoreError> {
        self.needs_user(&device.user)?;
        let known = self.devices.get(&device.id);
        if known.is_some_and(|known| known.user != device.user) {
            self.remove_device(&device.id);
        }
        let owner = (device.user.clone(), device.id.clone());
        self.devices_of.put(owner, ());
        self.devices.put(device.id.clone(), device);
        Ok(())
    }

    pub(super) fn remove_device(&mut self, id: &DeviceId) {
        let Some(device) = self.devices.remove(id) else {
            return;
        };
        self.devices_of.remove(&(device.user, id.clone()));
        self.doors
            .remove_range((id.clone(), 0)..=(id.clone(), u32::MAX));
        self.queue.remove_range(under(id));
        self.overflow.remove(id);
        for (_, number) in self.history_of.remove_range(under(id)) {
            self.history.remove(&number);
        }
        self.settle_all(id);
    }

    pub(super) fn put_door(&mut self, door: Door) -> Result<(), StoreError> {
        self.needs_device(&door.id.device)?;
        self.doors
            .put((door.id.device.clone(), door.id.number), door);
        Ok(())
    }

    pub(super) fn remember(&mut self, entry: HistoryEntry) {
        let number = self.number();
        self.history_of.put((entry.device.clone(), number), ());
        self.history.put(number, entry);
    }

    pub(super) fn prune_history(&mut self, before: Timestamp) -> u64 {
        let old: Vec<u64> = self
            .history
            .iter()
            .take_while(|(_, entry)| entry.at < before)
            .map(|(number, _)| *number)
            .collect();
        for number in &old {
            if let Some(entry) = self.history.remove(number) {
                self.history_of.remove(&(entry.device, *number));
            }
        }
        old.len() as u64
    }
}
