//! To whom a message goes, whether there is room for it, and what delivery's effects are in words for the role.

use crate::{
    Measure, Output,
    directory::{Directory, Entry, Room},
    pushes,
    step::{Deed, Work},
};
use domain::{
    Address, Class, DeviceId, Message, Mode, Now,
    behaviour::Incoming,
    delivery::{Arrival, Delivery, Effect, Recipient},
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
            mode: mode(entry, push.is_ok()),
            window: entry.best_door().map_or(0, |door| usize::from(door.window)),
            quiet_until: directory.quiet_until(entry, idle_after),
            push,
        })
    };
    let recipients = directory.of(&message.to).filter_map(recipient).collect();
    Some(delivery.arrived(now, message, recipients))
}

/// What a device does, as far as messages are concerned: who sleeps with the connection up and cannot be woken has no other
/// way to hear of one (`behaviour.md` 14.11).
fn mode(entry: &Entry, can_be_woken: bool) -> Mode {
    match entry.mode() {
        Mode::Silent if !can_be_woken => Mode::Foreground,
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
            Effect::Send(device, message) => match directory.get(&device).and_then(Entry::way_in) {
                Some(door) => {
                    deeds.push(note(&message, Step::MessageSent, &device, String::new()));
                    deeds.push(Output::Send(door, message).into());
                }
                None => effects.extend(delivery.failed(&device, &message.id, "no connection")),
            },
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
            Effect::Hibernate(device) => {
                let door = directory.get(&device).and_then(Entry::way_in);
                deeds.extend(door.map(|door| Output::Hibernate(door).into()));
            }
        }
    }
    deeds
}

/// Counts what became of a message.
pub(crate) fn count(outcome: &'static str) -> Deed {
    Output::Measured(Measure::Message(outcome)).into()
}
