//! A step is saved: what it promised is so from now on.

use super::Owners;
use crate::{
    Measure, Output, Showing, messages,
    step::{Deed, Step, Then, Work},
};
use domain::{Address, Class, DeviceId, DoorId, Note, Now, User, delivery::Stored, push::OwedPush};

impl Owners {
    /// Carries a step out; whoever asked is told first.
    pub(crate) fn carry_out(&mut self, now: Now, step: Step) -> Vec<Deed> {
        let mut deeds: Vec<_> = step.asker.tell(Ok(())).into_iter().collect();
        for then in step.then {
            deeds.extend(self.carry(now, then));
        }
        deeds
    }

    fn carry(&mut self, now: Now, then: Then) -> Vec<Deed> {
        match then {
            Then::Device(device) => self.directory.put(*device),
            Then::Opened(device, open) => {
                self.directory.open(&device, *open);
                return self.telephone_of(now, &device).into_iter().collect();
            }
            Then::Adopted(user, device) => {
                self.directory.adopt(&user, &device);
                self.delivery.adopted(&device);
            }
            Then::Disowned(device) => self.directory.disown(&device),
            Then::Asked(device, expires_at) => self.directory.asked(&device, expires_at),
            Then::Account(user) => return self.account(*user),
            Then::Settled(id) => {
                self.outbox.remove(&id);
            }
            Then::Closed(door) => {
                self.directory.close(&door, now.wall);
                let seen = self.telephone_of(now, &door.device);
                let closed = Output::Closed(vec![door]).into();
                return [closed].into_iter().chain(seen).collect();
            }
            Then::Left(door) => self.directory.close(&door, now.wall),
            Then::Blocks(user, blocks) => self.accounts.put_blocks(user, *blocks),
            Then::Avatar(user, avatar) => self.accounts.put_avatar(user, avatar),
            Then::Contact(contact) => return show(self.rosters.put(*contact)),
            Then::NoContact(user, peer) => return show(self.rosters.take(user, peer)),
            Then::Shows(user, peer) => {
                self.is_looked_at(now, &user);
                return self.shows(&user, &peer);
            }
            Then::Hides(user, peer) => return self.hides(&user, &peer),
            Then::Say(output) => return vec![(*output).into()],
            Then::Landed(device, messages) => return self.landed(now, &device, messages),
            Then::Stated(device, mode) => {
                let mut deeds = self.state_mode(now, &device, mode);
                deeds.extend(self.telephone_of(now, &device));
                return deeds;
            }
            Then::Forgotten(device) => return self.forgotten(now, &device),
            Then::NoAccount(user) => return self.no_account(&user),
            Then::Stored(stored) => return self.stored(now, &stored),
            Then::Read(read) => return self.read(now, &read),
            Then::Owed(push) => return self.owed(now, *push),
            Then::Refilled(device, messages) => return self.refilled(now, &device, messages),
            Then::Returned(door, fresh) => return self.returned(now, &door, fresh),
            Then::Note(note) => return vec![Output::Note(note).into()],
            Then::TokenDied => return vec![Output::Measured(Measure::TokenDied).into()],
        }
        Vec::new()
    }

    fn forgotten(&mut self, now: Now, device: &DeviceId) -> Vec<Deed> {
        let entry = self.directory.get(device);
        let user = entry.map(|entry| entry.device.user.clone());
        let doors = self.directory.remove(device);
        self.device_gone(device);
        let seen = user.and_then(|user| self.telephone_changes(now, &user));
        let closed = Output::Closed(doors).into();
        [closed].into_iter().chain(seen).collect()
    }

    /// Who signs in otherwise from now on is signed out everywhere: when all is done that was asked for before.
    fn account(&mut self, user: User) -> Vec<Deed> {
        let address = user.address.clone();
        let before = self.accounts.get(&address);
        let is_another = before.is_some_and(|before| before.secrets != user.secrets);
        self.accounts.put(user);
        let out = is_another.then(|| Deed::Work(address.clone(), Work::SignOut(address)));
        out.into_iter().collect()
    }

