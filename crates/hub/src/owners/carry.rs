//! A step is saved: what it promised is so from now on.

use super::Owners;
use crate::{
    Measure, Output, Showing, messages,
    step::{Deed, Step, Then},
};
use domain::{Address, Class, DeviceId, DoorId, Note, Now, delivery::Stored, push::OwedPush};

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
            Then::Opened(device, open) => self.directory.open(&device, *open),
            Then::Adopted(user, device) => {
                self.directory.adopt(&user, &device);
                self.delivery.adopted(&device);
            }
            Then::Disowned(device) => self.directory.disown(&device),
            Then::Asked(device, expires_at) => self.directory.asked(&device, expires_at),
            Then::Account(user) => self.accounts.put(*user),
            Then::Settled(id) => {
                self.outbox.remove(&id);
            }
            Then::Closed(door) => {
                self.directory.close(&door, now.wall);
                return vec![Output::Closed(vec![door]).into()];
            }
            Then::Left(door) => self.directory.close(&door, now.wall),
            Then::Contact(contact) => return show(self.rosters.put(*contact)),
            Then::NoContact(user, peer) => return show(self.rosters.take(user, peer)),
            Then::Shows(user, peer) => return self.shows(&user, &peer),
            Then::Hides(user, peer) => return self.hides(&user, &peer),
            Then::Say(output) => return vec![(*output).into()],
            Then::Landed(device, messages) => return self.landed(now, &device, messages),
            Then::Stated(device, mode) => return self.state_mode(now, &device, mode),
            Then::Forgotten(device) => return self.forgotten(&device),
            Then::NoAccount(user) => return self.no_account(&user),
            Then::Stored(stored) => return self.stored(now, &stored),
            Then::Owed(push) => return self.owed(now, *push),
            Then::Returned(door, fresh) => return self.returned(now, &door, fresh),
            Then::Note(note) => return vec![Output::Note(note).into()],
            Then::TokenDied => return vec![Output::Measured(Measure::TokenDied).into()],
        }
        Vec::new()
    }

    fn forgotten(&mut self, device: &DeviceId) -> Vec<Deed> {
        let doors = self.directory.remove(device);
        self.device_gone(device);
        vec![Output::Closed(doors).into()]
    }

    fn no_account(&mut self, user: &Address) -> Vec<Deed> {
        self.accounts.remove(user);
        let (devices, doors) = self.directory.remove_user(user);
        for device in devices {
            self.device_gone(&device);
        }
        let mut deeds = self.user_leaves(user);
        deeds.push(Output::Closed(doors).into());
        deeds
    }

    fn stored(&mut self, now: Now, stored: &Stored) -> Vec<Deed> {
        let mut deeds = Vec::new();
        for device in &stored.queued {
            self.directory.count_queued(device, 1);
        }
        if let [only] = &stored.queued[..] {
            self.directory.waits_alone(only);
        }
        if stored.message.class != Class::Transient {
            deeds.push(messages::count("stored"));
            if stored.queued.is_empty() {
                self.directory.count_unclaimed(&stored.message.to, 1);
            }
        }
        let say = |note: &Note| Output::Note(note.clone()).into();
        deeds.extend(stored.notes.iter().map(say));
        for push in &stored.owed {
            self.outbox.insert(push.clone());
        }
        let effects = self.delivery.stored(now, stored);
        deeds.extend(self.deliver(now, effects));
        deeds.extend(self.push_due(now));
        deeds
    }

    fn landed(&mut self, now: Now, device: &DeviceId, messages: usize) -> Vec<Deed> {
        let fewer = i64::try_from(messages).unwrap_or(i64::MAX);
        self.directory.count_queued(device, -fewer);
        let effects = self.delivery.saved(now, device, messages);
        self.deliver(now, effects)
    }

    fn owed(&mut self, now: Now, push: OwedPush) -> Vec<Deed> {
        self.delivery.owed(now, &push);
        self.outbox.insert(push);
        self.push_due(now)
    }

    /// A device came through a door: its messages go to it, and calls that do not know it yet. Where nothing waits there
    /// is nothing to ask the store.
    fn returned(&mut self, now: Now, door: &DoorId, fresh: bool) -> Vec<Deed> {
        let (calls, directory) = (&mut self.calls, &self.directory);
        let Some(entry) = directory.get(&door.device) else {
            return Vec::new();
        };
        let rings = entry.door(door.number).is_some_and(|open| open.rings);
        let mut deeds = if rings {
            calls.opened(now, &entry.device.user, door, fresh, directory)
        } else {
            Vec::new()
        };
        if entry.queued > 0 {
            let window = entry.door(door.number).map_or(0, |open| open.window);
            let window = usize::from(window);
            let effects = self.delivery.returned(now, &door.device, window, fresh);
            deeds.extend(self.deliver(now, effects));
        }
        deeds
    }
}

fn show(showing: Option<Showing>) -> Vec<Deed> {
    let show = |it| Output::Show(Box::new(it)).into();
    showing.into_iter().map(show).collect()
}
