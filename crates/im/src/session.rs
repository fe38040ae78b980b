//! A client that has signed in and has an address: what it wants, and what is on its way to it.

use crate::{ext::Wanted, management::Management};
use bytes::Bytes;
use domain::{Address, DeviceId, DoorId, MessageId};
use hub::Ticket;
use std::{collections::VecDeque, time::Instant};
use xmpp::{StreamId, jid::Jid, stream::Framing, xml::Element};

/// The doors of this role have numbers from here on: no other role's have.
pub const DOORS: u32 = 1 << 31;

/// Addresses that one client may tell for themselves that it is there.
pub(crate) const DIRECTED: usize = 100;

/// Whether a client is available, by its own word (RFC 6121 §4.2, §4.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum There {
    /// No.
    No,
    /// It has just said that it is not any more, and sees that itself (RFC 6121 §4.5.2).
    Leaves,
    /// Yes, with this priority (RFC 6121 §4.7.2.3).
    Yes(i8),
}

/// Of so many messages a session remembers that they are its own; of older ones others get more than a copy.
const OWN: usize = 64;

/// What a client wants of its user's archive: the first of these is being read.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    /// By the question's head.
    pub(crate) waiting: VecDeque<(Box<Element>, Box<Wanted>)>,
    /// Whose answer the first waits for.
    pub(crate) ticket: Option<Ticket>,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Whose.
    pub(crate) user: Address,
    /// Its full address.
    pub(crate) jid: Jid,
    /// What the hub knows it by.
    pub(crate) door: DoorId,
    /// What the hub has been told of the door: what comes while it is open comes through it.
    pub(crate) way: Way,
    /// The last messages that are for it alone, and whether it has got them: other clients of its user see copies at most.
    own: VecDeque<(MessageId, bool)>,
    /// One of them came when it had no connection any more.
    pub(crate) is_owed: bool,
    /// What carries it.
    pub(crate) stream: StreamId,
    pub(crate) framing: Framing,
    /// The language of what states none (RFC 6120 §4.7.4).
    pub(crate) lang: Option<Box<str>>,
    /// Whether it is available.
    pub(crate) there: There,
    /// Who was told for themselves that it is there, and not yet that it is gone (RFC 6121 §4.6.3).
    pub(crate) directed: Vec<Jid>,
    /// It has asked for the roster, and hears of its changes (RFC 6121 §2.1.6).
    pub(crate) wants_roster: bool,
    /// How much of what it said waits for an answer of the hub or of another user's role.
    pub(crate) under_way: usize,
    /// It sees what other clients of its user send and get (XEP-0280).
    pub(crate) carbons: bool,
    /// What it wants of its user's archive.
    pub(crate) queries: Queries,
    /// Unlike any other session's.
    pub(crate) number: u64,
    /// What is written to it and read of it.
    pub(crate) management: Management,
    /// Without a connection it waits for its client until then.
    pub(crate) until: Option<Instant>,
    /// When it wants to be looked at next, as it is filed.
    pub(crate) filed: Option<Instant>,
    /// Its client is back, and waits until all that it sent before is settled.
    pub(crate) awaits: Option<Comeback>,
}

/// What the hub believes of the way to a client.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// There is none.
    Closed,
    /// There is one, if the client has a connection.
    Open,
    /// There was one; the client has not acknowledged a message in time, and counts as asleep until it does.
    Doubted,
    /// The client takes no messages any more, but may have got some that it has not acknowledged yet: until then they are not
    /// anybody else's.
    Closing,
}

/// A client that is back for its session.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Comeback {
    pub(crate) stream: StreamId,
    pub(crate) framing: Framing,
    /// So much has it got.
    pub(crate) handled: u32,
}

/// A device that no other user's client is: by its user and its resource.
fn door(user: &Address, resource: &str) -> DoorId {
    DoorId {
        device: DeviceId::from(format!("xmpp:{user}/{resource}")),
        number: DOORS,
    }
}

impl Session {
    /// Of a client that has just got its address.
    pub(crate) fn new(
        user: &Address,
        jid: Jid,
        stream: StreamId,
        framing: Framing,
        lang: Option<Box<str>>,
    ) -> Self {
        Self {
            user: user.clone(),
            door: door(user, jid.resource().unwrap_or_default()),
            jid,
            way: Way::Closed,
            own: VecDeque::new(),
            is_owed: false,
            stream,
            framing,
            lang,
            there: There::No,
            directed: Vec::new(),
            wants_roster: false,
            under_way: 0,
            carbons: false,
            queries: Queries::default(),
            number: 0,
            management: Management::default(),
            until: None,
            filed: None,
            awaits: None,
        }
    }

    /// Whether the hub has been told of the door.
    pub(crate) fn is_door_open(&self) -> bool {
        self.way != Way::Closed
    }

    /// A message comes that is for it alone; or it has it already.
    pub(crate) fn expects(&mut self, message: MessageId, got: bool) {
        if self.own.len() >= OWN {
            self.own.pop_front();
        }
        self.own.push_back((message, got));
    }

    /// It has got a message.
    pub(crate) fn gets(&mut self, message: &MessageId) {
        if let Some((_, got)) = self.own.iter_mut().find(|(id, _)| id == message) {
            *got = true;
        }
    }

    /// Nothing comes to it any more: what it has not got is for others.
    pub(crate) fn expects_nothing(&mut self) {
        self.own.retain(|(_, got)| *got);
    }

    /// Whether a message is for it alone.
    pub(crate) fn owns(&self, message: &MessageId) -> bool {
        self.own.iter().any(|(id, _)| id == message)
    }

    /// Whether a message may wait for it that no other client of its user was given: one of its own that it has not said that
    /// it has.
    pub(crate) fn is_alone(&self) -> bool {
        self.is_owed
            || self
                .own
                .iter()
                .any(|(id, got)| !got && self.management.has(id))
    }

    /// Whether messages for the user go to it (RFC 6121 §8.5.2.1.1).
    pub(crate) fn takes_messages(&self) -> bool {
        matches!(self.there, There::Yes(0..))
    }

    /// Whether it is available.
    pub(crate) fn is_there(&self) -> bool {
        matches!(self.there, There::Yes(_))
    }

    /// An element as it is written to this stream.
    pub(crate) fn octets(&self, element: &Element) -> Bytes {
        element.to_octets(self.framing.context()).into()
    }
}