    fn no_account(&mut self, user: &Address) -> Vec<Deed> {
        self.accounts.remove(user);
        self.telephones.remove(user);
        let (devices, doors) = self.directory.remove_user(user);
        for device in devices {
            self.device_gone(&device);
        }
        let mut deeds = self.user_leaves(user);
        deeds.push(Output::SignedOut(user.clone()).into());
        deeds.push(Output::Closed(doors).into());
        deeds
    }

    fn stored(&mut self, now: Now, stored: &Stored) -> Vec<Deed> {
        let mut deeds = Vec::new();
        for device in &stored.queued {
            self.directory.count_queued(device, 1);
        }
        for device in &stored.over {
            self.directory.count_over(device, 1);
        }
        if let ([only], []) = (&stored.queued[..], &stored.over[..]) {
            self.directory.waits_alone(only);
        }
        if stored.message.class != Class::Transient {
            deeds.push(messages::count("stored"));
            if stored.queued.is_empty() && stored.over.is_empty() {
                self.directory.count_unclaimed(&stored.message.to, 1);
            }
        }
        let say = |note: &Note| Output::Note(note.clone()).into();
        deeds.extend(stored.notes.iter().map(say));
        for push in &stored.owed {
            self.outbox.insert(push.clone());
        }
        self.comes(now, stored);
        let effects = self.delivery.stored(now, stored);
        deeds.extend(self.deliver(now, effects));
        let refills = stored.over.iter().filter_map(|it| self.refill(it));
        deeds.extend(refills);
        deeds.extend(self.push_due(now));
        deeds
    }

    fn landed(&mut self, now: Now, device: &DeviceId, messages: usize) -> Vec<Deed> {
        let fewer = i64::try_from(messages).unwrap_or(i64::MAX);
        self.directory.count_queued(device, -fewer);
        let effects = self.delivery.saved(now, device, messages);
        let mut deeds = self.deliver(now, effects);
        deeds.extend(self.refill(device));
        deeds
    }

    /// What went over is taken back, if there is room for it.
    fn refill(&self, device: &DeviceId) -> Option<Deed> {
        let entry = self.directory.get(device)?;
        let user = entry.device.user.clone();
        let has_room = entry.refill(self.messages_per_device) > 0;
        has_room.then(|| Deed::Work(user, Work::Refill(device.clone())))
    }

    fn refilled(&mut self, now: Now, device: &DeviceId, messages: u64) -> Vec<Deed> {
        let messages = i64::try_from(messages).unwrap_or(i64::MAX);
        self.directory.count_over(device, -messages);
        self.directory.count_queued(device, messages);
        let effects = self.delivery.refilled(now, device);
        self.deliver(now, effects)
    }

    fn owed(&mut self, now: Now, push: OwedPush) -> Vec<Deed> {
        self.delivery.owed(now, &push);
        self.is_announced(now, &push);
        self.outbox.insert(push);
        self.push_due(now)
    }

    /// A device came through a door: its messages go to it, and calls that do not know it yet. Where nothing waits there
    /// is nothing to ask the store.
    fn returned(&mut self, now: Now, door: &DoorId, fresh: bool) -> Vec<Deed> {
        self.shown.returned(&door.device);
        let (calls, directory) = (&mut self.calls, &self.directory);
        let Some(entry) = directory.get(&door.device) else {
            return Vec::new();
        };
        let rings = entry.door(door.number).and_then(|open| open.rings);
        let mut deeds = rings.map_or_else(Vec::new, |kind| {
            calls.opened(now, &entry.device.user, (door, kind), fresh, directory)
        });
        if entry.queued > 0 {
            deeds.extend(self.gets_messages(now, (door, fresh)));
        }
        deeds.extend(self.refill(&door.device));
        deeds
    }
}

fn show(showing: Option<Showing>) -> Vec<Deed> {
    let show = |it| Output::Show(Box::new(it)).into();
    showing.into_iter().map(show).collect()
}
