//! Messages, from the client that writes one to those that get it (RFC 6121 §5, §8).

use crate::{
    calls::{self, Action, Kept, Proposal, Word},
    classify,
    components::Writer,
    ext, letters,
    line::{Line, Waiting},
    management::{Kind, head},
    markers::Marker,
    route::Route,
    session::{Session, Way},
    vocabulary::{Letter, Output, Post},
};
use bytes::Bytes;
use domain::{Address, Class, DoorId, Message, Now, TrackingId};
use std::time::Duration;
use xmpp::{
    stanza::{MessageType, StanzaCondition},
    xml::Element,
};

/// A message that comes so long after it was written says when that was (XEP-0203).
const LATE: Duration = Duration::from_secs(2);

/// Where a message goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// To all of the user's devices, now or when they come.
    User,
    /// To the client that it is for.
    Client,
    /// To the client that it is for, which takes no others, and to all of the user's devices.
    Both,
    /// Nowhere, and its writer does not hear of it.
    Nowhere,
    /// Nowhere.
    Refused,
}

impl Place {
    /// RFC 6121 §8.5.4, Table 1. `client`: what is at the address, if it is a full one. Where nothing is, what has a text goes
    /// to the user all the same: it would be lost.
    fn of(kind: MessageType, class: Class, bare: bool, client: Option<&Session>) -> Self {
        use MessageType::*;
        let hears_all = client.is_none_or(Session::takes_messages);
        match (kind, client.is_some()) {
            (Groupchat, false) => Self::Refused,
            (Headline, false) if bare => Self::User,
            (Headline | Error, false) => Self::Nowhere,
            (Groupchat | Headline | Error, true) => Self::Client,
            (Normal | Chat, true) if !letters::is_kept(class) => Self::Client,
            (Normal | Chat, true) if !hears_all => Self::Both,
            (Normal | Chat, _) => Self::User,
        }
    }
}

impl Line {
    /// A client writes to somebody (RFC 6121 §5).
    pub(crate) fn message(
        &mut self,
        now: Now,
        door: &DoorId,
        mut element: Element,
        kind: MessageType,
        route: Route,
    ) {
        if let Route::Component(_) = route {
            return self.writes_to_component(now, door, element, kind);
        }
        let Route::User(reader, to) = route else {
            let (from, to) = ["from", "to"]
                .map(|it| element.attr(it).unwrap_or_default())
                .into();
            self.turns_back(now, (from, to), &element, "it is nobody of ours");
            return self.refuse(
                now,
                door,
                &element,
                &StanzaCondition::ServiceUnavailable.into(),
            );
        };
        let Some(session) = self.sessions.get(door) else {
            return;
        };
        let (from, user, stream) = (session.jid.clone(), session.user.clone(), session.stream);
        letters::honest(&mut element, &user, &self.settings);
        let class = classify::class(kind, &element);
        // RFC 6121 §8.5.2.2.1: nobody hears that an error or a headline was not for anybody.
        let is_answered = !matches!(kind, MessageType::Error | MessageType::Headline);
        let head = is_answered.then(|| Box::new(head(&element)));
        let tracking: TrackingId = self.namer.fresh(now.wall);
        // When it is kept its writer may be gone, or here anew from elsewhere.
        let came = letters::is_kept(class).then(|| self.told.came(&tracking, stream));
        let waiting = Waiting::Letter(door.clone(), head, came.flatten());
        let Some(ticket) = self.ticket_of(now, door, waiting) else {
            return;
        };
        if class == Class::Call {
            self.callee_says(now, door, &reader, &element);
        }
        self.attends(door, &user, &reader, class, &element);
        let is_conversation = kind == MessageType::Chat || letters::is_kept(class);
        if is_conversation && user != reader {
            self.copy(now, "sent", &user, door, &element);
        }
        let name = self
            .accounts
            .get(&user)
            .map(|user| user.display_name.clone());
        let letter = Letter {
            ticket,
            from,
            from_name: name.unwrap_or_default(),
            to,
            kind,
            class,
            tracking,
            stanza: element,
        };
        self.post(reader, Post::Letter(Box::new(letter)));
    }

    /// A client writes to a component: that is kept nowhere.
    fn writes_to_component(
        &mut self,
        now: Now,
        door: &DoorId,
        mut element: Element,
        kind: MessageType,
    ) {
        let Some(user) = self.sessions.get(door).map(|it| it.user.clone()) else {
            return;
        };
        letters::honest(&mut element, &user, &self.settings);
        if kind == MessageType::Chat {
            self.copy(now, "sent", &user, door, &element);
        }
        self.goes(element);
    }

