//! What users say of themselves and to each other, in words between a hub, its roles and other hubs: rosters,
//! subscriptions and presence.

use crate::ticket::Ticket;
use bytes::Bytes;
use domain::{
    Address, Card, Timestamp,
    presence::{self, News, Resource, Show},
    roster::{Contact, Request},
};
use std::{sync::Arc, time::Duration};

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
    /// Conversations of one user that are known at once; of one more nothing is seen.
    pub talks: usize,
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
            talks: 16,
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
    /// It blocks these addresses (XEP-0191 §3.3).
    Blocks(Ticket, Vec<Box<str>>),
    /// It blocks these no more; all of them, if it names none (XEP-0191 §3.4, §3.5).
    Unblocks(Ticket, Vec<Box<str>>),
    /// Its user says this of themselves from now on.
    ShowsCard(Ticket, Box<Card>),
    /// Somebody else asks when the user was there last: answered by [`Output::LastSeen`](crate::Output::LastSeen).
    IsLookedFor(Ticket, Address),
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
    /// Whether somebody may see the user's presence: answered by [`Output::Done`](crate::Output::Done), with
    /// [`NotDone::Missing`](crate::NotDone::Missing) if not.
    IsSeenBy(Ticket, Address),
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
    /// A client that is available may have missed what others did while nobody ran here: it is shown all of it again.
    LooksAnew(Box<str>),
    /// A client that says nothing of itself watches somebody: who is asked for that, if they have not been. The first time that
    /// the user asks, they let themselves be seen by them, now or as soon as these ask: such a client cannot say so otherwise.
    /// Answered by [`Output::Watched`](crate::Output::Watched), what is seen by [`Output::Show`](crate::Output::Show).
    Watches {
        /// By which it is answered.
        ticket: Ticket,
        /// Whom.
        peer: Address,
        /// What the client is called in what is shown to it alone.
        client: Box<str>,
    },
    /// One that watched somebody does not any more, or was refused: said once for each.
    LooksAway,
    /// What the user's telephones say of the user, all together; `None`: nothing, and they are seen by whether they are there.
    Telephone(Option<Box<Stated>>),
}

/// What telephones say of their user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stated {
    /// The user is there at all.
    pub is_here: bool,
    /// And does this.
    pub show: Show,
    /// In the words of the role that shows it.
    pub payload: Bytes,
}

/// A conversation over the phone, by the choice of the role that sees it: the same at both ends.
pub type Talk = [u8; 16];

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
    /// They have come by an invitation of the user's: each sees the other from now on.
    HasCome,
    /// What is seen of a client; for one client alone, if that asked.
    Presence(News, Option<Box<str>>),
    /// What is there to be seen, this client asks (RFC 6121 §4.3).
    Probe(Box<str>),
    /// The user talks to somebody over the phone, for so long unless more is heard of it; `None`: not any more. Said by the role
    /// that sees the call, in the user's name.
    Talks(Talk, Option<Duration>),
}

/// A roster as clients see it: only who is listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Roster {
    /// By address.
    pub contacts: Vec<Contact>,
    /// Names what is seen (RFC 6121 §2.6).
    pub version: u64,
}

/// When a user was there last, as far as that is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LastSeen {
    /// They are there.
    Now,
    /// Then.
    At(Timestamp),
    /// Nobody knows.
    Unknown,
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
    /// The user blocks these addresses from now on.
    Blocked(Vec<Box<str>>),
    /// The user blocks these no more; if there are none, nobody at all.
    Unblocked(Vec<Box<str>>),
    /// Somebody says something of a subscription, in these words.
    Requested(Address, Request, Bytes),
    /// What is seen of somebody's client.
    Presence(Address, News),
}
