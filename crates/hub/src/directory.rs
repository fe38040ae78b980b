//! Who is where: every user's devices with their doors, as the store has them. This is what calls and messages look at.
//! It plans steps and changes nothing until they are saved.

mod entries;
mod entry;
mod plan;
mod pushing;
mod wheel;

use entries::Entries;
pub(crate) use entry::Room;
pub use entry::{Entry, REFRESH_LEAD};
pub(crate) use plan::shown;

use crate::door::OpenDoor;
use domain::{
    Address, AppId, AppProfile, CallKind, Device, DeviceId, DoorId, DoorState, IdMap, Mode,
    Timestamp,
    behaviour::Incoming,
    table::{Index, Place},
    wake::{Candidate, Pushable},
};
use smallvec::SmallVec;
use std::time::Duration;
use wheel::Wheel;

/// Devices looked at in one go; the rest of a crowd comes in the next.
const TURN: usize = 256;

/// All users' devices.
#[derive(Debug)]
pub struct Directory {
    entries: Entries,
    by_id: Index,
    by_user: Index,
    /// Messages that wait for users of whom no device is known.
    unclaimed: IdMap<Address, u64>,
    profiles: IdMap<AppId, AppProfile>,
    wheel: Wheel,
    devices_per_user: usize,
    counts: Counts,
}

/// What is counted as it changes.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Devices with a door.
    pub registered: usize,
    /// Those of them with a dead token.
    pub with_dead_token: usize,
    /// Messages that wait.
    pub queued: u64,
}

/// A device whose time has come.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Due {
    /// These doors of it have expired.
    Expired(Address, Vec<DoorId>),
    /// It is to be asked to register again.
    Refresh(Address, DeviceId),
}

impl Directory {
    /// An empty one that knows these apps.
    pub fn new(profiles: impl IntoIterator<Item = AppProfile>, devices_per_user: usize) -> Self {
        let named = profiles.into_iter().map(|it| (it.app.clone(), it));
        Self {
            entries: Entries::default(),
            by_id: Index::default(),
            by_user: Index::default(),
            unclaimed: IdMap::default(),
            profiles: named.collect(),
            wheel: Wheel::default(),
            devices_per_user,
            counts: Counts::default(),
        }
    }

    /// These apps are known from now on, and so many devices a user. Devices that are there stay.
    pub(crate) fn reconfigure(&mut self, apps: Vec<AppProfile>, devices_per_user: usize) {
        self.profiles = apps.into_iter().map(|it| (it.app.clone(), it)).collect();
        self.devices_per_user = devices_per_user;
    }

    /// A device.
    pub fn get(&self, id: &DeviceId) -> Option<&Entry> {
        self.entries.get(self.place(id)?)
    }

    /// The devices of a user, in the order in which they were first seen.
    pub fn of(&self, user: &Address) -> impl Iterator<Item = &Entry> {
        let mut devices: SmallVec<[(Place, &Entry); 4]> = self
            .by_user
            .places(user)
            .filter_map(|place| Some((place, self.entries.get(place)?)))
            .filter(|(_, entry)| entry.device.user == *user)
            .collect();
        devices.sort_unstable_by_key(|(place, entry)| (entry.device.created_at, *place));
        devices.into_iter().map(|(_, entry)| entry)
    }

    /// How many devices were looked at so far.
    #[cfg(test)]
    pub(crate) fn looks(&self) -> usize {
        self.entries.looks.get()
    }

    /// All devices.
    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// What is counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Messages that wait for a user of whom no device is known.
    pub fn unclaimed(&self, user: &Address) -> u64 {
        self.unclaimed.get(user).copied().unwrap_or_default()
    }

    /// An app that is configured.
    pub fn profile(&self, app: Option<&AppId>) -> Option<&AppProfile> {
        self.profiles.get(app?)
    }

    /// The same app as it is configured, so that its name stands in memory once.
    pub(crate) fn own_app(&self, app: Option<AppId>) -> Option<AppId> {
        let known = self.profile(app.as_ref());
        known.map(|known| known.app.clone()).or(app)
    }

