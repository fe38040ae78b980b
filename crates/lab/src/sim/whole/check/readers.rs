//! What was read at one client of a user (XEP-0333): what stands for it on their others is taken back, where the platform lets
//! that be done (behaviour.md 6.11).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use domain::behaviour::Incoming;
use domain::shown::take_back;
use domain::{Address, Mode, Purpose, Timestamp};
use hub::{Entry, PushOrder};

use super::{Scene, Verdict, places};
use crate::sim::whole::setting::{self, DOMAIN};
use crate::sim::whole::store::Read;

/// What a slow store and a push take, beside the pause between two of them.
const TAKES: Duration = Duration::from_mins(1);

/// A conversation on a phone.
type Place = (usize, String);

#[derive(Default)]
pub(in crate::sim::whole) struct Readers {
    /// So much of what was read is known.
    known: usize,
    /// What was ever pushed to each phone.
    announced: BTreeSet<Place>,
    /// What providers took for each phone since it was there last, and when that was.
    stands: BTreeMap<Place, Timestamp>,
    /// By when it is to be taken back.
    due: BTreeMap<Place, (Instant, Read)>,
}

impl Readers {
    /// A new server does not know what phones show.
    pub(super) fn restarted(&mut self) {
        self.stands.clear();
        self.due.clear();
    }

    /// A phone is there, and sees for itself.
    pub(super) fn back(&mut self, who: usize) {
        self.stands.retain(|(of, _), _| *of != who);
        self.due.retain(|(of, _), _| *of != who);
    }

    /// Whoever has a token that is dead is not pushed to.
    pub(super) fn token_died(&mut self) {
        self.due.clear();
    }

    /// A push leaves for a phone.
    pub(super) fn pushed(&mut self, scene: &Scene<'_>, who: usize, order: &PushOrder) -> Verdict {
        match &order.notification.purpose {
            Purpose::Message { conversation, .. } => {
                self.announced.insert((who, conversation.clone()));
            }
            Purpose::Read { conversations, .. } => {
                if pause(scene, who).is_none() {
                    return Err(format!(
                        "phone {who} cannot take back in silence what was read"
                    ));
                }
                for conversation in conversations {
                    self.may_be_taken_back(scene, who, conversation)?;
                    self.due.remove(&(who, conversation.clone()));
                    self.stands.remove(&(who, conversation.clone()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn may_be_taken_back(&self, scene: &Scene<'_>, who: usize, conversation: &str) -> Verdict {
        if !self.announced.contains(&(who, conversation.to_owned())) {
            return Err(format!("phone {who} never showed what is taken back"));
        }
        let store = &scene.server.store;
        let reads = store.reads.iter();
        let mut read = reads.filter(|it| it.conversation() == conversation);
        let is_unread = |read: &Read| is_unread(scene, who, read);
        if scene.server.is_settled() && read.next_back().is_none_or(is_unread) {
            return Err(format!("phone {who} is to take back what nobody has read"));
        }
        Ok(())
    }

    /// A provider took a push for a phone.
    pub(in crate::sim::whole) fn taken(
        &mut self,
        scene: &Scene<'_>,
        who: usize,
        purpose: &Purpose,
    ) {
        let Purpose::Message { conversation, .. } = purpose else {
            return;
        };
        if let Some(entry) = entry(scene, who) {
            let place = (who, conversation.clone());
            self.stands.insert(place, entry.seen_at());
        }
        // It may have been read while the push was on its way.
        let reads = scene.server.store.reads.iter();
        let mut reads = reads.filter(|it| it.conversation() == *conversation);
        if let Some(read) = reads.next_back() {
            self.is_read(scene, who, read);
        }
    }

    /// What was kept meanwhile of what users have read.
    pub(in crate::sim::whole) fn look(&mut self, scene: &Scene<'_>) {
        let reads = &scene.server.store.reads;
        for read in reads.iter().skip(self.known) {
            for who in 0..scene.phones.len() {
                self.is_read(scene, who, read);
            }
        }
        self.known = reads.len();
    }

    fn is_read(&mut self, scene: &Scene<'_>, who: usize, read: &Read) {
        let place = (who, read.conversation());
        let (Some(since), Some(entry)) = (self.stands.get(&place), entry(scene, who)) else {
            return;
        };
        let is_there = entry.mode() == Mode::Foreground || entry.seen_at() != *since;
        let server = scene.server;
        let is_asked_too_much = !server.limits.are_wide() || server.limits.few_messages();
        if is_there || is_asked_too_much || is_unread(scene, who, read) {
            return;
        }
        if let Some(pause) = pause(scene, who) {
            let by = scene.now + pause + TAKES;
            self.due.entry(place).or_insert((by, read.clone()));
        }
    }

    /// Nobody is shown for ever what they have read.
    pub(super) fn in_time(&self, scene: &Scene<'_>) -> Verdict {
        let mut late = self.due.iter().filter(|(_, (by, _))| *by < scene.now);
        let still = |((who, conversation), (_, read)): &(&Place, &(Instant, Read))| {
            let since = self.stands.get(&(*who, conversation.clone()));
            let is_there = |entry: &Entry| {
                let profile = entry.device.app.as_ref().and_then(setting::profile);
                let target = entry.push_target(Incoming::Message, profile.as_ref());
                since != Some(&entry.seen_at()) || target.is_err()
            };
            let is_over = entry(scene, *who).is_none_or(is_there);
            !is_over && !scene.server.has_refused && !is_unread(scene, *who, read)
        };
        match late.find(still) {
            Some(((who, _), _)) => Err(format!("phone {who} still shows what was read elsewhere")),
            None => Ok(()),
        }
    }
}

/// Whether anything of a conversation waits for a phone that nobody has read.
fn is_unread(scene: &Scene<'_>, who: usize, read: &Read) -> bool {
    let device = scene.phones.get(who).and_then(places::device_of);
    let own = super::streams::chat_device(scene, who).or(device);
    own.is_none_or(|it| {
        let unread = scene.server.store.unread(&it, Some(&read.up_to));
        unread.of_writer > 0
    })
}

/// What the server knows of the device that a phone's XMPP client is, or else its SIP door.
fn entry<'s>(scene: &Scene<'s>, who: usize) -> Option<&'s Entry> {
    let phone = scene.phones.get(who)?;
    let user = Address::new(&phone.phone.config().user, DOMAIN).ok()?;
    let device = super::streams::chat_device(scene, who).or_else(|| places::device_of(phone))?;
    let shard = scene.server.shards.get(scene.server.shard_of(&user))?;
    shard.hub().directory().get(&device)
}

/// How long it takes at most until something can be taken back once more; `None`: never.
fn pause(scene: &Scene<'_>, who: usize) -> Option<Duration> {
    let config = scene.phones.get(who)?.phone.config();
    take_back(config.platform(), config.generation)
}
