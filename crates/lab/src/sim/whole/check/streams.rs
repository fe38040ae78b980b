//! Streams of XMPP as the server's edge sees them: a client that does not answer is taken for asleep, and then for gone
//! (behaviour.md 14.10).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use domain::{Address, DeviceId};
use sip::endpoint::Flow;

use super::places::phone_at;
use super::{Scene, Verdict};
use crate::sim::whole::setting::DOMAIN;

/// So long after it was asked, a client that has said nothing is gone: 15 s, and what timers need.
const GONE: Duration = Duration::from_millis(15_500);
/// So long after a message it is asleep: 5 s, and what timers need.
const ASLEEP: Duration = Duration::from_millis(5_500);

/// What a stream was told, and has not answered.
struct Open {
    flow: Flow,
    /// When it was asked first.
    asked: Instant,
    /// When a message was the first that it was sent.
    written: Option<Instant>,
}

#[derive(Default)]
pub(in crate::sim::whole) struct Streams {
    /// By the numbers of their connections.
    open: BTreeMap<u64, Open>,
    /// Connections whose client has begun anew.
    anew: BTreeSet<u64>,
    /// Over which connection each text came first.
    texts: BTreeMap<String, u64>,
}

impl Streams {
    /// A new server holds no connection.
    pub(super) fn restarted(&mut self) {
        self.open.clear();
        self.anew.clear();
    }

    /// A text that came before, over a connection whose session is gone, and comes again: whether the first was still on its
    /// way into the store nobody could tell its writer.
    pub(in crate::sim::whole) fn comes_again(
        &mut self,
        flow: Flow,
        octets: &[u8],
    ) -> Option<String> {
        let said = String::from_utf8_lossy(octets);
        let (_, rest) = said.split_once("<body>")?;
        let text = rest.split('<').next()?.to_owned();
        let first = *self.texts.entry(text.clone()).or_insert(flow.id);
        (first != flow.id && self.anew.contains(&flow.id)).then_some(text)
    }

    /// The server writes to a client.
    pub(in crate::sim::whole) fn wrote(&mut self, now: Instant, flow: Flow, octets: &[u8]) {
        let said = String::from_utf8_lossy(octets);
        if said.contains("<enabled ") {
            self.anew.insert(flow.id);
        }
        let is_text = said.contains("<body>") && !said.contains("urn:xmpp:mam:2");
        if said.contains("<r xmlns='urn:xmpp:sm:3'/>") {
            let (asked, written) = (now, None);
            let open = Open {
                flow,
                asked,
                written,
            };
            self.open.entry(flow.id).or_insert(open);
        }
        // It is asked with the first that follows what it has answered; the hub has a question of its own for each.
        if let Some(open) = self.open.get_mut(&flow.id).filter(|_| is_text) {
            open.written.get_or_insert(now);
        }
    }

    /// A client says something.
    pub(in crate::sim::whole) fn heard(&mut self, now: Instant, flow: Flow) -> Verdict {
        self.is_late(now, flow)?;
        self.open.remove(&flow.id);
        Ok(())
    }

    /// Its connection is gone, by whoever's wish.
    pub(in crate::sim::whole) fn closed(&mut self, now: Instant, flow: Flow) -> Verdict {
        self.is_late(now, flow)?;
        self.open.remove(&flow.id);
        Ok(())
    }

    fn is_late(&self, now: Instant, flow: Flow) -> Verdict {
        match self.open.get(&flow.id) {
            Some(open) if now > open.asked + GONE => {
                let who = phone_at(flow);
                let time = (now - open.asked).as_secs();
                Err(format!(
                    "phone {who} has not answered for {time} s, and its connection is believed in"
                ))
            }
            _ => Ok(()),
        }
    }

    /// Who has no connection is not taken for awake.
    pub(in crate::sim::whole) fn all_there(scene: &Scene<'_>) -> Verdict {
        for who in 0..scene.phones.len() {
            let is_there = scene.server.chats.all().any(|flow| phone_at(flow) == who);
            if !is_there && is_believed_in(scene, who) {
                return Err(format!(
                    "phone {who} has no connection for XMPP, and counts as awake"
                ));
            }
        }
        Ok(())
    }

    /// Nobody is believed in for too long.
    pub(in crate::sim::whole) fn in_time(&self, scene: &Scene<'_>) -> Verdict {
        for open in self.open.values() {
            self.is_late(scene.now, open.flow)?;
            let is_late = |at: Instant| scene.now > at + ASLEEP;
            let who = phone_at(open.flow);
            if open.written.is_some_and(is_late)
                && scene.server.is_settled()
                && is_believed_in(scene, who)
            {
                return Err(format!(
                    "phone {who} has not acknowledged a message, and counts as awake"
                ));
            }
        }
        Ok(())
    }
}

/// Whether the server takes the XMPP client of a phone for awake.
fn is_believed_in(scene: &Scene<'_>, who: usize) -> bool {
    has_door(scene, who, hub::OpenDoor::is_open)
}

/// Whether it has a session, awake or not.
pub(super) fn has_session(scene: &Scene<'_>, who: usize) -> bool {
    has_door(scene, who, |_| true)
}

fn has_door(scene: &Scene<'_>, who: usize, wanted: impl Fn(&hub::OpenDoor) -> bool) -> bool {
    let Some(device) = chat_device(scene, who) else {
        return false;
    };
    let config = scene.phones.get(who).map(|it| it.phone.config());
    let user = config.and_then(|it| Address::new(&it.user, DOMAIN).ok());
    let shard = user.and_then(|it| scene.server.shards.get(scene.server.shard_of(&it)));
    let entry = shard.and_then(|it| it.hub().directory().get(&device));
    let is_it = |door: &hub::OpenDoor| door.number >= im::DOORS && wanted(door);
    entry.is_some_and(|it| it.doors.iter().any(is_it))
}

/// The device that the XMPP client of a phone is.
pub(super) fn chat_device(scene: &Scene<'_>, who: usize) -> Option<DeviceId> {
    let config = scene.phones.get(who)?.phone.config();
    config.xmpp.as_ref()?;
    let user = Address::new(&config.user, DOMAIN).ok()?;
    Some(im::device_id(&user, &config.resource()))
}
