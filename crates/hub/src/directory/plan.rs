//! Steps about devices and their doors: planned here against what is, carried out once they are saved.

use super::{Directory, Entry};
use crate::{
    Doors, NotDone, Opening, PushOffer,
    door::OpenDoor,
    step::{Asker, Step, Then},
};
use domain::{
    Address, Change, Channel, Device, DeviceId, Door, DoorId, DoorState, Handed, NotificationId,
    Now, Purpose, Timestamp, TrackingId, behaviour::Incoming, push::OwedPush,
};
use std::time::Duration;

/// By how much a door may outlive its registration in the store, so that a refresh which changes nothing but its time
/// need not be written each time. After a crash it may be believed in for so much longer.
const SLACK: Duration = Duration::from_hours(1);

impl Directory {
    /// Opens and closes doors.
    pub(crate) fn plan_doors(&self, now: Now, doors: Doors) -> Result<Step, NotDone> {
        let mut step = Step::of(Asker::Role(doors.ticket));
        for door in doors.closed {
            let entry = self.get(&door.device);
            if entry.is_some_and(|entry| entry.device.user == doors.user) {
                self.plan_close(now.wall, door, "unregistered", &mut step);
            }
        }
        let mut adopts = self.unclaimed(&doors.user) > 0;
        for opening in doors.opened {
            let known = self.get(&opening.door.device);
            if known.is_some_and(|entry| entry.device.user != doors.user) {
                return Err(NotDone::Missing);
            }
            if known.is_none() {
                self.make_room(&doors.user, &mut step)?;
            }
            let device = opening.door.device.clone();
            plan_open(now.wall, &doors.user, known, opening, &mut step);
            if std::mem::take(&mut adopts) {
                step.changes.push(Change::AdoptQueue {
                    user: doors.user.clone(),
                    device: device.clone(),
                });
                // Before it is told that the device is back.
                let place = step.then.len().saturating_sub(1);
                step.then
                    .insert(place, Then::Adopted(doors.user.clone(), device));
            }
        }
        Ok(step)
    }

    fn plan_close(&self, now: Timestamp, door: DoorId, why: &str, step: &mut Step) {
        let Some(entry) = self.get(&door.device) else {
            return;
        };
        step.history(&door.device, now, why.to_owned());
        if entry.doors.len() <= 1 {
            // The record knows from here on when it was there last.
            step.changes.push(put_seen(entry));
        }
        step.changes.push(Change::RemoveDoor(door.clone()));
        step.then.push(Then::Closed(door));
    }

    /// These doors have expired, unless they were opened anew meanwhile.
    pub(crate) fn plan_expired(&self, now: Now, doors: Vec<DoorId>) -> Step {
        let mut step = Step::of(Asker::Nobody);
        for door in doors {
            let open = self
                .get(&door.device)
                .and_then(|entry| entry.door(door.number));
            if open.is_some_and(|open| open.expires_at <= now.wall) {
                tracing::info!(device = %door.device, "registration expired");
                self.plan_close(now.wall, door, "registration expired", &mut step);
            }
        }
        step
    }

    /// Asks a sleeping device whose registration is about to expire to register again (RFC 8599 §5.5): an expired one may
    /// not be pushed to any more, and its user would be out of reach until they open the app.
    pub(crate) fn plan_refresh(&self, now: Now, id: &DeviceId, tracking: TrackingId) -> Step {
        let mut step = Step::of(Asker::Nobody);
        let Some(entry) = self.get(id) else {
            return step;
        };
        let Some(expires_at) = entry
            .expires_at()
            .filter(|_| entry.refresh_at().is_some_and(|at| at <= now.wall))
        else {
            return step;
        };
        step.then.push(Then::Asked(id.clone(), expires_at));
        // An app in front refreshes by itself.
        let profile = self.profile(entry.device.app.as_ref());
        if entry.mode() != domain::Mode::Foreground
            && entry.push_target(Incoming::Message, profile).is_ok()
        {
            step.owe(OwedPush {
                id: NotificationId::of("refresh", &expires_at.0.to_string(), id),
                device: id.clone(),
                purpose: Purpose::Refresh,
                tracking,
                message: None,
                due: now.wall,
                until: expires_at,
                attempts: 0,
            });
        }
        step
    }

