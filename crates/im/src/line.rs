//! What all parts of the role speak with: who is there, who waits for what, and the words that go out.

use crate::{
    begun::Begun,
    calls::{Calls, Kept},
    components::{Components, Writer},
    former::Former,
    management::{Given, Kind, Written},
    markers::Marker,
    publications::Publications,
    sessions::Sessions,
    settings::Settings,
    sign_in::Of,
    told::{Came, Told},
    vocabulary::{Output, Post},
};
use bytes::Bytes;
use domain::{Address, DoorId, IdMap, Message, Namer, Now, Refusal};
use hub::{Accounts, NotDone, Said, Ticket};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Instant,
};
use xmpp::{
    StreamId,
    jid::Jid,
    management::{IdKey, Seq},
    stanza::{self, Stanza, StanzaCondition, StanzaError},
    stream::Framing,
    xml::Element,
};

/// Tickets of this role have numbers from here on: no other role's have.
pub const TICKETS: u64 = 1 << 63;

/// What one client said and waits for an answer; beyond that it is told to wait.
const UNDER_WAY: usize = 1_024;

/// Who waits for the hub's word on something.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// The writer of a letter, at their role.
    Writer(Writer, Ticket, Arc<Message>),
    /// The same of one that says something of a call, and what that does then.
    Caller(Writer, Ticket, Box<Kept>),
    /// A component, for what becomes of a message of its own; the message without what is in it, if it is to hear of a failure.
    Component(Box<str>, Option<Box<Element>>),
    /// A client of ours, for whether it is done; what it said, without what is in it, to answer it by, unless nobody wants an
    /// answer.
    Client(DoorId, Option<Box<Element>>),
    /// The same for a letter of its; and, if that is kept and came from outside, which story says whence.
    Letter(DoorId, Option<Box<Element>>, Option<Box<Came>>),
    /// A client, for whether its user has the other password that it wants.
    Password(DoorId, Box<Element>),
    /// A client, for whether the hub opens its door.
    Door(DoorId),
    /// A client, for the roster; and the version of it that it has already.
    Roster(DoorId, Box<Element>, Option<Box<str>>),
    /// Those whom a client told for themselves that it is there: it is gone, and they hear so unless the roster says that they
    /// hear it anyway (RFC 6121 §4.6.3).
    Farewell(Box<Element>, Vec<Jid>),
    /// A client, for something that is read.
    Query(DoorId),
    /// A user who has read something, for which message that was.
    Marker(Box<Marker>),
    /// Somebody who has no account yet, and was invited.
    Guest(StreamId),
    /// Somebody's client, for when a user of ours was there last; its question.
    Looks(Box<Element>),
    /// Somebody's question to a client of this user, for whether they may know that it is there.
    Question(Address, Box<Element>),
    /// A client, for whether pushes are on or off.
    Push(DoorId, Box<Element>),
    /// A session (by its number, too), to be kept or not any more.
    Session(DoorId, u64),
    /// A client that signs in, for its tokens to be read or kept.
    SignIn(Of),
}

/// A stanza of a session's, of which it is not settled yet what becomes of it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) door: DoorId,
    /// The session that it is of: another may have its door by then.
    pub(crate) number: u64,
    pub(crate) seq: Seq,
}

/// See above.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) settings: Arc<Settings>,
    pub(crate) accounts: Accounts,
    pub(crate) sessions: Sessions,
    pub(crate) waiting: IdMap<Ticket, Waiting>,
    pub(crate) namer: Namer,
    /// Since when we run.
    pub(crate) began: Option<Instant>,
    tickets: u64,
    pub(crate) out: VecDeque<Output>,
    /// Of the last session.
    pub(crate) numbers: u64,
    /// Names sessions that can be resumed.
    pub(crate) keys: IdKey,
    /// Sessions that are over.
    pub(crate) former: Former,
    /// Calls of our users.
    pub(crate) calls: Calls,
    pub(crate) told: Told,
    /// Those that are connected and ours.
    pub(crate) components: Components,
    /// What they have not answered.
    pub(crate) publications: Publications,
    /// What our users begin with others.
    pub(crate) begun: Begun,
    /// When something is due of whom.
    pub(crate) alarms: BTreeSet<(Instant, DoorId)>,
    /// Sessions of which something has changed, so that something may be due.
    pub(crate) touched: Vec<DoorId>,
    /// Stanzas for which there was no room, and of whose they were.
    pub(crate) lost: Vec<(DoorId, Kind)>,
    /// Clients that wait to go on and cannot, with how much of what they sent was handled, if that is known.
    pub(crate) turned_away: Vec<(StreamId, Option<u32>)>,
    /// What users have read, to be looked for; and how much of it is.
    pub(crate) marked: Vec<Marker>,
    pub(crate) looked_for: usize,
    /// The stanza that is being read, until somebody waits for what becomes of it.
    pub(crate) reading: Option<Place>,
    /// The stanzas that wait with these tickets.
    places: IdMap<Ticket, Place>,
}