    /// The devices that a call of this kind for a user is for. `wakes_nobody`: why no push is to be sent, if that is so.
    pub(crate) fn candidates(
        &self,
        user: &Address,
        kind: CallKind,
        wakes_nobody: Option<&str>,
    ) -> Vec<Candidate> {
        let candidate = |entry: &Entry| {
            let profile = self.profile(entry.device.app.as_ref());
            let push = match (wakes_nobody, entry.push_target(Incoming::Call, profile)) {
                (Some(why), _) => Pushable::No(why.to_owned()),
                (None, Err(why)) => Pushable::No(why),
                (None, Ok((_, token))) if !entry.takes(kind, token) => {
                    Pushable::No("its app takes no such calls".to_owned())
                }
                (None, Ok(_)) => profile.map_or_else(
                    || Pushable::No("its app is not configured".to_owned()),
                    |profile| Pushable::Yes(entry::platform_rules(profile)),
                ),
            };
            // Who can neither be rung nor woken is no candidate.
            let rings = |door: &&OpenDoor| door.rings == Some(kind);
            let ringing = || entry.doors.iter().filter(rings);
            let stands = ringing().any(|door| !door.is_over);
            let can_come = stands || matches!(push, Pushable::Yes(_));
            can_come.then(|| Candidate {
                device: entry.device.id.clone(),
                mode: entry.mode_of(|door| door.rings == Some(kind)),
                q: ringing().map(|door| door.q).max().unwrap_or(1000),
                push,
            })
        };
        self.of(user).filter_map(candidate).collect()
    }

