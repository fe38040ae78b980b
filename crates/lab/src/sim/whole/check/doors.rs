//! A phone with a door for each protocol is one device: a text that is under way by one of them is not sent by the other
//! (behaviour.md 16.6).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use sip::endpoint::Flow;
use sip::{HeaderName, Message, Method};

use super::Verdict;
use super::places::phone_at;

/// So long a text may be under way by a door: who has not acknowledged it then is asleep there.
const UNDER_WAY: Duration = Duration::from_secs(5);

/// A text that was sent.
#[derive(Debug)]
struct Sent {
    at: Instant,
    /// The connection of the stream, if it went by XMPP.
    stream: Option<u64>,
}

#[derive(Default)]
pub(in crate::sim::whole) struct Doors {
    /// By phone and the server's id.
    sent: BTreeMap<(usize, String), Sent>,
    /// The branches of requests that have left: one that leaves again is the same.
    branches: BTreeSet<String>,
}

impl Doors {
    /// A new server knows of nothing that is under way.
    pub(super) fn restarted(&mut self) {
        self.sent.clear();
        self.branches.clear();
    }

    /// The server sends a request to a phone over SIP.
    pub(super) fn requested(&mut self, now: Instant, who: usize, message: &Message) -> Verdict {
        let call = message.call_id().unwrap_or_default();
        let Some((id, _)) = call.split_once('@') else {
            return Ok(());
        };
        let via = message.header_text(HeaderName::Via).unwrap_or_default();
        if message.method() != Some(Method::Message) || !self.branches.insert(via.to_owned()) {
            return Ok(());
        }
        self.goes(now, (who, id), None)
    }

    /// The server writes to a client.
    pub(in crate::sim::whole) fn wrote(
        &mut self,
        now: Instant,
        flow: Flow,
        octets: &[u8],
    ) -> Verdict {
        let said = String::from_utf8_lossy(octets);
        // Copies and pages of the archive are no deliveries.
        let is_text = said.starts_with("<message") && said.contains("<body>");
        if !is_text || said.contains("urn:xmpp:carbons:2") || said.contains("urn:xmpp:mam:2") {
            return Ok(());
        }
        let stamp = said.split_once("<stanza-id ").map(|(_, stamp)| stamp);
        let id = stamp.and_then(|it| it.split_once(" id='"));
        let id = id.and_then(|(_, id)| id.split('\'').next());
        match id {
            Some(id) => self.goes(now, (phone_at(flow), id), Some(flow.id)),
            None => Ok(()),
        }
    }

    fn goes(&mut self, now: Instant, (who, id): (usize, &str), stream: Option<u64>) -> Verdict {
        let key = (who, id.to_owned());
        self.sent.retain(|_, sent| now < sent.at + UNDER_WAY);
        match self.sent.get(&key) {
            Some(before) if before.stream.is_some() != stream.is_some() => Err(format!(
                "{id} is under way to phone {who} by one door, and goes by the other too"
            )),
            // Sent again by the same one it may have until the first time is over.
            Some(_) => Ok(()),
            None => {
                self.sent.insert(key, Sent { at: now, stream });
                Ok(())
            }
        }
    }

    /// A phone answers a request, or begins to register anew: what was under way by SIP is not any more.
    pub(super) fn hears(&mut self, who: usize, message: &Message) {
        let id = match (message.status(), message.method()) {
            (None, Some(Method::Register)) => None,
            (Some(200..), _) => {
                let call = message.call_id().unwrap_or_default();
                call.split_once('@').map(|(id, _)| id)
            }
            _ => return,
        };
        let is_it = |of: usize, name: &str| of == who && id.is_none_or(|id| id == name);
        self.sent
            .retain(|(of, name), sent| sent.stream.is_some() || !is_it(*of, name));
    }

    /// A connection of a phone over SIP is gone, or the phone hears that it is registered: then what came under way by SIP while
    /// that was being saved is not any more.
    pub(in crate::sim::whole) fn broke(&mut self, who: usize) {
        self.sent
            .retain(|(of, _), sent| sent.stream.is_some() || *of != who);
    }

    /// The server has given a phone up that acknowledges nothing.
    pub(in crate::sim::whole) fn gave_up(&mut self, who: usize) {
        self.sent.retain(|(of, _), _| *of != who);
    }

    /// A client says something, or its connection is gone: what it was sent over that is not under way any more.
    pub(in crate::sim::whole) fn is_over(&mut self, flow: Flow) {
        self.sent.retain(|_, sent| sent.stream != Some(flow.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_by_one_door_may_not_go_by_the_other_before_it_is_over() {
        let now = Instant::now();
        let mut doors = Doors::default();
        let (sip, xmpp) = (None, Some(7));
        doors.goes(now, (3, "m1"), sip).unwrap();
        doors.goes(now, (3, "m1"), sip).unwrap();
        doors.goes(now, (4, "m1"), xmpp).unwrap();
        assert!(doors.goes(now, (3, "m1"), xmpp).is_err());
        doors.goes(now + UNDER_WAY, (3, "m1"), xmpp).unwrap();
        assert!(doors.goes(now + UNDER_WAY, (3, "m1"), sip).is_err());
        doors.broke(3);
        assert!(doors.goes(now + UNDER_WAY, (3, "m1"), sip).is_err());
    }
}