    /// Forgets a device and what waits for it.
    pub(crate) fn plan_forget(&self, asker: Asker, id: &DeviceId) -> Result<Step, NotDone> {
        let mut step = Step::of(asker);
        if self.get(id).is_none() {
            return Err(NotDone::Missing);
        }
        step.changes.push(Change::RemoveDevice(id.clone()));
        step.then.push(Then::Forgotten(id.clone()));
        Ok(step)
    }

    /// A client has left through this door for good: a device that nothing leads to any more is forgotten.
    pub(crate) fn plan_left(&self, door: &DoorId) -> Result<Step, NotDone> {
        let mut step = Step::of(Asker::Nobody);
        let entry = self.get(&door.device).ok_or(NotDone::Missing)?;
        let has_others = entry.doors.iter().any(|open| open.number != door.number);
        if has_others || entry.device.tokens.iter().next().is_some() {
            // The record knows from here on when it was there last.
            step.changes.push(put_seen(entry));
            step.changes.push(Change::RemoveDoor(door.clone()));
            step.then.push(Then::Left(door.clone()));
            return Ok(step);
        }
        step.then.push(Then::Left(door.clone()));
        self.plan_gone(entry, &mut step);
        Ok(step)
    }

    /// Forgets a device that nothing leads to any more: what waits for it alone waits for its user's others.
    pub(super) fn plan_gone(&self, entry: &Entry, step: &mut Step) {
        let Device { id, user, .. } = &entry.device;
        let mut others = self.of(user).filter(|it| it.device.id != *id).peekable();
        // What came while there were others waits for them as well; what it adopted, or came before them, for it alone.
        let returns = entry.queued > 0 && (entry.alone || others.peek().is_none());
        if returns && entry.over > 0 {
            // All that it has not got, wherever it waits.
            let (device, most) = (id.clone(), entry.over);
            step.changes.push(Change::Refill { device, most });
            step.then.push(Then::Refilled(id.clone(), most));
        }
        if returns {
            step.changes.push(Change::ReturnQueue(id.clone()));
            step.then.push(Then::Disowned(id.clone()));
        }
        step.changes.push(Change::RemoveDevice(id.clone()));
        step.then.push(Then::Forgotten(id.clone()));
        if let Some(other) = others.find_map(Entry::way_in).filter(|_| returns) {
            step.adopt(user, &other.device);
            step.then.push(Then::Returned(other, false));
        }
    }

    /// Makes room for one more device of a user: the one that is out of reach for longest is forgotten; if there is none, the
    /// one that said nothing for longest of those without a connection.
    pub(super) fn make_room(&self, user: &Address, step: &mut Step) -> Result<(), NotDone> {
        let forgotten = |id: &DeviceId| {
            let mut then = step.then.iter();
            then.any(|then| matches!(then, Then::Forgotten(gone) if gone == id))
        };
        let added = step
            .then
            .iter()
            .filter(|then| matches!(then, Then::Device(device) if self.get(&device.id).is_none()))
            .count();
        let stay: Vec<_> = self
            .of(user)
            .filter(|entry| !forgotten(&entry.device.id))
            .collect();
        if stay.len() + added < self.devices_per_user {
            return Ok(());
        }
        let out_of_reach = stay
            .into_iter()
            .filter(|entry| entry.doors.iter().all(|door| door.state != DoorState::Up))
            .min_by_key(|entry| {
                let may_be_there = entry.best_door().is_some();
                (may_be_there, !entry.doors.is_empty(), entry.seen_at())
            });
        let id = &out_of_reach.ok_or(NotDone::TooManyDevices)?.device.id;
        tracing::info!(device = %id, "forgotten: its user has too many devices");
        step.changes.push(Change::RemoveDevice(id.clone()));
        step.then.push(Then::Forgotten(id.clone()));
        Ok(())
    }
}

/// A device's record, with when it was there last.
fn put_seen(entry: &Entry) -> Change {
    Change::PutDevice(Box::new(Device {
        seen_at: entry.seen_at(),
        ..entry.device.clone()
    }))
}

