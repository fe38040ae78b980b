//! Phones that sleep, or have said to the device API that they do: what is written to them is not sent over a connection
//! that nobody reads, and is pushed (behaviour.md 4).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use domain::Purpose;
use domain::behaviour::Incoming;
use hub::PushOrder;

use super::{Scene, Verdict};
use crate::sim::whole::setting;

/// So long a message may wait for its push: the window in which a conversation is pushed once, and a slow store.
const PUSHED: Duration = Duration::from_mins(1);
/// So long before it a push of the same conversation may have told of it already, less what its own commit took.
const WINDOW: Duration = Duration::from_secs(6);

/// So long a text that was on its way from the store may still leave: it is not acknowledged, and pushed for that.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Sleepers {
    /// Who has said so, and since when it is known.
    silent: BTreeMap<usize, Instant>,
    /// Who must be pushed to for a message, by when.
    due: BTreeMap<usize, Instant>,
    pushed: BTreeMap<usize, Instant>,
    vias: BTreeSet<String>,
}

impl Sleepers {
    /// The server has confirmed that the app of a phone is out of sight, or in front.
    pub(super) fn stated(&mut self, now: Instant, who: usize, suspended: bool) {
        if suspended {
            self.silent.insert(who, now);
        } else {
            self.back(who);
        }
    }

    /// A phone comes, or says that it does; or what is known of it is gone.
    pub(super) fn back(&mut self, who: usize) {
        self.silent.remove(&who);
        self.due.remove(&who);
    }

    /// A new server: what was said is forgotten, what is owed is not.
    pub(super) fn restarted(&mut self) {
        self.silent.clear();
    }

    /// Whoever has a token that is dead is not pushed to.
    pub(super) fn token_died(&mut self) {
        self.due.clear();
    }

    /// A text leaves for a phone.
    pub(super) fn sent(&mut self, now: Instant, who: usize, via: &str) -> Verdict {
        // One that left before is sent again until it is acknowledged.
        let is_new = self.vias.insert(via.to_owned());
        let silent = self.silent.get(&who);
        if is_new && silent.is_some_and(|since| now - *since > ON_ITS_WAY) {
            return Err(format!(
                "a text leaves for phone {who}, which has said that it sleeps"
            ));
        }
        Ok(())
    }

    /// A text was acknowledged that waits for this phone.
    pub(super) fn written_to(&mut self, scene: &Scene<'_>, who: usize) {
        let server = scene.server;
        let phone = scene.phones.get(who);
        let Some(device) = phone.and_then(super::places::device_of) else {
            return;
        };
        let kept = server.store.devices.get(&device);
        let shard = kept.and_then(|it| server.shards.get(server.shard_of(&it.user)));
        let Some(entry) = shard.and_then(|it| it.hub().directory().get(&device)) else {
            return;
        };
        let asleep = entry.best_door().is_none() || self.silent.contains_key(&who);
        let profile = entry.device.app.as_ref().and_then(setting::profile);
        let can_be = entry
            .push_target(Incoming::Message, profile.as_ref())
            .is_ok();
        let told = self
            .pushed
            .get(&who)
            .is_some_and(|at| scene.now - *at < WINDOW);
        if asleep && can_be && !told && server.limits.are_wide() {
            self.due.entry(who).or_insert(scene.now + PUSHED);
        }
    }

    /// A push leaves for a phone.
    pub(super) fn pushed(&mut self, now: Instant, who: usize, order: &PushOrder) {
        if matches!(order.notification.purpose, Purpose::Message { .. }) {
            self.due.remove(&who);
            self.pushed.insert(who, now);
        }
    }

    /// Nobody was left asleep over what was written to them.
    pub(super) fn in_time(&self, scene: &Scene<'_>) -> Verdict {
        // A cloud that takes nothing is asked less and less often.
        let is_owed = |who: usize| {
            let phone = scene.phones.get(who);
            let device = phone.and_then(super::places::device_of);
            let mut owed = scene.server.store.owed.values();
            owed.any(|it| {
                Some(&it.device) == device.as_ref() && matches!(it.purpose, Purpose::Message { .. })
            })
        };
        let mut late = self.due.iter().filter(|(_, at)| **at < scene.now);
        match late.find(|(who, _)| !is_owed(**who)) {
            Some((who, _)) => Err(format!(
                "phone {who} was written to in its sleep and not pushed to"
            )),
            None => Ok(()),
        }
    }
}
