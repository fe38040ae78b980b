//! Clients that are pushed to (XEP-0357): what they hand over, how long one that has no connection is waited for, and what
//! they hear of tokens that died.

use crate::{
    enabled::Enabled,
    ext,
    line::{Line, Waiting},
    management::head,
    session::{Session, Sleep, Way, device_of},
    settings::CALLS,
};
use domain::{DeviceId, DoorId, Handed, Now, behaviour::Incoming};
use hub::{DeviceUpdate, Directory, Meant, NotDone, Ticket};
use std::time::Duration;
use xmpp::{
    ns,
    stanza::{IqType, Stanza, StanzaCondition, StanzaError},
    xml::Element,
};

/// How often it is looked whether a client that sleeps can still be woken.
const LOOKS: Duration = Duration::from_hours(1);

impl Line {
    /// A client wants to be pushed to (XEP-0357 §5).
    pub(crate) fn wants_pushes(
        &mut self,
        now: Now,
        door: &DoorId,
        element: &Element,
        node: Option<&str>,
        update: Box<DeviceUpdate>,
    ) {
        let Some(session) = self.sessions.get(door) else {
            return;
        };
        if node.is_some_and(|node| !session.is_named(node)) {
            let text = "the node is the name of this device: its resource; or leave it out";
            let error = StanzaError::new(StanzaCondition::ItemNotFound).with_text(text);
            return self.refuse(now, door, element, &error);
        }
        let user = session.user.clone();
        let waiting = Waiting::Push(door.clone(), Box::new(head(element)));
        if let Some(ticket) = self.ticket_of(now, door, waiting) {
            let device = door.device.clone();
            self.tell(hub::Input::Enables(ticket, user, device, update));
        }
    }

    /// A client wants no pushes any more, for itself or for others of its user (XEP-0357 §6).
    pub(crate) fn wants_no_pushes(
        &mut self,
        now: Now,
        door: &DoorId,
        element: &Element,
        node: Option<&str>,
    ) {
        let Some(session) = self.sessions.get(door) else {
            return;
        };
        let device = node.map(|node| self.device_of(session, node));
        self.disables(now, door, element, Meant::Device(device));
    }

    /// A client takes back what is meant.
    pub(crate) fn disables(&mut self, now: Now, door: &DoorId, element: &Element, meant: Meant) {
        let Some(session) = self.sessions.get(door) else {
            return;
        };
        let user = session.user.clone();
        let waiting = Waiting::Push(door.clone(), Box::new(head(element)));
        if let Some(ticket) = self.ticket_of(now, door, waiting) {
            self.tell(hub::Input::Disables(ticket, user, meant, CALLS));
        }
    }

    /// The device of a client's user that is meant by this name.
    fn device_of(&self, session: &Session, node: &str) -> DeviceId {
        let mut all = self.sessions.of(&session.user);
        let named = all.find(|it| it.is_named(node));
        named.map_or_else(
            || device_of(&session.user, Some(node), node),
            |it| it.door.device.clone(),
        )
    }

    /// It is done, or not.
    pub(crate) fn push_is_set(&mut self, now: Now, ticket: Ticket, result: Result<(), NotDone>) {
        let Some(Waiting::Push(door, head)) = self.heard(ticket) else {
            return;
        };
        let Err(why) = result else {
            if let Some(session) = self.sessions.get_mut(&door) {
                session.push.is_unknown = true;
                self.touched.push(door.clone());
            }
            if let Some(reply) = Stanza::of(&head).map(Stanza::reply) {
                self.write(now, &door, &reply);
            }
            return;
        };
        let text = match why {
            NotDone::NoSuchApp => "no such app is configured: the operator adds it as [[push.app]]",
            NotDone::DeadToken => {
                "the push provider says that the token is dead: get a new one from the platform"
            }
            NotDone::Missing => "you have nothing of that name: leave the node out to mean all",

            NotDone::TooManyDevices => "too many devices: switch off pushes for one that is gone",
            _ => "not now: try again later",
        };
        let error = StanzaError::new(self.not_done(&why)).with_text(text);
        self.refuse(now, &door, &head, &error);
    }

    /// A question to the push service itself (XEP-0357 §4.2): what it can. It is published to by us alone.
    pub(crate) fn asks_push_service(
        &mut self,
        now: Now,
        door: &DoorId,
        element: &Element,
        kind: IqType,
    ) {
        let stanza = Stanza::of(element);
        let is_it = |payload: &Element| payload.is(ns::DISCO_INFO, "query");
        let payload = stanza.and_then(Stanza::payload);
        let question = stanza.filter(|_| kind == IqType::Get && payload.is_some_and(is_it));
        let Some(question) = question else {
            let condition = StanzaCondition::ServiceUnavailable;
            return self.refuse(now, door, element, &condition.into());
        };
        let answer = question.reply().with_child(ext::service());
        self.write(now, door, &answer);
    }

    /// Looks up what is to be known of how a client is pushed to.
    pub(crate) fn looks_up(&mut self, now: Now, directory: &Directory, door: &DoorId) {
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        let is_over = |sleep: &Sleep| sleep.until <= now.instant;
        if !session.push.is_unknown && !session.sleep.as_ref().is_some_and(is_over) {
            return;
        }
        session.push.is_unknown = false;
        session.push.can_wake = can_be_woken(directory, &door.device);
        let longest = self.settings.hibernation_with_push;
        let cap = session.management.resumable().map(|(_, cap)| cap);
        if let Some((sleep, cap)) = session
            .sleep
            .as_mut()
            .zip(cap)
            .filter(|(it, _)| is_over(it))
        {
            let end = sleep.since + longest.min(cap);
            if session.push.can_wake && end > now.instant {
                sleep.until = end.min(now.instant + LOOKS);
            }
        }
        let hears = session.push.is_to_hear && session.way == Way::Open;
        if hears {
            session.push.is_to_hear = false;
            self.tells_of_dead_tokens(now, directory, door);
        }
    }

    /// A client hears that it is not pushed to any more since its token is dead (XEP-0357 §8): it hands over another.
    fn tells_of_dead_tokens(&mut self, now: Now, directory: &Directory, door: &DoorId) {
        let entry = directory.get(&door.device);
        let is_dead = |token: &domain::Token| {
            token.dead.is_some() && !matches!(token.handed, Handed::Through(_))
        };
        let dead = entry.and_then(|entry| entry.device.tokens.iter().find(|it| is_dead(it)));
        let (Some(dead), Some(session)) = (dead, self.sessions.get(door)) else {
            return;
        };
        let word = if let Some(enabled) = Enabled::read(&dead.value) {
            // In the name of the service that said so.
            ext::disabled(enabled.jid.as_str(), &enabled.node, &session.jid)
        } else {
            let service = self.settings.push_service(session.user.domain());
            let node = session.jid.resource().unwrap_or_default();
            ext::disabled(&service, node, &session.jid)
        };
        self.write(now, door, &word);
    }
}

/// Whether a device can be pushed to for a message or a call.
fn can_be_woken(directory: &Directory, device: &DeviceId) -> bool {
    let Some(entry) = directory.get(device) else {
        return false;
    };
    let profile = directory.profile(entry.device.app.as_ref());
    let all = [Incoming::Message, Incoming::Call];
    all.iter().any(|it| entry.push_target(*it, profile).is_ok())
}