/// Opens a door, of a device that is `known` or new.
fn plan_open(
    now: Timestamp,
    user: &Address,
    known: Option<&Entry>,
    opening: Opening,
    step: &mut Step,
) {
    let id = opening.door.clone();
    let same = known.is_some_and(|entry| is_old_news(&entry.device, &opening))
        || !put_offer(now, user, known, &opening, step);
    if let Some(what) = opening.history {
        step.history(&id.device, now, what);
    }
    let before = known.and_then(|entry| entry.door(id.number));
    // What the client stated over its last connection says nothing about this one.
    let stated_mode = before
        .filter(|_| !opening.fresh)
        .and_then(|before| before.stated_mode);
    let stored = before
        .filter(|before| opening.unchanged && same && before.stored_until >= opening.expires_at);
    let stored_until = stored.map_or_else(
        || {
            let lifetime = opening.expires_at.since(now);
            opening.expires_at.plus(lifetime.min(SLACK))
        },
        |before| before.stored_until,
    );
    if stored.is_none() {
        step.changes.push(Change::PutDoor(Box::new(Door {
            id: id.clone(),
            opened_at: now,
            expires_at: stored_until,
            q: opening.q,
            data: opening.data,
        })));
    }
    let open = OpenDoor {
        number: id.number,
        state: opening.state,
        opened_at: now,
        expires_at: opening.expires_at,
        stored_until,
        rings: opening.rings,
        speaks: opening.speaks,
        q: opening.q,
        stated_mode,
        window: opening.window,
        register_at: opening.register_at,
        is_over: false,
    };
    let device = id.device.clone();
    step.then.push(Then::Opened(device, Box::new(open)));
    if opening.state != DoorState::Down {
        step.then.push(Then::Returned(id, opening.fresh));
    }
}

/// Whether a client says of pushes what its device's record says, as it does in most registrations.
fn is_old_news(device: &Device, opening: &Opening) -> bool {
    let PushOffer::Tokens(app, tokens) = &opening.push else {
        return false;
    };
    let same = |channel| {
        let named = tokens.iter().rfind(|(named, _)| *named == channel);
        match (device.tokens.get(channel), named) {
            (None, None) => true,
            (Some(known), Some((_, value))) => {
                let is_through = known.handed.is_through(opening.door.number);
                known.value == *value && is_through && known.dead.is_none()
            }
            _ => false,
        }
    };
    device.app.as_ref() == Some(app) && same(Channel::Voip) && same(Channel::Message)
}

/// Keeps what a client says of pushes. Says whether the record is another one then.
fn put_offer(
    now: Timestamp,
    user: &Address,
    known: Option<&Entry>,
    opening: &Opening,
    step: &mut Step,
) -> bool {
    let mut device = known.map_or_else(
        || Device::new(opening.door.device.clone(), user.clone(), now),
        |entry| entry.device.clone(),
    );
    take_offer(&mut device, opening, now, step);
    let changed = known.is_none_or(|entry| !is_same_record(&entry.device, &device));
    if changed {
        step.put_device(device);
    }
    changed
}

/// Takes what a client says of pushes when it opens a door (RFC 8599 §4.1.2): tokens that it does not name any more
/// are not pushed to.
fn take_offer(device: &mut Device, opening: &Opening, now: Timestamp, step: &mut Step) {
    let (door, number) = (&opening.door, opening.door.number);
    match &opening.push {
        PushOffer::None => {
            if device.take_tokens_back(Handed::Through(number), &[]) {
                let what = "wants no pushes any more".to_owned();
                step.history(&door.device, now, what);
            }
        }
        PushOffer::Tokens(app, tokens) => {
            device.app = Some(app.clone());
            let kept: Vec<&str> = tokens.iter().map(|(_, token)| &**token).collect();
            device.take_tokens_back(Handed::Through(number), &kept);
            for (channel, token) in tokens {
                if device.give_token(*channel, token, Handed::Through(number), now) {
                    let what = format!("new {} token {}", channel.name(), shown(token));
                    step.history(&door.device, now, what);
                }
            }
        }
    }
}

/// Whether two records say the same but for when a token was named last.
pub(super) fn is_same_record(one: &Device, other: &Device) -> bool {
    let tokens = one.tokens.iter().zip(other.tokens.iter());
    let same_tokens = one.tokens.iter().count() == other.tokens.iter().count()
        && one.tokens.voip.is_some() == other.tokens.voip.is_some()
        && tokens.into_iter().all(|(one, other)| {
            one.value == other.value && one.dead == other.dead && one.handed == other.handed
        });
    same_tokens && one.app == other.app && one.key == other.key
}

/// As much of a token as a person needs to recognise it.
pub(crate) fn shown(token: &str) -> String {
    let start: String = token.chars().take(8).collect();
    format!("{start}… ({} characters)", token.chars().count())
}
