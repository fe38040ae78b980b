//! A client that has signed in and has an address: what it wants, and what is on its way to it.

use crate::{asked::Asked, ext::Wanted, management::Management};
use bytes::Bytes;
use domain::{
    Address, DeviceId, DoorId, MessageId, Timestamp,
    device::{UUID_URN, uuid_key},
    presence::Resource,
};
use hub::Ticket;
use std::{collections::VecDeque, time::Instant};
use xmpp::{
    StreamId,
    jid::Jid,
    stream::Framing,
    xml::{Element, Item},
};

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

/// What a client wants that has to be read.
#[derive(Debug)]
pub(crate) enum Query {
    /// Of its user's archive.
    Archive(Box<Wanted>),
    /// Somebody's card.
    Card(Address),
}

/// What a client wants that has to be read: the first of these is being read.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    /// By the question's head.
    pub(crate) waiting: VecDeque<(Box<Element>, Query)>,
    /// Whose answer the first waits for: that to itself, or to whether the client's door is open.
    pub(crate) ticket: Option<Ticket>,
}

/// What of its user's account a client has asked for: it hears of changes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Follows {
    /// The roster (RFC 6121 §2.1.6).
    pub(crate) roster: bool,
    /// Whom the user blocks (XEP-0191 §3.3).
    pub(crate) blocks: bool,
    /// What other clients of the user send and get (XEP-0280).
    pub(crate) carbons: bool,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Whose.
    pub(crate) user: Address,
    /// Its full address.
    pub(crate) jid: Jid,
    /// The installation of its client, if it names it (XEP-0388 §2.3).
    pub(crate) client: Option<Box<str>>,
    /// What that signs in with, as the store has it, if that is known.
    pub(crate) tokens: Option<Bytes>,
    /// What the hub knows it by.
    pub(crate) door: DoorId,
    /// What the hub has been told of the door: what comes while it is open comes through it.
    pub(crate) way: Way,
    /// Until when that is to stand.
    pub(crate) stands: Timestamp,
    /// The last messages that are for it alone, and whether it has got them: other clients of its user see copies at most.
    own: VecDeque<(MessageId, bool)>,
    /// One of them came when it had no connection any more.
    pub(crate) is_owed: bool,
    /// Its client has shown a token of somebody else's making and no password: it gives its user no other one.
    pub(crate) is_bearer: bool,
    /// What carries it.
    pub(crate) stream: StreamId,
    pub(crate) framing: Framing,
    /// The language of what states none (RFC 6120 §4.7.4).
    pub(crate) lang: Option<Box<str>>,
    /// Whether it is available.
    pub(crate) there: There,
    /// What it said of itself when it said so.
    pub(crate) said: Option<Box<Resource>>,
    /// Who was told for themselves that it is there, and not yet that it is gone (RFC 6121 §4.6.3).
    pub(crate) directed: Vec<Jid>,
    /// What it has asked for, and hears changes of.
    pub(crate) follows: Follows,
    /// How much of what it said waits for an answer of the hub or of another user's role.
    pub(crate) under_way: usize,
    /// What it wants that has to be read.
    pub(crate) queries: Queries,
    /// What it has asked others.
    pub(crate) asked: Asked,
    /// Unlike any other session's.
    pub(crate) number: u64,
    /// What is written to it and read of it.
    pub(crate) management: Management,
    /// It has no connection, and waits for its client.
    pub(crate) sleep: Option<Sleep>,
    /// By when it is to say that it is there, if what waited for the one before it is to be its own.
    pub(crate) claims_by: Option<Instant>,
    /// What it is pushed to by.
    pub(crate) push: Push,
    /// When it wants to be looked at next, as it is filed.
    pub(crate) filed: Option<Instant>,
    /// Its client is back, and waits until all that it sent before is settled.
    pub(crate) awaits: Option<Comeback>,
    /// What the store has of it.
    pub(crate) keeping: Keeping,
    /// What its client has said since it is back, while the store has it still.
    pub(crate) early: Vec<Item>,
    /// It is from before a restart, and its client has not been back since.
    pub(crate) is_restored: bool,
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
    /// There was one to the client whose place this one took: what waits there is for it, if it says in time that it is there.
    Inherited,
    /// The client takes no messages any more, but may have got some that it has not acknowledged yet: until then they are not
    /// anybody else's.
    Closing,
}