    /// Who writes, types or reads is at this client; what they have read is told to their other devices (XEP-0333).
    fn attends(
        &mut self,
        door: &DoorId,
        user: &Address,
        peer: &Address,
        class: Class,
        message: &Element,
    ) {
        if class != Class::Chat && !classify::is_of_somebody(message) {
            return;
        }
        self.tell(hub::Input::Used(door.device.clone()));
        self.marks(Marker::of_client(user, &door.device, peer, message));
        if class == Class::Chat {
            let (user, device) = (user.clone(), door.device.clone());
            self.tell(hub::Input::Attends(user, device, peer.as_str().to_owned()));
        }
    }

    /// Copies a message to the user's other clients that want that (XEP-0280).
    pub(crate) fn copy(
        &mut self,
        now: Now,
        how: &str,
        user: &Address,
        but: &DoorId,
        message: &Element,
    ) {
        self.copy_to_all(now, how, user, Some(but), message);
    }

    /// A phone of the user's has sent something: their clients that want that get a copy (XEP-0280).
    pub(crate) fn sent_by_phone(&mut self, now: Now, user: &Address, message: &Message) {
        self.marks(Marker::of_phone(user, message));
        if self.sessions.of(user).any(|it| it.follows.carbons)
            && let Some(stanza) = letters::archived(message, user)
        {
            self.copy_to_all(now, "sent", user, None, &stanza);
        }
    }

    fn copy_to_all(
        &mut self,
        now: Now,
        how: &str,
        user: &Address,
        but: Option<&DoorId>,
        message: &Element,
    ) {
        let wants = |it: &&Session| it.follows.carbons && Some(&it.door) != but && it.is_there();
        let others = self.sessions.of(user).filter(wants);
        let copy = |it: &Session| {
            let copy = ext::copy(how, message, user, &it.jid)?;
            Some((it.door.clone(), it.octets(&copy)))
        };
        let copies: Vec<_> = others.filter_map(copy).collect();
        for (door, octets) in copies {
            self.give(now, &door, octets, Kind::Passing);
        }
    }

    /// Somebody writes to a user of ours (RFC 6121 §8.5).
    pub(crate) fn letter(&mut self, now: Now, to: &Address, letter: Letter) {
        let Some(writer) = Writer::of(&letter.from, &self.settings) else {
            return;
        };
        let ticket = letter.ticket;
        // RFC 6121 §8.5.1; who is blocked hears the same (XEP-0191 §3.3).
        let unavailable = StanzaCondition::ServiceUnavailable;
        if !self.accounts.has(to) {
            let why = (unavailable, "there is no such user");
            return self.refuses_letter(now, writer, &letter, why);
        }
        if self.accounts.bars(to, letter.from.as_str()) {
            let why = format!("{to} has blocked them");
            return self.refuses_letter(now, writer, &letter, (unavailable, &why));
        }
        let session = self.sessions.at(to, &letter.to);
        let place = Place::of(letter.kind, letter.class, letter.to.is_bare(), session);
        let door = session.map(|session| session.door.clone());
        match place {
            Place::Refused => {
                let why = (unavailable, "nobody is there for a message of this type");
                return self.refuses_letter(now, writer, &letter, why);
            }
            Place::Nowhere => return self.settles_for(writer, ticket, Ok(())),
            Place::Client => {
                if let Some(door) = door {
                    let mut stanza = letter.stanza;
                    letters::unstamp(&mut stanza, to);
                    self.write(now, &door, &stanza);
                    if letter.kind == MessageType::Chat {
                        self.copy(now, "received", to, &door, &stanza);
                    }
                }
                return self.settles_for(writer, ticket, Ok(()));
            }
            Place::User | Place::Both => {}
        }
        let call = match self.call_of(now, to, &writer, &letter) {
            Ok(call) => call,
            Err(why) => {
                let why = (why, "too many calls are offered");
                return self.refuses_letter(now, writer, &letter, why);
            }
        };
        let id = self.namer.fresh(now.wall);
        let message = letters::keep(letter, to, id, now.wall);
        if let Some(session) = door.and_then(|door| self.sessions.get_mut(&door)) {
            let got = place == Place::Both;
            // Of one that is not there nobody knows whether it comes back.
            let is_its = session.is_door_open() && session.way != Way::Inherited;
            if (got || is_its) && session.management.is_up() {
                session.expects(message.id.clone(), got);
            }
            if place == Place::Both {
                let octets = letters::octets(&message, session.framing, false);
                let door = session.door.clone();
                self.give(now, &door, octets, Kind::Passing);
            }
        }
        let ticket = self.ticket(match call {
            Some(kept) => Waiting::Caller(writer, ticket, Box::new(kept)),
            None => Waiting::Writer(writer, ticket, message.clone()),
        });
        self.tell(hub::Input::Arrived(ticket, message));
    }