    /// When [`Directory::due`] has something.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.wheel.next()
    }

    /// The devices whose time has come; at most a few hundred in one go.
    pub(crate) fn due(&mut self, now: Timestamp) -> Vec<Due> {
        let mut due = Vec::new();
        for _ in 0..TURN {
            let Some((place, second)) = self.wheel.due(now) else {
                break;
            };
            let entry = self.entries.get_mut(place);
            let Some(entry) = entry.filter(|entry| entry.filed == second) else {
                continue;
            };
            entry.filed = 0;
            let id = &entry.device.id;
            let over = entry.doors.iter_mut();
            let expired: Vec<_> = over
                .filter(|door| door.expires_at <= now)
                .map(|door| {
                    door.expire();
                    DoorId {
                        device: id.clone(),
                        number: door.number,
                    }
                })
                .collect();
            if !expired.is_empty() {
                due.push(Due::Expired(entry.device.user.clone(), expired));
            } else if entry.refresh_at().is_some_and(|at| at <= now) {
                due.push(Due::Refresh(entry.device.user.clone(), id.clone()));
            }
            // Until what is due has been done it is asked about again, not more than once a second.
            let next = entry.due();
            if let Some(next) = next {
                let soonest = Timestamp(now.0 + 1000);
                entry.filed = self.wheel.file(place, 0, next.max(soonest));
            }
        }
        due
    }

    /// The connection behind a door is gone; what is known of the way now.
    pub(crate) fn door_lost(&mut self, door: &DoorId, state: DoorState) {
        if let Some(open) = self.door_mut(door).filter(|open| open.is_open()) {
            open.state = state;
            open.stated_mode = None;
        }
    }

    /// A provider says that a token is dead: it is not pushed to from now on, whatever becomes of saving that.
    pub(crate) fn token_dies(&mut self, id: &DeviceId, token: &str, since: Option<Timestamp>) {
        if let Some(entry) = self.entry_mut(id) {
            entry.token_dies(token, since);
        }
    }

    /// Takes the client's own statement on its mode: it counts while its doors are up. `false`: no such device.
    pub(crate) fn state_mode(&mut self, device: &DeviceId, mode: Mode) -> bool {
        let Some(entry) = self.entry_mut(device) else {
            return false;
        };
        for door in &mut entry.doors {
            door.stated_mode = Some(mode);
        }
        true
    }

    /// A user does something on a device.
    pub(crate) fn used(&mut self, device: &DeviceId, now: Timestamp) {
        if let Some(entry) = self.entry_mut(device) {
            entry.used_at = Some(now);
        }
    }

    /// Until when a device is left in peace since its user is at another one.
    pub(crate) fn quiet_until(&self, entry: &Entry, idle_after: Duration) -> Option<Timestamp> {
        let others = self.of(&entry.device.user);
        let others = others.filter(|it| it.device.id != entry.device.id);
        let others = others.map(|it| (it.mode(), it.used_at));
        domain::attention::quiet_until(entry.used_at, others, idle_after)
    }

    /// Creates or replaces a device's record, as it is saved.
    pub(crate) fn put(&mut self, device: Device) {
        if let Some(place) = self.place(&device.id) {
            return self.change(place, |entry| entry.replace(device));
        }
        let (id, user) = (device.id.clone(), device.user.clone());
        let place = self.entries.insert(Entry::new(device));
        self.by_id.insert(&id, place);
        self.by_user.insert(&user, place);
    }

    /// A door is open, as it is saved.
    pub(crate) fn open(&mut self, device: &DeviceId, door: OpenDoor) {
        let Some(place) = self.place(device) else {
            return;
        };
        self.change(place, |entry| {
            let number = door.number;
            for token in [
                &mut entry.device.tokens.voip,
                &mut entry.device.tokens.message,
            ] {
                // The record on disk need not know that it was named once more.
                let named = |token: &&mut domain::Token| token.handed.is_through(number);
                if let Some(token) = token.as_mut().filter(named) {
                    token.given_at = token.given_at.max(door.opened_at);
                }
            }
            entry.doors.retain(|open| open.number != number);
            entry.doors.push(door);
        });
    }

    /// A door is gone, as it is saved.
    pub(crate) fn close(&mut self, door: &DoorId, now: Timestamp) {
        if let Some(place) = self.place(&door.device) {
            self.change(place, |entry| {
                entry.device.seen_at = now.min(entry.seen_at().max(entry.device.seen_at));
                entry.doors.retain(|open| open.number != door.number);
            });
        }
    }

    /// The device was asked to register again before it expires then.
    pub(crate) fn asked(&mut self, device: &DeviceId, expires_at: Timestamp) {
        if let Some(place) = self.place(device) {
            self.change(place, |entry| entry.asked_for = expires_at);
        }
    }

    /// Messages came into the queue of a device or left it, as it is saved.
    pub(crate) fn count_queued(&mut self, device: &DeviceId, change: i64) {
        if let Some(entry) = self.entry_mut(device) {
            let before = entry.queued;
            entry.queued = before.saturating_add_signed(change);
            let after = entry.queued;
            entry.alone &= after > 0;
            self.counts.queued = self.counts.queued + after - before;
        }
    }

    /// Messages went over into the archive for a device, or were taken back, as it is saved.
    pub(crate) fn count_over(&mut self, device: &DeviceId, change: i64) {
        if let Some(entry) = self.entry_mut(device) {
            entry.over = entry.over.saturating_add_signed(change);
        }
    }

    /// One more message waits for a user without a device, as it is saved.
    pub(crate) fn count_unclaimed(&mut self, user: &Address, messages: u64) {
        *self.unclaimed.entry(user.clone()).or_default() += messages;
        self.counts.queued += messages;
    }

    /// What waited for the user waits for this device now, as it is saved.
    pub(crate) fn adopt(&mut self, user: &Address, device: &DeviceId) {
        let messages = self.unclaimed.remove(user).unwrap_or_default();
        self.counts.queued -= messages;
        self.count_queued(device, i64::try_from(messages).unwrap_or(i64::MAX));
        self.waits_alone(device);
    }

    /// Something of what waits for this device may wait for no other.
    pub(crate) fn waits_alone(&mut self, device: &DeviceId) {
        if let Some(entry) = self.entry_mut(device) {
            entry.alone = entry.queued > 0;
        }
    }

    /// What waited for the device waits for its user now, as it is saved.
    pub(crate) fn disown(&mut self, device: &DeviceId) {
        let Some(entry) = self.get(device) else {
            return;
        };
        let (user, messages) = (entry.device.user.clone(), entry.queued);
        self.count_queued(device, -i64::try_from(messages).unwrap_or(i64::MAX));
        self.count_unclaimed(&user, messages);
    }

    /// A device is no more. Says which doors went with it.
    pub(crate) fn remove(&mut self, id: &DeviceId) -> Vec<DoorId> {
        let Some(place) = self.place(id) else {
            return Vec::new();
        };
        let Some(entry) = self.entries.remove(place) else {
            return Vec::new();
        };
        self.by_id.remove(id, place);
        self.by_user.remove(&entry.device.user, place);
        if entry.queued > 0 {
            let others: Vec<_> = self
                .of(&entry.device.user)
                .map(|it| it.device.id.clone())
                .collect();
            for other in &others {
                self.waits_alone(other);
            }
        }
        self.uncount(&entry);
        let numbers = entry.doors.iter().map(|door| door.number);
        let door = |number| DoorId {
            device: id.clone(),
            number,
        };
        numbers.map(door).collect()
    }

    /// A user is no more, as it is saved. Says which doors went with their devices, and which devices.
    pub(crate) fn remove_user(&mut self, user: &Address) -> (Vec<DeviceId>, Vec<DoorId>) {
        let devices: Vec<_> = self.of(user).map(|entry| entry.device.id.clone()).collect();
        let doors = devices.iter().flat_map(|id| self.remove(id)).collect();
        if let Some(messages) = self.unclaimed.remove(user) {
            self.counts.queued -= messages;
        }
        (devices, doors)
    }

    fn place(&self, id: &DeviceId) -> Option<Place> {
        let is = |place: &Place| {
            let entry = self.entries.get(*place);
            entry.is_some_and(|entry| entry.device.id == *id)
        };
        self.by_id.places(id).find(is)
    }

    fn entry_mut(&mut self, id: &DeviceId) -> Option<&mut Entry> {
        self.entries.get_mut(self.place(id)?)
    }

    fn door_mut(&mut self, door: &DoorId) -> Option<&mut OpenDoor> {
        let doors = &mut self.entry_mut(&door.device)?.doors;
        doors.iter_mut().find(|open| open.number == door.number)
    }

    /// Changes a device, and counts and files it as it is then.
    fn change(&mut self, place: Place, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.entries.get_mut(place) else {
            return;
        };
        let was = (!entry.doors.is_empty(), entry.has_dead_token());
        change(entry);
        let is = (!entry.doors.is_empty(), entry.has_dead_token());
        if let Some(due) = entry.due() {
            entry.filed = self.wheel.file(place, entry.filed, due);
        }
        let count = |count: usize, was: bool, is: bool| count + usize::from(is) - usize::from(was);
        self.counts.registered = count(self.counts.registered, was.0, is.0);
        self.counts.with_dead_token = count(self.counts.with_dead_token, was.1, is.1);
    }

    fn uncount(&mut self, entry: &Entry) {
        self.counts.registered -= usize::from(!entry.doors.is_empty());
        self.counts.with_dead_token -= usize::from(entry.has_dead_token());
        self.counts.queued -= entry.queued;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_a_user_stand_in_the_order_in_which_they_were_first_seen() {
        let mut directory = Directory::new([], 10);
        let user = |name| Address::new(name, "localhost").unwrap();
        let devices = [
            ("late", "bob", 3),
            ("hers", "carol", 1),
            ("early", "bob", 2),
        ];
        for (id, of, at) in devices {
            directory.put(Device::new(id.into(), user(of), Timestamp(at)));
        }
        let ids = |directory: &Directory| -> Vec<String> {
            let bob = user("bob");
            let devices = directory.of(&bob);
            devices.map(|it| it.device.id.to_string()).collect()
        };
        assert_eq!(ids(&directory), ["early", "late"]);
        directory.remove(&"early".into());
        directory.put(Device::new("new".into(), user("bob"), Timestamp(4)));
        assert_eq!(ids(&directory), ["late", "new"]);
        assert_eq!(directory.of(&user("carol")).count(), 1);
        assert_eq!(directory.of(&user("dave")).count(), 0);
    }
}
