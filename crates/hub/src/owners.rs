//! The owners of a hub's state, side by side. What one says to another goes through here, as values.

mod answers;
mod blocks;
mod cards;
mod carry;
mod guests;
mod inputs;
mod people;
mod plans;
mod read;
mod telephones;

use crate::{
    Accounts,
    calls::Calls,
    directory::Directory,
    messages,
    presences::Presences,
    pushes,
    rosters::Rosters,
    step::{Deed, Work},
    telephones::Telephones,
};
use domain::{
    DeviceId, DoorId, Namer, Now,
    delivery::{Delivery, Effect},
    outbox::Outbox,
    quota::Quota,
    shown::Shown,
};
use std::time::Duration;

/// See above.
#[derive(Debug)]
pub(crate) struct Owners {
    pub(crate) accounts: Accounts,
    pub(crate) directory: Directory,
    pub(crate) calls: Calls,
    pub(crate) delivery: Delivery,
    pub(crate) outbox: Outbox,
    /// What devices show because they were pushed to.
    pub(crate) shown: Shown,
    /// Pushes that are owed, by device.
    pub(crate) owed_quota: Quota<DeviceId>,
    pub(crate) rosters: Rosters,
    pub(crate) presences: Presences,
    pub(crate) telephones: Telephones,
    pub(crate) namer: Namer,
    pub(crate) messages_per_device: u64,
    pub(crate) idle_after: Duration,
}

impl Owners {
    /// Does what is due.
    pub(crate) fn timeout(&mut self, now: Now) -> Vec<Deed> {
        let mut deeds = self.calls.timeout(now, &self.directory);
        let effects = self.delivery.timeout(now, &self.directory);
        deeds.extend(self.deliver(now, effects));
        for due in self.directory.due(now.wall) {
            deeds.push(match due {
                crate::directory::Due::Expired(user, doors) => {
                    Deed::Work(user, Work::Expired(doors))
                }
                crate::directory::Due::Refresh(user, device) => {
                    Deed::Work(user, Work::Refresh(device))
                }
            });
        }
        for (user, broadcast) in self.presences.timeout(now.instant) {
            let work = Work::Broadcast(user.clone(), broadcast);
            deeds.push(Deed::Work(user, work));
        }
        for user in self.telephones.timeout(now.instant) {
            deeds.extend(self.telephone_changes(now, &user));
        }
        deeds.extend(self.push_due(now));
        deeds
    }

    /// A device came through a door; `true`: over another way than before.
    fn gets_messages(&mut self, now: Now, door: (&DoorId, bool)) -> Vec<Deed> {
        let effects = messages::returned(now, &self.directory, &mut self.delivery, door);
        self.deliver(now, effects)
    }

    fn deliver(&mut self, now: Now, effects: Vec<Effect>) -> Vec<Deed> {
        messages::perform(now, &self.directory, &mut self.delivery, effects)
    }

    fn push_due(&mut self, now: Now) -> Vec<Deed> {
        let (quota, idle_after) = (&mut self.owed_quota, self.idle_after);
        let pushes = (&mut self.outbox, &mut self.shown);
        pushes::send_due(now, &self.directory, pushes, quota, idle_after)
    }

    fn device_gone(&mut self, device: &DeviceId) {
        self.delivery.forget(device);
        self.outbox.forget(device);
        self.shown.forget(device);
    }
}
