//! Stream management between clients and the line (XEP-0198): what they say of it, sessions that outlive their
//! connections, and when something is to be done about one.
//!
//! A message of the hub's is in two queues, the hub's and that of its session. The session's is sent again after a break,
//! in order with all other stanzas; the hub, told that the door leads over a new way, gives its own again, and what the
//! session has still in its queue is not written a second time. So what the client has got is told to the hub message by
//! message: the hub may have given up on them meanwhile, and would not find them on their way.

use crate::{
    line::Line,
    management::{Had, Kind, Say, failed, too_high},
    presence,
    session::{Sleep, Way},
};
use domain::{DoorId, DoorState, MessageId, Now, Refusal};
use hub::Said;
use std::time::{Duration, Instant};
use xmpp::{
    management::WhyFailed,
    ns,
    stanza::StanzaCondition,
    xml::{Element, StreamCondition, StreamError},
};

impl Line {
    /// What a client says of stream management.
    pub(crate) fn manages(&mut self, now: Now, door: &DoorId, element: &Element) {
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        self.touched.push(door.clone());
        let is_enabled = session.management.is_enabled();
        match element.local() {
            "enable" if !is_enabled => {
                let stream = session.stream;
                if let Some(enabled) = self.enables(now, door, element)
                    && let Some(session) = self.sessions.get(door)
                {
                    let octets = session.octets(&enabled);
                    self.put(stream, octets);
                }
            }
            "r" if is_enabled => session.management.asked(now.instant),
            "a" if is_enabled => self.acknowledges(now, door, element),
            // XEP-0198 §3: not twice, and not before.
            _ => {
                let failed = session.octets(&failed(None, WhyFailed::OutOfTurn));
                let stream = session.stream;
                self.put(stream, failed);
            }
        }
    }

    /// Counts from here on (XEP-0198 §3). Gives back what the client is told.
    pub(crate) fn enables(
        &mut self,
        now: Now,
        door: &DoorId,
        element: &Element,
    ) -> Option<Element> {
        let entropy = self.entropy();
        let (short, long) = (
            self.settings.hibernation,
            self.settings.hibernation_with_push,
        );
        let rules = (self.settings.policy, self.settings.answering);
        let session = self.sessions.get_mut(door)?;
        let wants = matches!(element.attr("resume"), Some("true" | "1"));
        let seconds = element.attr("max").and_then(|it| it.parse().ok());
        let cap = seconds.map_or(Duration::MAX, Duration::from_secs);
        let most = if session.push.can_wake { long } else { short };
        let time = most.min(cap);
        let id = wants.then(|| self.keys.id(session.user.as_str(), entropy));
        let mut enabled = Element::new(ns::SM, "enabled");
        if let Some(id) = &id {
            enabled.set_attr("id", id.as_str());
            enabled.set_attr("resume", "true");
            enabled.set_attr("max", time.as_secs().to_string());
        }
        let resumable = id.map(|id| (id, cap));
        session.management.enable(now.instant, rules, resumable);
        Some(enabled)
    }

    /// XEP-0198 §4.
    fn acknowledges(&mut self, now: Now, door: &DoorId, element: &Element) {
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        let Some(handled) = element.attr("h").and_then(|it| it.trim().parse().ok()) else {
            let text = "an <a/> without a count";
            return self.breaks(now, door, StreamCondition::BadFormat, text);
        };
        let got = match session.management.acknowledged(now.instant, handled) {
            Ok(got) => got,
            Err(error) => return self.ends(now, door, Some(&too_high(error))),
        };
        let is_back = got.any && session.way == Way::Doubted;
        self.has_got(door, got.messages);
        self.given(door, got.given);
        if is_back {
            self.open(now, door);
        }
    }

    /// A client has got these messages of the hub's.
    pub(crate) fn has_got(&mut self, door: &DoorId, messages: Vec<Had>) {
        for Had { id, elsewhere } in messages {
            if let Some(session) = self.sessions.get_mut(door) {
                session.gets(&id);
            }
            let device = door.device.clone();
            self.tell(if elsewhere {
                hub::Input::HadElsewhere(device, id)
            } else {
                hub::Input::Acknowledged(device, id, false)
            });
        }
        let session = self.sessions.get(door);
        if session.is_some_and(|it| it.way == Way::Closing && !it.management.has_any()) {
            self.close(door);
        }
    }

    /// A message goes to the device by another door of it: what of it was written to this client and is not acknowledged is
    /// not written again when it goes on, so that it comes once (`behaviour.md` 16.6).
    pub(crate) fn withdraw(&mut self, door: &DoorId, message: &MessageId) {
        if let Some(session) = self.sessions.get_mut(door)
            && session.management.withdraw(message)
        {
            self.is_otherwise(door);
        }
    }