/// A session without a connection.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Sleep {
    /// Since when.
    pub(crate) since: Instant,
    /// When it is over, or is to be looked at again.
    pub(crate) until: Instant,
}

/// What is known of how a client is pushed to.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Push {
    /// Something may have changed: it is to be looked up.
    pub(crate) is_unknown: bool,
    /// It can be woken, as far as was known when somebody looked.
    pub(crate) can_wake: bool,
    /// It is to hear of tokens that died.
    pub(crate) is_to_hear: bool,
}

/// What the store has of a session.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    /// It has it, or may have it.
    pub(crate) is_stored: bool,
    /// It has it not as it is now.
    pub(crate) is_stale: bool,
    /// By which its word is waited for, and whether that it is kept.
    pub(crate) waits: Option<(Ticket, bool)>,
}

impl Keeping {
    /// The store has been told that it is not to be kept any more, and has not answered.
    pub(crate) fn is_going(&self) -> bool {
        matches!(self.waits, Some((_, false)))
    }
}

/// A client that is back for its session.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Comeback {
    pub(crate) stream: StreamId,
    pub(crate) framing: Framing,
    /// So much has it got.
    pub(crate) handled: u32,
}

/// The device of a client that has this resource and does not name it otherwise.
pub fn device_id(user: &Address, resource: &str) -> DeviceId {
    device_of(user, None, resource)
}

/// The device that a client is, which no other user's client is: that of its instance, if it names one by a UUID (XEP-0388) or has
/// the URN of one for its resource, and so the same as that of a phone which registers with it (RFC 5626 §4.1); else that of its
/// resource.
pub(crate) fn device_of(user: &Address, client: Option<&str>, resource: &str) -> DeviceId {
    let urn = Some(resource).filter(|it| it.starts_with(UUID_URN));
    match client.or(urn).and_then(uuid_key) {
        Some(instance) => DeviceId::of(user, &instance),
        None => DeviceId::from(format!("xmpp:{user}/{resource}")),
    }
}

impl Session {
    /// Of a client that has just got its address.
    pub(crate) fn new(
        user: &Address,
        jid: Jid,
        client: Option<&str>,
        (stream, framing): (StreamId, Framing),
        lang: Option<Box<str>>,
    ) -> Self {
        let resource = jid.resource().unwrap_or_default();
        Self {
            user: user.clone(),
            client: client.map(Into::into),
            tokens: None,
            door: DoorId {
                device: device_of(user, client, resource),
                number: DOORS,
            },
            jid,
            way: Way::Closed,
            stands: Timestamp::default(),
            own: VecDeque::new(),
            is_owed: false,
            is_bearer: false,
            stream,
            framing,
            lang,
            there: There::No,
            said: None,
            directed: Vec::new(),
            follows: Follows::default(),
            under_way: 0,
            queries: Queries::default(),
            asked: Asked::default(),
            number: 0,
            management: Management::default(),
            sleep: None,
            claims_by: None,
            push: Push::default(),
            filed: None,
            awaits: None,
            keeping: Keeping::default(),
            early: Vec::new(),
            is_restored: false,
        }
    }

    /// Whether the store has nothing of it, so that what its client says may change it.
    pub(crate) fn is_ours(&self) -> bool {
        !self.keeping.is_stored && self.keeping.waits.is_none()
    }

    /// Whether it is to be kept, and is not yet as it is now.
    pub(crate) fn is_to_be_kept(&self) -> bool {
        let keeping = &self.keeping;
        self.sleep.is_some() && (keeping.is_stale || keeping.waits.is_some())
    }

    /// Whether a device's name, as clients say it, means this one: by its resource or its instance.
    pub(crate) fn is_named(&self, node: &str) -> bool {
        let device = || device_of(&self.user, Some(node), node);
        self.jid.resource() == Some(node)
            || self.door.device.as_str() == node
            || self.door.device == device()
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

    /// The last messages that are for it alone, and whether it has got them.
    pub(crate) fn own(&self) -> impl ExactSizeIterator<Item = &(MessageId, bool)> {
        self.own.iter()
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
