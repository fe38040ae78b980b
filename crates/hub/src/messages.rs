//! To whom a message goes, whether there is room for it, and what delivery's effects are in words for the role.

use crate::{
    Measure, Output,
    directory::{Directory, Entry, Room},
    door::OpenDoor,
    pushes,
    step::{Deed, Work},
};
use domain::{
    Address, Class, DeviceId, DoorId, Message, Mode, Now,
    behaviour::Incoming,
    delivery::{Arrival, Delivery, Effect, Recipient, Way, Ways},
    trace::Step,
};
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// Takes a message in; `None` if as many wait for its user as may, on every device.
pub(crate) fn arrived(
    now: Now,
    directory: &Directory,
    delivery: &Delivery,
    message: Arc<Message>,
    (limit, idle_after): (u64, Duration),
) -> Option<Arrival> {
    if message.class != Class::Transient && is_full(directory, &message.to, limit) {
        tracing::warn!(user = %message.to, "limits.messages_per_device is reached on every device: a message is refused");
        return None;
    }
    let recipient = |entry: &Entry| {
        let room = entry.room(limit)?;
        let profile = directory.profile(entry.device.app.as_ref());
        let push = entry.push_target(Incoming::Message, profile).map(drop);
        Some(Recipient {
            is_full: room == Room::Archive,
            device: entry.device.id.clone(),
            mode: mode(entry, push.is_ok() && message.class != Class::Transient),
            way: entry.best_door().map(way),
            quiet_until: directory.quiet_until(entry, idle_after),
            push,
        })
    };
    let recipients = directory.of(&message.to).filter_map(recipient).collect();
    Some(delivery.arrived(now, message, recipients))
}

/// What a device does, as far as a message is concerned: who sleeps with the connection up and is not woken for it has no
/// other way to hear of it (`behaviour.md` 14.11).
fn mode(entry: &Entry, is_woken: bool) -> Mode {
    match entry.mode() {
        Mode::Silent if !is_woken => Mode::Foreground,
        mode => mode,
    }
}

/// Whether every queue that a user's message could wait in is full.
fn is_full(directory: &Directory, user: &Address, limit: u64) -> bool {
    let mut devices = directory.of(user).peekable();
    if devices.peek().is_none() {
        return directory.unclaimed(user) >= limit;
    }
    devices.all(|entry| entry.room(limit).is_none())
}

/// What delivery knows of a door.
fn way(door: &OpenDoor) -> Way {
    Way {
        door: door.number,
        window: usize::from(door.window),
    }
}

impl Ways for Directory {
    fn way(&self, device: &DeviceId, but: &[u32]) -> Option<Way> {
        let door = self
            .get(device)?
            .best_door_of(|door| !but.contains(&door.number));
        door.map(way)
    }

    fn is_open(&self, door: &DoorId) -> bool {
        let entry = self.get(&door.device);
        entry.is_some_and(|it| it.door(door.number).is_some_and(OpenDoor::is_open))
    }
}

/// A device came through a door: what waits for it goes to it, through its best door.
pub(crate) fn returned(
    now: Now,
    directory: &Directory,
    delivery: &mut Delivery,
    (door, fresh): (&DoorId, bool),
) -> Vec<Effect> {
    let entry = directory.get(&door.device);
    // One that has gone again is tried all the same: so it is seen that what waits did not get through.
    let best = entry.and_then(|entry| entry.best_door().or_else(|| entry.door(door.number)));
    let Some(best) = best else {
        return Vec::new();
    };
    delivery.returned(now, directory, (door, fresh), way(best))
}

/// Puts what delivery says into words, and what follows from that.
pub(crate) fn perform(
    now: Now,
    directory: &Directory,
    delivery: &mut Delivery,
    effects: Vec<Effect>,
) -> Vec<Deed> {
    let mut deeds = Vec::new();
    let mut effects = VecDeque::from(effects);
    while let Some(effect) = effects.pop_front() {
        let note = |message: &Message, step, device: &DeviceId, why: String| {
            let note = pushes::story(now.wall, &message.tracking, step, Some(device), why);
            Deed::Say(Output::Note(note))
        };
        match effect {
            Effect::Send(door, message) if directory.is_open(&door) => {
                let sent = note(&message, Step::MessageSent, &door.device, String::new());
                deeds.push(sent);
                deeds.push(Output::Send(door, message).into());
            }
            Effect::Send(door, message) => {
                let (id, why) = (&message.id, "no connection");
                effects.extend(delivery.failed(now, directory, &door, id, why));
            }
            Effect::Relay(device, message) => {
                let door = directory.get(&device).and_then(Entry::way_in);
                deeds.extend(door.map(|door| Output::Relay(door, message).into()));
            }
            Effect::Fetch(device) => deeds.push(Output::Fetch(device).into()),
            Effect::Landed(device, landed) => {
                if let Some(entry) = directory.get(&device) {
                    let user = entry.device.user.clone();
                    deeds.push(Deed::Work(user, Work::Landed(device, vec![landed])));
                }
            }
            Effect::Unacknowledged(device, message, why) => {
                deeds.push(count("unacknowledged"));
                deeds.push(note(&message, Step::MessageUnacknowledged, &device, why));
                if message.class == Class::Chat {
                    let user = message.to.clone();
                    deeds.push(Deed::Work(user, Work::Announce(device, message)));
                }
            }
            Effect::Rerouted(device, message, why) => {
                deeds.push(count("unacknowledged"));
                deeds.push(note(&message, Step::MessageUnacknowledged, &device, why));
            }
            Effect::Hibernate(door) => deeds.push(Output::Hibernate(door).into()),
        }
    }
    deeds
}

/// Counts what became of a message.
pub(crate) fn count(outcome: &'static str) -> Deed {
    Output::Measured(Measure::Message(outcome)).into()
}