    /// What a letter does to a call when it is kept, or why it may not.
    fn call_of(
        &mut self,
        now: Now,
        to: &Address,
        writer: &Writer,
        letter: &Letter,
    ) -> Result<Option<Kept>, StanzaCondition> {
        // What somebody of a component's offers is a message like others: it rings with whoever is there.
        let Writer::User(writer) = writer else {
            return Ok(None);
        };
        if letter.class != Class::Call || to == writer {
            return Ok(None);
        }
        let Some((action, id)) = calls::read(&letter.stanza) else {
            return Ok(None);
        };
        let (callee, caller) = (to.clone(), writer.clone());
        if action != Action::Propose {
            let id = id.into();
            return Ok(Some(Kept::Says(Word {
                callee,
                caller,
                id,
                action,
            })));
        }
        let proposal = Proposal {
            callee,
            caller,
            caller_name: letter.from_name.clone(),
            id: id.into(),
            tracking: letter.tracking.clone(),
        };
        Ok(self.proposed(now, proposal)?.map(Kept::Begins))
    }

    /// A message goes to a client, over its stream.
    pub(crate) fn send(&mut self, now: Now, door: &DoorId, message: &Message) {
        let device = door.device.clone();
        let Some(session) = self.sessions.get_mut(door) else {
            let why = "no connection".to_owned();
            let failed = hub::Input::Unacknowledged(door.clone(), message.id.clone(), why);
            return self.tell(failed);
        };
        let id = message.id.clone();
        if session.management.has(&id) {
            // The hub gives it again after a break; the client has it, or was sent it again, and has not said so yet.
            return;
        }
        let is_enabled = session.management.is_enabled();
        if is_enabled && !(session.takes_messages() && session.management.is_up()) {
            // It waits; if no other client was given it and the device is about to be none, it waits for them.
            if session.owns(&id) {
                session.is_owed = true;
                self.tell(hub::Input::Alone(device.clone()));
            }
            let why = "not there any more".to_owned();
            return self.tell(hub::Input::Unacknowledged(door.clone(), id, why));
        }
        let Some(session) = self.sessions.get(door) else {
            return;
        };
        let octets = self.for_client(now, session, message);
        let is_counted = is_enabled && octets.is_some();
        let to = (&device, session.stream);
        let told = self.told.goes(now, &message.tracking, to);
        let told = told.filter(|_| octets.is_some()).map(Output::Note);
        self.out.extend(told);
        if let Some(octets) = octets {
            self.give(now, door, octets, Kind::Kept(id.clone()));
            if message.class == Class::Call {
                self.end_follows(now, door, message);
            }
        }
        if !is_counted {
            // Without stream management (XEP-0198) nothing is ever acknowledged.
            if let Some(session) = self.sessions.get_mut(door) {
                session.gets(&id);
            }
            self.tell(hub::Input::Acknowledged(device, id, false));
        }
    }

    /// A message that is kept nowhere goes to a client.
    pub(crate) fn relay(&mut self, now: Now, door: &DoorId, message: &Message) {
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        if session.management.takes_over(&message.id) {
            // It was written before its door was gone.
            return self.is_otherwise(door);
        }
        let Some(session) = self.sessions.get(door) else {
            return;
        };
        let Some(octets) = self.for_client(now, session, message) else {
            return;
        };
        if letters::is_kept(message.class) {
            // The hub does not keep it any more: this is all of it.
            return self.give(now, door, octets, Kind::Needed);
        }
        let stanza = session
            .management
            .holds_states()
            .then(|| letters::stanza(message));
        let kind = stanza.flatten().map(|it| Kind::of(&it, &session.jid));
        self.give(now, door, octets, kind.unwrap_or(Kind::Passing));
    }

    /// A message as a client gets it: as it is, as a copy if it is for another one (XEP-0280), or not at all.
    pub(crate) fn for_client(
        &self,
        now: Now,
        session: &Session,
        message: &Message,
    ) -> Option<Bytes> {
        let late = now.wall.since(message.at) > LATE;
        let others = self.sessions.of(&session.user);
        let mut others = others.filter(|it| it.door != session.door);
        if others.any(|it| it.owns(&message.id)) {
            let stanza = letters::stanza(message).filter(|_| session.follows.carbons)?;
            let copy = ext::copy("received", &stanza, &session.user, &session.jid)?;
            return Some(session.octets(&copy));
        }
        Some(letters::octets(message, session.framing, late))
    }
}