    /// What is on its way to a client is not what it was: if its session is kept, it is kept anew.
    pub(crate) fn is_otherwise(&mut self, door: &DoorId) {
        if let Some(session) = self.sessions.get_mut(door)
            && session.sleep.is_some()
        {
            session.keeping.is_stale = true;
            self.touched.push(door.clone());
        }
    }

    /// There was no room for something.
    pub(crate) fn lost(&mut self, now: Now, door: &DoorId, kind: Kind) {
        match kind {
            Kind::Kept(id) => {
                let why = "too much is on its way to it".to_owned();
                self.tell(hub::Input::Unacknowledged(door.clone(), id, why));
                self.doubts(now, door);
            }
            Kind::Question(head) => self.bounce(&head, StanzaCondition::RecipientUnavailable),
            Kind::Needed => {
                self.counts(Refusal::Requests);
                let text = "too much is on its way, and none of it acknowledged";
                self.end(now, door, Some(StreamCondition::ResourceConstraint), text);
            }
            Kind::Presence(_) | Kind::State(_) | Kind::Passing | Kind::Withdrawn(_) => {}
        }
    }

    /// The client has not acknowledged a message in time: it counts as asleep (`behaviour.md` 6.4), though its stream is
    /// given more time.
    pub(crate) fn doubts(&mut self, now: Now, door: &DoorId) {
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        if !session.management.is_enabled() {
            let text = "no answer";
            return self.breaks(now, door, StreamCondition::ConnectionTimeout, text);
        }
        if session.way == Way::Open && session.management.is_up() {
            session.way = Way::Doubted;
            self.tell(hub::Input::DoorLost(door.clone(), DoorState::Down));
        }
    }

    /// A session's connection is to be given up, for this reason.
    pub(crate) fn breaks(
        &mut self,
        now: Now,
        door: &DoorId,
        condition: StreamCondition,
        text: &'static str,
    ) {
        let error = StreamError::new(condition, text).element();
        self.closes(door, Some(&error));
        self.drops(now, door);
    }

    /// A session has no connection any more: it waits for its client, if that may come back, else it is over.
    pub(crate) fn drops(&mut self, now: Now, door: &DoorId) {
        let Some(session) = self.sessions.disconnect(door) else {
            return;
        };
        let Some((_, cap)) = session.management.resumable() else {
            return self.leave(now, door);
        };
        session.management.suspend();
        // It is not handled: the client says it again.
        session.early = Vec::new();
        // One that can be woken is given more time when this is over.
        let until = now.instant + self.settings.hibernation.min(cap);
        session.sleep = Some(Sleep {
            since: now.instant,
            until,
        });
        session.keeping.is_stale = true;
        tracing::debug!(jid = %session.jid, "a client has lost its connection");
        let (user, name) = (session.user.clone(), presence::name(session));
        let (is_door_open, is_available) = (session.is_door_open(), session.is_there());
        self.touched.push(door.clone());
        if is_door_open {
            self.tell(hub::Input::DoorLost(door.clone(), DoorState::Down));
        }
        if is_available {
            self.says(user, Said::Suspended(name, true));
        }
    }

    /// Says what is due to be said to a client, and files when something is due next.
    pub(crate) fn polls(&mut self, now: Now, door: &DoorId) {
        self.claims_no_more(now, door);
        while let Some(session) = self.sessions.get_mut(door) {
            if session.sleep.is_some_and(|it| it.until <= now.instant) {
                return self.leave(now, door);
            }
            let word = match session.management.poll(now.instant) {
                None => break,
                Some(Say::Ask) => Element::new(ns::SM, "r"),
                Some(Say::Answer(handled)) => {
                    Element::new(ns::SM, "a").with_attr("h", handled.to_string())
                }
                Some(Say::Dead) => {
                    let text = "no answer";
                    self.breaks(now, door, StreamCondition::ConnectionTimeout, text);
                    continue;
                }
            };
            let (stream, octets) = (session.stream, session.octets(&word));
            self.put(stream, octets);
        }
        self.files(door);
    }

    fn files(&mut self, door: &DoorId) {
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        let until = session.sleep.map(|it| it.until);
        let times = [session.management.next_timeout(), until, session.claims_by];
        let next = times.into_iter().flatten().min();
        let before = std::mem::replace(&mut session.filed, next);
        if before != next {
            before.map(|at| self.alarms.remove(&(at, door.clone())));
            next.map(|at| self.alarms.insert((at, door.clone())));
        }
    }

    /// The next session whose time has come.
    pub(crate) fn due(&mut self, now: Instant) -> Option<DoorId> {
        let (at, _) = self.alarms.first().filter(|(at, _)| *at <= now)?;
        let at = *at;
        let (_, door) = self.alarms.pop_first()?;
        if let Some(session) = self.sessions.get_mut(&door) {
            session.filed = session.filed.filter(|filed| *filed != at);
        }
        Some(door)
    }
}
