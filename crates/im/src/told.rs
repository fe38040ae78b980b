//! What has been told in stories beside what the hub tells, within limits: messages, offers of calls and clients that were refused,
//! and whose call is over.

use crate::{
    calls::{Call, Proposal, read},
    letters,
    sign_in::Refused,
    vocabulary::Link,
};
use domain::{
    Address, DeviceId, IdMap, Message, Note, Now, TraceEvent, TrackingId,
    guard::Source,
    refused::RefusedStories,
    trace::{Step, short},
};
use std::collections::VecDeque;
use xmpp::{StreamId, stanza::StanzaCondition, xml::Element};

/// Of so many calls that were taken it is remembered whose they are, so that their end belongs to their story; the oldest are
/// forgotten.
const TALKING: usize = 1_024;

/// Which story, and who writes to whom.
pub(crate) type About<'a> = (&'a TrackingId, &'a str, &'a str);
/// What the writer is told, and what nobody but the operator is.
pub(crate) type Why<'a> = (StanzaCondition, &'a str);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Told {
    refused: RefusedStories,
    talking: VecDeque<Talking>,
    /// Whence those come that are outside: with their edge, as the inside sees it.
    outside: IdMap<StreamId, Box<str>>,
}

/// A message of somebody outside that is to be kept, and whence it came.
#[derive(Debug)]
pub(crate) struct Came {
    tracking: TrackingId,
    whence: Box<str>,
}

impl Came {
    /// It is kept.
    pub(crate) fn note(self, now: Now) -> Note {
        let detail = format!("from XMPP {}", self.whence);
        by_edge(now, self.tracking, None, detail)
    }
}

fn by_edge(now: Now, tracking: TrackingId, to: Option<&DeviceId>, detail: String) -> Note {
    Note::Story(TraceEvent {
        tracking,
        at: now.wall,
        step: Step::ByEdge,
        alias: None,
        device: to.cloned(),
        detail,
    })
}

/// A call that was taken.
#[derive(Debug)]
struct Talking {
    callee: Address,
    caller: Address,
    id: Box<str>,
    tracking: TrackingId,
}

impl Told {
    /// Somebody comes, perhaps by an edge.
    pub(crate) fn comes(&mut self, stream: StreamId, link: &Link) {
        if let Some(edge) = link.edge {
            let whence = format!("{} by the edge {edge}", link.remote);
            self.outside.insert(stream, whence.into());
        }
    }

    /// Nobody is there any more.
    pub(crate) fn gone(&mut self, stream: StreamId) {
        self.outside.remove(&stream);
    }

    /// Whence somebody comes who is outside.
    pub(crate) fn whence(&self, stream: StreamId) -> Option<&str> {
        self.outside.get(&stream).map(AsRef::as_ref)
    }

    /// A message goes to this device: news if that is outside.
    pub(crate) fn goes(
        &self,
        now: Now,
        tracking: &TrackingId,
        (device, stream): (&DeviceId, StreamId),
    ) -> Option<Note> {
        let whence = self.whence(stream)?;
        let detail = format!("to XMPP {whence}");
        Some(by_edge(now, tracking.clone(), Some(device), detail))
    }

    /// A message comes from there: worth telling, once it is kept, if that is outside.
    pub(crate) fn came(&self, tracking: &TrackingId, stream: StreamId) -> Option<Box<Came>> {
        let whence = self.whence(stream)?.into();
        let tracking = tracking.clone();
        Some(Box::new(Came { tracking, whence }))
    }

    /// A call was taken.
    pub(crate) fn talks(&mut self, call: &Call) {
        self.talking.truncate(TALKING - 1);
        self.talking.push_front(Talking {
            callee: call.callee.clone(),
            caller: call.caller.clone(),
            id: call.id.clone(),
            tracking: call.tracking.clone(),
        });
    }

    /// One of the two says to the other that their call is over: news the first time.
    pub(crate) fn ends(
        &mut self,
        now: Now,
        (who, peer): (&Address, &Address),
        id: &str,
    ) -> Option<Note> {
        let is_it = |it: &Talking| {
            let sides = (&it.callee, &it.caller);
            *it.id == *id && (sides == (who, peer) || sides == (peer, who))
        };
        let at = self.talking.iter().position(is_it)?;
        let ended = self.talking.remove(at)?;
        Some(Note::Story(TraceEvent {
            tracking: ended.tracking,
            at: now.wall,
            step: Step::CallEnded,
            alias: None,
            device: None,
            detail: format!("{who} hung up"),
        }))
    }

