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
        // A copy (XEP-0280) or a page of the archive is no message that waits for its client.
        let is_apart = ["urn:xmpp:carbons:2", "urn:xmpp:mam:2"].map(|it| said.contains(it));
        let is_text = said.contains("<body>") && is_apart == [false, false];
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

#[cfg(test)]
mod tests {
    use super::*;
    use sip::Transport;

    /// Seed 2073 of 29 November 2026.
    #[test]
    fn a_copy_is_no_message_that_must_be_acknowledged_in_time() {
        let mut streams = Streams::default();
        let now = Instant::now();
        let address = "10.0.0.3:20003".parse().unwrap();
        let flow = Flow {
            transport: Transport::Tcp,
            local: address,
            remote: address,
            id: 7,
        };
        let mut wrote = |octets: &[u8]| {
            streams.wrote(now, flow, octets);
            streams.open.get(&7).and_then(|it| it.written)
        };
        wrote(b"<r xmlns='urn:xmpp:sm:3'/>");
        let copy = b"<message><sent xmlns='urn:xmpp:carbons:2'><body>x</body></sent></message>";
        assert_eq!(wrote(copy), None);
        assert_eq!(wrote(b"<message><body>x</body></message>"), Some(now));
    }
}
