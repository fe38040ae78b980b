//! Phones that sleep, or have said to the device API that they do, are pushed to for what is written to them
//! (behaviour.md 4).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use domain::behaviour::Incoming;
use domain::push::OwedPush;
use domain::{DeviceId, MessageId, Purpose, Timestamp};
use hub::{Directory, Entry, PushOrder};

use super::{Scene, Verdict};
use crate::sim::whole::setting;

/// So long a message may wait for its push: the window in which a conversation is pushed once, and a slow store.
const PUSHED: Duration = Duration::from_mins(1);
/// So long before it a push of the same conversation may have told of it already, less what its own commit took.
const WINDOW: Duration = Duration::from_secs(6);

#[derive(Debug, Default)]
pub(super) struct Sleepers {
    /// Who has said so.
    silent: BTreeSet<usize>,
    /// Who must be pushed to for which message, by when.
    due: BTreeMap<(usize, MessageId), Instant>,
    pushed: BTreeMap<usize, Instant>,
}

impl Sleepers {
    /// The server has confirmed that the app of a phone is out of sight, or in front.
    pub(super) fn stated(&mut self, who: usize, suspended: bool) {
        if suspended {
            self.silent.insert(who);
        } else {
            self.back(who);
        }
    }

    /// A phone comes, or says that it does; or what is known of it is gone.
    pub(super) fn back(&mut self, who: usize) {
        self.silent.remove(&who);
        self.is_there(who);
    }

    /// A phone is registered: what was written to it meanwhile goes to it.
    pub(super) fn is_there(&mut self, who: usize) {
        self.due.retain(|(of, _), _| *of != who);
    }

    /// A new server: what was said is forgotten, what is owed is not.
    pub(super) fn restarted(&mut self) {
        self.silent.clear();
    }

    /// Whoever has a token that is dead is not pushed to.
    pub(super) fn token_died(&mut self) {
        self.due.clear();
    }

    /// A text was acknowledged that waits for this phone.
    pub(super) fn written_to(&mut self, scene: &Scene<'_>, who: usize, message: &MessageId) {
        let server = scene.server;
        let Some((_, entry)) = known(scene, who) else {
            return;
        };
        let asleep = entry.best_door().is_none() || self.silent.contains(&who);
        let profile = entry.device.app.as_ref().and_then(setting::profile);
        let can_be = entry
            .push_target(Incoming::Message, profile.as_ref())
            .is_ok();
        let told = self
            .pushed
            .get(&who)
            .is_some_and(|at| scene.now - *at < WINDOW);
        if asleep && can_be && !told && server.limits.are_wide() {
            let by = scene.now + PUSHED;
            self.due.entry((who, message.clone())).or_insert(by);
        }
    }

    /// A push leaves for a phone.
    pub(super) fn pushed(&mut self, now: Instant, who: usize, order: &PushOrder) {
        if matches!(order.notification.purpose, Purpose::Message { .. }) {
            self.is_there(who);
            self.pushed.insert(who, now);
        }
    }

    /// Nobody was left asleep over what was written to them.
    pub(super) fn in_time(&self, scene: &Scene<'_>) -> Verdict {
        // A cloud that takes nothing is asked less and less often; and devices are removed.
        let store = &scene.server.store;
        let is_owed = |who: usize| {
            let phone = scene.phones.get(who);
            let device = phone.and_then(super::places::device_of);
            let Some(device) = device.filter(|it| store.devices.contains_key(it)) else {
                return true;
            };
            let is_it = |it: &OwedPush| matches!(it.purpose, Purpose::Message { .. });
            let mut owed = store.owed.values();
            owed.any(|it| it.device == device && is_it(it))
        };
        let mut late = self.due.iter().filter(|(_, at)| **at < scene.now);
        let is_needless =
            |who, message| is_left_in_peace(scene, who) || is_attended(scene, who, message);
        match late.find(|((who, message), _)| !is_owed(*who) && !is_needless(*who, message)) {
            Some(((who, _), _)) => Err(format!(
                "phone {who} was written to in its sleep and not pushed to"
            )),
            None => Ok(()),
        }
    }
}

/// What the server knows of a phone's device, among all.
fn known<'s>(scene: &Scene<'s>, who: usize) -> Option<(&'s Directory, &'s Entry)> {
    let device = super::places::device_of(scene.phones.get(who)?)?;
    let kept = scene.server.store.devices.get(&device)?;
    let shard = scene.server.shards.get(scene.server.shard_of(&kept.user))?;
    let directory = shard.hub().directory();
    Some((directory, directory.get(&device)?))
}

/// Whether a phone's user did something lately at another device, and is left in peace at this one (behaviour.md 6.10).
fn is_left_in_peace(scene: &Scene<'_>, who: usize) -> bool {
    let Some((directory, own)) = known(scene, who) else {
        return false;
    };
    let all = directory.of(&own.device.user);
    let others = all.filter(|it| it.device.id != own.device.id);
    let used = others.filter_map(Entry::used_at).max();
    let is_over = |used: Timestamp| used.plus(setting::IDLE_AFTER + PUSHED) < scene.wall;
    used > own.used_at() && !used.is_some_and(is_over)
}

/// Whether a phone's user has read a message at another device, or written to its writer.
fn is_attended(scene: &Scene<'_>, who: usize, message: &MessageId) -> bool {
    let store = &scene.server.store;
    let device = scene.phones.get(who).and_then(super::places::device_of);
    let is_read = |device: &DeviceId| store.unread(device, Some(message)).of_writer == 0;
    device.as_ref().is_none_or(is_read) || store.is_answered(message)
}