    /// A client is not let in; `is_known`: somebody has signed in from there.
    pub(crate) fn sign_in_refused(
        &mut self,
        now: Now,
        tracking: TrackingId,
        (stream, refused): (StreamId, &Refused),
        is_known: bool,
    ) -> Option<Note> {
        let source = Source::of(refused.from).to_string();
        if !self.refused.take(now.instant, &source, is_known) {
            return None;
        }
        let account = short(&refused.account);
        let outside = self.outside.get(&stream).map(ToString::to_string);
        let from = outside.unwrap_or_else(|| refused.from.to_string());
        let (told, why) = (refused.told.name(), refused.why);
        Some(Note::Story(TraceEvent {
            tracking,
            at: now.wall,
            step: Step::SignInRefused,
            alias: None,
            device: None,
            detail: format!("as {account} (XMPP {from}): we answered {told}: {why}"),
        }))
    }

    /// A stanza goes nowhere.
    pub(crate) fn refused(
        &mut self,
        now: Now,
        about: About<'_>,
        stanza: &Element,
        why: Why<'_>,
    ) -> Option<Note> {
        let own = stanza.attr("id").unwrap_or_default();
        let (step, alias) = match read(stanza) {
            Some((action, id)) if action.begins() => (Step::CallRefused, id),
            // What is said of a call that is there is not a call.
            Some(_) => return None,
            None => (Step::MessageRefused, own),
        };
        self.tells(now, about, (step, alias), why)
    }

    /// A message that was to be kept was not.
    pub(crate) fn not_kept(
        &mut self,
        now: Now,
        message: &Message,
        condition: StanzaCondition,
    ) -> Option<Note> {
        let stanza = letters::stanza(message)?;
        let about = (&message.tracking, &*message.from, message.to.as_str());
        self.refused(now, about, &stanza, (condition, NOT_KEPT))
    }

    /// The offer of a call was not kept.
    pub(crate) fn offer_not_kept(
        &mut self,
        now: Now,
        offer: &Proposal,
        condition: StanzaCondition,
    ) -> Option<Note> {
        let about = (
            &offer.tracking,
            offer.caller.as_str(),
            offer.callee.as_str(),
        );
        let told = (Step::CallRefused, &*offer.id);
        self.tells(now, about, told, (condition, NOT_KEPT))
    }

    fn tells(
        &mut self,
        now: Now,
        (tracking, from, to): About<'_>,
        (step, alias): (Step, &str),
        (condition, why): Why<'_>,
    ) -> Option<Note> {
        // Whoever writes has signed in.
        if !self.refused.take(now.instant, from, true) {
            return None;
        }
        let (from, to, condition) = (short(from), short(to), condition.name());
        let detail = format!("from {from} (XMPP) to {to}: we answered {condition}: {why}");
        let story = (tracking.clone(), now.wall);
        Some(Note::Story(TraceEvent::first(story, step, alias, detail)))
    }
}

/// Why, where the store or a limit of the hub says no.
const NOT_KEPT: &str = "it could not be kept";

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;
    use std::{net::SocketAddr, time::Instant};
    use xmpp::stream::Framing;

    #[test]
    fn whence_a_letter_came_is_told_when_its_writer_is_gone_by_then() {
        let mut told = Told::default();
        let link = Link {
            remote: SocketAddr::from(([203, 0, 113, 7], 40_112)),
            edge: Some(SocketAddr::from(([192, 0, 2, 10], 5_223))),
            framing: Framing::Tcp,
            exporter: None,
            end_point: None,
        };
        let (stream, tracking) = (StreamId(1), TrackingId::from("t"));
        told.comes(stream, &link);
        let came = told.came(&tracking, stream).expect("it is outside");
        told.gone(stream);
        assert!(told.came(&tracking, stream).is_none());
        let now = Now {
            instant: Instant::now(),
            wall: Timestamp(5),
        };
        let Note::Story(event) = came.note(now) else {
            panic!("no story");
        };
        assert_eq!((event.tracking, event.at), (tracking, now.wall));
        let whence = "from XMPP 203.0.113.7:40112 by the edge 192.0.2.10:5223";
        assert_eq!(event.detail, whence);
    }
}
