//! Steps about what devices are pushed to by: tokens and keys that clients hand over apart from their registrations, and
//! tokens that die.

use super::{
    Directory, Entry,
    plan::{is_same_record, shown},
};
use crate::{
    DeviceUpdate, Meant, NotDone,
    step::{Asker, Step, Then},
};
use domain::{
    Address, CallKind, Change, Channel, Device, DeviceId, Handed, Now, Provider, Timestamp,
};

impl Directory {
    /// Takes what a client says of its device, apart from its registrations.
    pub(crate) fn plan_update(
        &self,
        now: Now,
        asker: Asker,
        user: &Address,
        id: &DeviceId,
        update: &DeviceUpdate,
    ) -> Result<Step, NotDone> {
        let mut step = Step::of(asker);
        let known = self.get(id);
        if known.is_some_and(|entry| entry.device.user != *user) {
            return Err(NotDone::Missing);
        }
        let is_unknown = |app| self.profile(Some(app)).is_none();
        if update.app.as_ref().is_some_and(is_unknown) {
            return Err(NotDone::NoSuchApp);
        }
        let before = known.map(|entry| &entry.device);
        let device = take(now, user, id, before, update, &mut step)?;
        let yielding = self.yielding(&device, update.of);
        let takes_a_place = !yielding.iter().any(|(_, is_same)| *is_same);
        if known.is_none() && takes_a_place {
            self.make_room(user, &mut step)?;
        }
        let same = |entry: &Entry| is_same_record(&entry.device, &device);
        if known.is_none_or(|entry| !same(entry)) {
            step.put_device(device);
        } else {
            // The record on disk need not know that it was named once more.
            step.then.push(Then::Device(Box::new(device)));
        }
        let inherits = self.plan_yields(now, id, yielding, &mut step);
        if inherits || (known.is_none() && self.unclaimed(user) > 0) {
            step.adopt(user, id);
        }
        if let Some(door) = known.and_then(Entry::way_in).filter(|_| inherits) {
            step.then.push(Then::Returned(door, false));
        }
        let stated = update.mode.map(|mode| Then::Stated(id.clone(), mode));
        step.then.extend(stated);
        Ok(step)
    }

    /// The other devices of the user that give up tokens to this one, as they are then; `true`: nothing else leads to one, so
    /// that it is this one under an earlier name.
    fn yielding(&self, to: &Device, kind: Option<CallKind>) -> Vec<(Device, bool)> {
        let values: Vec<&str> = to.tokens.iter().map(|token| &*token.value).collect();
        let yields = |entry: &Entry| {
            let mut device = entry.device.clone();
            let is_over = |door: &crate::OpenDoor| !door.is_open() && door.rings == kind;
            let nothing_else = entry.doors.iter().all(is_over);
            device.yields_tokens(&values).then(|| {
                let is_same = nothing_else && device.tokens.iter().next().is_none();
                (device, is_same)
            })
        };
        let others = self.of(&to.user).filter(|entry| entry.device.id != to.id);
        others.filter_map(yields).collect()
    }

    /// Other devices give up their tokens. Says whether something that waited for them waits for their user now.
    fn plan_yields(
        &self,
        now: Now,
        to: &DeviceId,
        yielding: Vec<(Device, bool)>,
        step: &mut Step,
    ) -> bool {
        let mut inherits = false;
        for (device, is_same) in yielding {
            if !is_same {
                step.history(&device.id, now.wall, format!("its token is {to}'s now"));
                step.put_device(device);
                continue;
            }
            if self.get(&device.id).is_some_and(|entry| entry.queued > 0) {
                step.changes.push(Change::ReturnQueue(device.id.clone()));
                step.then.push(Then::Disowned(device.id.clone()));
                inherits = true;
            }
            step.changes.push(Change::RemoveDevice(device.id.clone()));
            step.then.push(Then::Forgotten(device.id));
        }
        inherits
    }