impl Line {
    /// Of one shard; see [`Role::new`](crate::Role::new).
    pub(crate) fn new(settings: Arc<Settings>, accounts: Accounts, seed: [u8; 32]) -> Self {
        Self {
            keys: IdKey::new(settings.secret),
            numbers: 0,
            former: Former::default(),
            calls: Calls::default(),
            told: Told::default(),
            components: Components::default(),
            publications: Publications::default(),
            begun: Begun::new(settings.user_stanzas),
            alarms: BTreeSet::new(),
            touched: Vec::new(),
            lost: Vec::new(),
            turned_away: Vec::new(),
            marked: Vec::new(),
            looked_for: 0,
            reading: None,
            places: IdMap::default(),
            settings,
            accounts,
            sessions: Sessions::default(),
            waiting: IdMap::default(),
            namer: Namer::new(seed),
            began: None,
            tickets: TICKETS,
            out: VecDeque::new(),
        }
    }

    /// Octets that nobody can guess.
    pub(crate) fn entropy<const N: usize>(&mut self) -> [u8; N] {
        let mut octets = [0; N];
        for part in octets.chunks_mut(8) {
            let bits = self.namer.bits().to_be_bytes();
            part.copy_from_slice(&bits[..part.len()]);
        }
        octets
    }

    /// A new ticket, by which somebody waits.
    pub(crate) fn ticket(&mut self, waiting: Waiting) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.waiting.insert(ticket, waiting);
        if let Some(place) = self.reading.take() {
            self.places.insert(ticket, place);
        }
        ticket
    }

    /// A new ticket, by which nobody waits.
    pub(crate) fn ticket_of_nobody(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// A new ticket for something that the stanza which is being read does not wait for: it is handled when it is read.
    pub(crate) fn ticket_apart(&mut self, waiting: Waiting) -> Ticket {
        let reading = self.reading.take();
        let ticket = self.ticket(waiting);
        self.reading = reading;
        ticket
    }

    /// A new ticket, by which a client waits; nothing if it waits for too much already: it is told so, if it wants an answer.
    pub(crate) fn ticket_of(
        &mut self,
        now: Now,
        door: &DoorId,
        waiting: Waiting,
    ) -> Option<Ticket> {
        let session = self.sessions.get_mut(door)?;
        if session.under_way < UNDER_WAY {
            session.under_way += 1;
            return Some(self.ticket(waiting));
        }
        if let Waiting::Client(_, Some(head))
        | Waiting::Letter(_, Some(head), _)
        | Waiting::Password(_, head)
        | Waiting::Roster(_, head, _)
        | Waiting::Push(_, head) = waiting
        {
            self.refuse_more(now, door, &head);
        }
        None
    }

    /// Whether somebody waits for a door by this ticket.
    pub(crate) fn is_for_door(&self, ticket: Ticket) -> bool {
        matches!(self.waiting.get(&ticket), Some(Waiting::Door(_)))
    }

    /// Whether somebody waits for pushes by this ticket.
    pub(crate) fn is_for_push(&self, ticket: Ticket) -> bool {
        matches!(self.waiting.get(&ticket), Some(Waiting::Push(..)))
    }

    /// Whether a call waits for what its caller says by this ticket.
    pub(crate) fn is_for_call(&self, ticket: Ticket) -> bool {
        matches!(self.waiting.get(&ticket), Some(Waiting::Caller(..)))
    }

    /// The client that waits by this ticket to sign in: it is over.
    pub(crate) fn signing_in(&mut self, ticket: Ticket) -> Option<Of> {
        match self.waiting.get(&ticket)? {
            Waiting::SignIn(_) => match self.heard(ticket)? {
                Waiting::SignIn(of) => Some(of),
                _ => None,
            },
            _ => None,
        }
    }

    /// Who waited by a ticket: it is over.
    pub(crate) fn heard(&mut self, ticket: Ticket) -> Option<Waiting> {
        if let Some(place) = self.places.remove(&ticket) {
            self.settles(&place);
        }
        let waiting = self.waiting.remove(&ticket)?;
        if let Waiting::Component(domain, _) = &waiting {
            self.components.is_answered(domain);
        }
        if let Waiting::Client(door, _)
        | Waiting::Letter(door, ..)
        | Waiting::Password(door, _)
        | Waiting::Roster(door, ..)
        | Waiting::Push(door, _) = &waiting
            && let Some(session) = self.sessions.get_mut(door)
        {
            // It may be another than the one that asked, which waits for nothing yet.
            session.under_way = session.under_way.saturating_sub(1);
        }
        Some(waiting)
    }

    /// Writes these octets to a stream: what is no stanza for a session; those are [given](Self::give).
    pub(crate) fn put(&mut self, stream: StreamId, octets: Bytes) {
        self.out.push_back(Output::Write(stream, octets));
    }

    /// Closes a stream's connection after what was written.
    pub(crate) fn hang_up(&mut self, stream: StreamId) {
        self.out.push_back(Output::End(stream));
    }

    /// Tells the role of another user.
    pub(crate) fn post(&mut self, to: Address, post: Post) {
        self.out.push_back(Output::Post(to, post));
    }

    /// Tells the hub.
    pub(crate) fn tell(&mut self, input: hub::Input) {
        self.out.push_back(Output::Hub(input));
    }

    /// Tells the hub what a user says.
    pub(crate) fn says(&mut self, user: Address, said: Said) {
        self.tell(hub::Input::Said(user, said));
    }

    /// A stanza goes to a client. All of them go through here, whether they are written now, later or never.
    pub(crate) fn give(&mut self, now: Now, door: &DoorId, octets: Bytes, kind: Kind) {
        let Some(session) = self.sessions.get_mut(door) else {
            return;
        };
        // Without it the client would not know where it is.
        session.keeping.is_stale |= session.sleep.is_some() && kind == Kind::Needed;
        let given = session
            .management
            .give(now.instant, Written { octets, kind });
        self.given(door, given);
    }

    /// What comes of something that was given to a session.
    pub(crate) fn given(&mut self, door: &DoorId, given: Given) {
        let Some(session) = self.sessions.get(door) else {
            return;
        };
        let stream = session.stream;
        for octets in given.octets {
            self.put(stream, octets);
        }
        self.touched.push(door.clone());
        let lost = given.lost.into_iter();
        self.lost.extend(lost.map(|kind| (door.clone(), kind)));
    }

    /// It is settled what becomes of a client's stanza.
    pub(crate) fn settles(&mut self, place: &Place) {
        let session = self.sessions.get_mut(&place.door);
        if let Some(session) = session.filter(|it| it.number == place.number) {
            session.management.settled(place.seq);
            self.touched.push(place.door.clone());
        }
    }

    /// Writes to a client.
    pub(crate) fn write(&mut self, now: Now, door: &DoorId, element: &Element) {
        if let Some(session) = self.sessions.get(door) {
            let (octets, kind) = (session.octets(element), Kind::of(element, &session.jid));
            self.give(now, door, octets, kind);
        }
    }

    /// Somebody is refused for this reason: it is counted.
    pub(crate) fn counts(&mut self, why: Refusal) {
        self.out.push_back(Output::Refused(why));
    }

    /// Why something was not done, as a client hears it; that there was too much to do is counted.
    pub(crate) fn not_done(&mut self, why: &NotDone) -> StanzaCondition {
        if matches!(why, NotDone::Overloaded) {
            self.counts(Refusal::Overloaded);
        }
        condition(why)
    }

    /// A client has as much under way as it may, and hears so.
    pub(crate) fn refuse_more(&mut self, now: Now, door: &DoorId, element: &Element) {
        self.counts(Refusal::Requests);
        let condition = StanzaCondition::ResourceConstraint;
        self.refuse(now, door, element, &condition.into());
    }

    /// The same of a component.
    pub(crate) fn refuse_more_of_component(&mut self, domain: &str, element: &Element) {
        self.counts(Refusal::Requests);
        self.refuses_component(domain, element, StanzaCondition::ResourceConstraint);
    }

    /// Answers a client's stanza with an error, if it is one that is answered.
    pub(crate) fn refuse(
        &mut self,
        now: Now,
        door: &DoorId,
        element: &Element,
        error: &StanzaError,
    ) {
        let answer = Stanza::of(element).and_then(|stanza| stanza.error(error));
        if let Some(answer) = answer {
            self.write(now, door, &answer);
        }
    }

    /// A question that nobody will answer.
    pub(crate) fn bounce(&mut self, element: &Element, condition: StanzaCondition) {
        let Some(stanza) = Stanza::of(element).filter(|it| it.kind() == stanza::Kind::Iq) else {
            return;
        };
        if let Some(answer) = stanza.error(&StanzaError::new(condition)) {
            self.goes(answer);
        }
    }

    /// A stanza goes to the client that it is for, if that is there.
    pub(crate) fn hands_over(&mut self, now: Now, to: &Address, element: &Element) {
        let address = Stanza::of(element).and_then(|stanza| stanza.to().ok().flatten());
        let session = address.and_then(|address| self.sessions.at(to, &address));
        if let Some(door) = session.map(|session| session.door.clone()) {
            return self.write(now, &door, element);
        }
        self.bounce(element, StanzaCondition::ServiceUnavailable);
    }

    /// A stanza goes to whom it is addressed to: a user, or somebody of a component's.
    pub(crate) fn goes(&mut self, element: Element) {
        let to = Stanza::of(&element).and_then(|stanza| stanza.to().ok().flatten());
        let Some(to) = to else {
            return;
        };
        if let Some(user) = self.settings.account(&to) {
            return self.post(user, Post::Stanza(Box::new(element)));
        }
        let component = self.settings.component(to.domain()).map(Box::from);
        if let Some(component) = component {
            let post = Post::Stanza(Box::new(element));
            self.out.push_back(Output::Component(component, post));
        }
    }

    /// Who wrote a letter hears what became of it.
    pub(crate) fn settles_for(
        &mut self,
        writer: Writer,
        ticket: Ticket,
        result: Result<(), StanzaCondition>,
    ) {
        let settled = Post::Settled(ticket, result);
        match writer {
            Writer::User(user) => self.post(user, settled),
            Writer::Component(domain) => self.out.push_back(Output::Component(domain, settled)),
        }
    }

    /// Writes to a component, if it is connected.
    pub(crate) fn writes_component(&mut self, domain: &str, element: &Element) {
        if let Some(stream) = self.components.stream_of(domain) {
            self.put(
                stream,
                element.to_octets(Framing::Component.context()).into(),
            );
        }
    }

    /// Answers a component's stanza with an error, if it is one that is answered.
    pub(crate) fn refuses_component(
        &mut self,
        domain: &str,
        element: &Element,
        condition: StanzaCondition,
    ) {
        let answer = Stanza::of(element).and_then(|stanza| stanza.error(&condition.into()));
        if let Some(answer) = answer {
            self.writes_component(domain, &answer);
        }
    }

    /// The writer of a letter hears what became of it, at their role.
    pub(crate) fn answers_writer(
        &mut self,
        writer: Writer,
        ticket: Ticket,
        result: Result<(), StanzaCondition>,
    ) {
        // RFC 6121 §8.5.1: the account went just now.
        let result = result.map_err(|why| match why {
            StanzaCondition::ItemNotFound => StanzaCondition::ServiceUnavailable,
            why => why,
        });
        self.settles_for(writer, ticket, result);
    }

    /// Whoever waited for this hears what became of it.
    pub(crate) fn settled(
        &mut self,
        now: Now,
        ticket: Ticket,
        result: Result<(), StanzaCondition>,
    ) {
        match self.heard(ticket) {
            Some(Waiting::Writer(writer, ticket, message)) => {
                let refused = result.err();
                let note = refused.and_then(|why| self.told.not_kept(now, &message, why));
                self.out.extend(note.map(Output::Note));
                self.answers_writer(writer, ticket, result);
            }
            Some(Waiting::Question(to, question)) => match result {
                Ok(()) => self.hands_over(now, &to, &question),
                Err(_) => self.bounce(&question, StanzaCondition::ServiceUnavailable),
            },
            Some(Waiting::Component(domain, Some(head))) => {
                if let Err(condition) = result {
                    self.refuses_component(&domain, &head, condition);
                }
            }
            Some(Waiting::Letter(door, head, came)) => match (result, head) {
                (Ok(()), _) => {
                    let note = came.map(|it| Output::Note(it.note(now)));
                    self.out.extend(note);
                }
                (Err(condition), Some(head)) => {
                    self.refuse(now, &door, &head, &condition.into());
                }
                (Err(_), None) => {}
            },
            Some(
                Waiting::Client(door, Some(head))
                | Waiting::Password(door, head)
                | Waiting::Roster(door, head, _),
            ) => match result {
                Err(condition) => self.refuse(now, &door, &head, &condition.into()),
                Ok(()) if head.local() == stanza::Kind::Iq.name() => {
                    if let Some(stanza) = Stanza::of(&head) {
                        self.write(now, &door, &stanza.reply());
                    }
                }
                Ok(()) => {}
            },
            _ => {}
        }
    }
}

/// Why something was not done, as a client hears it (RFC 6120 §8.3.3).
pub(crate) fn condition(why: &NotDone) -> StanzaCondition {
    match why {
        NotDone::Missing | NotDone::NoSuchApp => StanzaCondition::ItemNotFound,
        NotDone::QueueFull
        | NotDone::Overloaded
        | NotDone::TooManyDevices
        | NotDone::TooManyContacts
        | NotDone::TooManyBlocks => StanzaCondition::ResourceConstraint,
        NotDone::NotLet => StanzaCondition::Forbidden,
        NotDone::Exists | NotDone::Changed => StanzaCondition::Conflict,
        NotDone::BadName | NotDone::DeadToken => StanzaCondition::NotAcceptable,
        NotDone::NoSuchDomain => StanzaCondition::RemoteServerNotFound,
        NotDone::Oneself => StanzaCondition::NotAllowed,
        NotDone::Failed(_) => StanzaCondition::InternalServerError,
    }
}
