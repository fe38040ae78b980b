//! The pushes that are owed.

use super::{backend::MemoryStore, state::State};
use crate::{Answer, Outbox, StoreError};
use domain::{DeviceId, NotificationId, push::OwedPush};

impl Outbox for MemoryStore {
    fn owed(&self, device: &DeviceId) -> Answer<Vec<OwedPush>> {
        self.read(|state| state.owed_to(device).cloned().collect())
    }
}

impl State {
    pub(super) fn owed_to(&self, device: &DeviceId) -> impl Iterator<Item = &OwedPush> {
        let first = (device.clone(), NotificationId::from(""));
        self.owed_to
            .range(first..)
            .map(|((owner, id), ())| (owner, id))
            .take_while(move |(owner, _)| *owner == device)
            .filter_map(|(_, id)| self.owed.get(id))
    }

    pub(super) fn owe(&mut self, push: OwedPush) -> Result<(), StoreError> {
        self.needs_device(&push.device)?;
        self.settle(&push.id);
        self.owed_to.put((push.device.clone(), push.id.clone()), ());
        self.owed.put(push.id.clone(), push);
        Ok(())
    }

    pub(super) fn settle(&mut self, id: &NotificationId) {
        if let Some(push) = self.owed.remove(id) {
            self.owed_to.remove(&(push.device, push.id));
        }
    }

    /// Nothing is owed to this device any more.
    pub(super) fn settle_all(&mut self, device: &DeviceId) {
        let all: Vec<_> = self.owed_to(device).map(|push| push.id.clone()).collect();
        for id in &all {
            self.settle(id);
        }
    }
}