    /// Takes back what clients that take calls of this kind have handed over, as far as it is meant. A device that nothing leads to
    /// any more is forgotten.
    pub(crate) fn plan_disable(
        &self,
        now: Now,
        asker: Asker,
        user: &Address,
        meant: &Meant,
        kind: CallKind,
    ) -> Result<Step, NotDone> {
        let mut step = Step::of(asker);
        let is_own = |id: &DeviceId| self.get(id).is_some_and(|it| it.device.user == *user);
        let is_missing = match meant {
            Meant::Device(id) => id.as_ref().is_some_and(|id| !is_own(id)),
            Meant::AtServer { exists, .. } => {
                *exists && !self.of(user).any(|entry| self.is_meant(entry, meant))
            }
        };
        if is_missing {
            return Err(NotDone::Missing);
        }
        for entry in self.of(user) {
            let mut device = entry.device.clone();
            if !self.is_meant(entry, meant) || !device.take_tokens_back(Handed::For(kind), &[]) {
                continue;
            }
            let is_left = entry.doors.is_empty() && device.tokens.iter().next().is_none();
            if is_left {
                self.plan_gone(entry, &mut step);
                continue;
            }
            step.history(&device.id, now.wall, "wants no pushes any more".to_owned());
            step.put_device(device);
        }
        Ok(step)
    }

    /// Whether a device's tokens are meant.
    fn is_meant(&self, entry: &Entry, meant: &Meant) -> bool {
        let of_app = entry.device.app.as_ref();
        let provider = self.profile(of_app).map(|it| it.provider);
        let at_server = provider == Some(Provider::AppServer);
        match meant {
            Meant::Device(id) => !at_server && id.as_ref().is_none_or(|id| entry.device.id == *id),
            Meant::AtServer { app, like, .. } => {
                let mut tokens = entry.device.tokens.iter();
                of_app == Some(app) && tokens.any(|token| token.value.starts_with(&**like))
            }
        }
    }

    /// A token that its provider declares dead is dead from this moment on.
    pub(crate) fn plan_token_dead(
        &self,
        now: Now,
        id: &DeviceId,
        token: &str,
        since: Option<Timestamp>,
        reason: &str,
    ) -> Step {
        let mut step = Step::of(Asker::Nobody);
        let Some(mut device) = self.get(id).map(|entry| entry.device.clone()) else {
            return step;
        };
        if !device.kill_token(token, since, reason, now.wall) {
            return step;
        }
        let shown = shown(token);
        tracing::warn!(device = %id, user = %device.user, reason, token = shown, "the provider says that the token is dead: this device is not pushed to until it registers again");
        step.put_device(device);
        step.history(id, now.wall, format!("token {shown} is dead: {reason}"));
        step.then.push(Then::TokenDied);
        step
    }
}

/// A device's record with what its client says of it.
fn take(
    now: Now,
    user: &Address,
    id: &DeviceId,
    before: Option<&Device>,
    update: &DeviceUpdate,
    step: &mut Step,
) -> Result<Device, NotDone> {
    let mut device = before.map_or_else(
        || Device::new(id.clone(), user.clone(), now.wall),
        Clone::clone,
    );
    let app = update.app.clone();
    device.app = app.or(device.app.take());
    let tokens = [
        (Channel::Voip, update.voip.as_deref()),
        (Channel::Message, update.message.as_deref()),
    ];
    let (handed, how) = match update.of {
        None => (Handed::Apart, "by the device API"),
        Some(kind) => (Handed::For(kind), "for as long as its client wants pushes"),
    };
    if update.of.is_some() {
        // What is not named any more is not meant any more.
        let kept: Vec<&str> = tokens.iter().filter_map(|(_, token)| *token).collect();
        device.take_tokens_back(handed, &kept);
    }
    for (channel, token) in tokens {
        let Some(token) = token else {
            continue;
        };
        if device.give_token(channel, token, handed, now.wall) {
            let what = format!("new {} token {how}", channel.name());
            step.history(id, now.wall, what);
        }
        let given = device.tokens.get(channel);
        if given.is_some_and(|given| given.dead.is_some()) {
            return Err(NotDone::DeadToken);
        }
    }
    let key = update.key.clone().map(Box::new);
    if key.is_some() && key != device.key {
        step.history(id, now.wall, "new key for sealed pushes".to_owned());
        device.key = key;
    }
    Ok(device)
}
