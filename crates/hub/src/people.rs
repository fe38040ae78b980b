//! What users say of themselves and to each other, in words between a hub, its roles and other hubs: rosters,
//! subscriptions and presence.

use crate::ticket::Ticket;
use bytes::Bytes;
use domain::{
    Address,
    presence::{self, News, Resource},
    roster::{Contact, Request},
};
use std::sync::Arc;

/// What the operator decided of rosters and presence.
#[derive(Clone, Debug)]
pub struct People {
    /// The domains whose users are ours: nobody else can be told anything.
    pub domains: Arc<[String]>,
    /// Rosters kept in memory; for one more the one that was used longest ago is forgotten.
    pub rosters: usize,
    /// Contacts in all of these; for more the same is forgotten.
    pub known: usize,
    /// Contacts that a user may list; one more is refused.
    pub contacts: usize,
    /// Requests of people whom the user does not list and has not answered. One more is dropped, so that a flood of them
    /// neither takes away what the user was shown nor costs a write; who meant it asks again when they come next.
    pub requests: usize,
    /// With how many octets somebody asks; of more nothing is kept.
    pub asked: usize,
    /// Octets of a contact's name, and of a group's; more are refused.
    pub name: usize,
    /// Groups of one contact; more are refused.
    pub groups: usize,
    /// Users of whom we remember when they were seen last; for one more the one who went longest ago is forgotten.
    pub last_seen: usize,
    /// Of presence.
    pub presence: presence::Limits,
}

impl Default for People {
    fn default() -> Self {
        Self {
            domains: Arc::new(["localhost".to_owned()]),
            rosters: 10_000,
            known: 500_000,
            contacts: 1_000,
            requests: 100,
            asked: 4_096,
            name: 1_024,
            groups: 32,
            last_seen: 10_000,
            presence: presence::Limits::default(),
        }
    }
}

/// What a user's client says.
#[derive(Debug)]
pub enum Said {
    /// It wants the roster: answered by [`Output::Roster`](crate::Output::Roster).
    WantsRoster(Ticket),
    /// It lists a contact, or calls them otherwise (RFC 6121 §2.3).
    Lists(Ticket, Listing),
    /// It takes a contact off the list, who is told what that means (RFC 6121 §2.5).
    Unlists(Ticket, Address),
    /// It says something of a subscription (RFC 6121 §3).
    Requests {
        /// Answered by [`Output::Done`](crate::Output::Done).
        ticket: Ticket,
        /// To whom.
        peer: Address,
        /// What.
        request: Request,
        /// In the role's words.
        words: Bytes,
    },
    /// It is available, or says something else than before (RFC 6121 §4.2, §4.4).
    Available(Box<Resource>),
    /// It is not any more (RFC 6121 §4.5).
    Unavailable {
        /// Which client.
        resource: Box<str>,
        /// In the role's words; empty if it went without any.
        payload: Bytes,
    },
    /// It falls asleep, or is back.
    Suspended(Box<str>, bool),
}

/// How a user lists a contact.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listing {
    /// Whom.
    pub peer: Address,
    /// What the user calls them; may be empty.
    pub name: String,
    /// In which groups.
    pub groups: Vec<String>,
}

/// What one user's hub tells another's, in the order in which it was said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Word {
    /// Who says it.
    pub from: Address,
    /// What.
    pub what: What,
}

/// See [`Word`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum What {
    /// Something of a subscription.
    Request(Request, Bytes),
    /// What is seen of a client; for one client alone, if that asked.
    Presence(News, Option<Box<str>>),
    /// What is there to be seen, this client asks (RFC 6121 §4.3).
    Probe(Box<str>),
}

/// A roster as clients see it: only who is listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Roster {
    /// By address.
    pub contacts: Vec<Contact>,
    /// Names what is seen (RFC 6121 §2.6).
    pub version: u64,
}

/// Something to be shown to a user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Showing {
    /// To whom.
    pub user: Address,
    /// To this client of theirs alone; `None`: to all that are interested.
    pub client: Option<Box<str>>,
    /// What.
    pub sight: Sight,
}

/// See [`Showing`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Sight {
    /// A contact on the list is this now; with the roster's version (RFC 6121 §2.1.6).
    Contact(Box<Contact>, u64),
    /// A contact is on it no more; with the roster's version.
    NoContact(Address, u64),
    /// Somebody says something of a subscription, in these words.
    Requested(Address, Request, Bytes),
    /// What is seen of somebody's client.
    Presence(Address, News),
}
