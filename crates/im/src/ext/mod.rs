//! What a client may ask of us or of its own account, one extension a file, hooked by namespace. A new one is a file here, a
//! row in the table, and, if clients should know, a feature.

mod archive;
mod blocking;
mod carbons;
mod card;
mod disco;
mod last;
mod ping;
mod push;
mod register;
mod roster;
mod services;
mod time;
mod version;

pub(crate) use archive::{Looked, Shape, Wanted, bounds, fin, result};
pub(crate) use blocking::{block_pushed, blocked};
pub(crate) use carbons::copy;
pub(crate) use card::{card, with_avatar};
pub(crate) use disco::{caps, of_server};
pub(crate) use last::last_seen;
pub(crate) use push::{disabled, service};
pub(crate) use roster::{item, pushed, query, removed, version};

use crate::settings::Settings;
use domain::{Address, Card, Now};
use hub::{Accounts, DeviceUpdate, Listing, Meant, Said, Ticket};
use std::time::Duration;
use xmpp::{
    ns,
    stanza::{IqType, StanzaCondition, StanzaError},
    xml::Element,
};

/// A question.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) now: Now,
    pub(crate) settings: &'a Settings,
    /// Is it for the user's account? Else it is for us.
    pub(crate) of_account: bool,
    /// The user.
    pub(crate) user: &'a Address,
    /// For how long we have been running.
    pub(crate) runs_for: Duration,
    /// Who has an account, and whom they block.
    pub(crate) accounts: &'a Accounts,
    /// What is asked.
    pub(crate) payload: &'a Element,
}

/// What is to be done about it.
#[derive(Debug)]
pub(crate) enum Deed {
    /// Answer this, or nothing but that it is done.
    Answer(Option<Element>),
    /// Answer that it cannot be.
    Refuse(StanzaCondition),
    /// Answer that it cannot be, and why.
    Explain(Box<StanzaError>),
    /// Copy what other clients send and get to this one, or do so no more.
    Carbons(bool),
    /// Answer whom the user blocks, and tell the client of changes.
    Blocked(Element),
    /// Read somebody's card.
    Card(Address),
    /// Push to this device, or to the client's own.
    Enable(Option<Box<str>>, Box<DeviceUpdate>),
    /// Push to this device no more, or to none of the user's.
    Disable(Option<Box<str>>),
    /// The same of what goes to an app's own server.
    DisableAt(Meant),
    /// This is the user's password from now on.
    Password(String),
    /// Read the user's archive.
    Archive(Box<Wanted>),
    /// Show the user's roster, unless the client has this version of it already.
    Roster(Option<Box<str>>),
    /// Have the hub do this, and answer when it is done.
    Order(Order),
}

/// What the hub is to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Put somebody into the roster.
    SetContact(Listing),
    /// Take somebody off it.
    RemoveContact(Address),
    /// Keep what the user says of themselves.
    ShowCard(Box<Card>),
    /// Block these.
    Block(Vec<Box<str>>),
    /// Block these no more; all, if there are none.
    Unblock(Vec<Box<str>>),
}

impl Order {
    /// As it is said to the hub, which answers by this ticket.
    pub(crate) fn said(self, ticket: Ticket) -> Said {
        match self {
            Self::SetContact(listing) => Said::Lists(ticket, listing),
            Self::RemoveContact(peer) => Said::Unlists(ticket, peer),
            Self::ShowCard(card) => Said::ShowsCard(ticket, card),
            Self::Block(peers) => Said::Blocks(ticket, peers),
            Self::Unblock(peers) => Said::Unblocks(ticket, peers),
        }
    }
}

/// What an extension does about a question.
type Handler = fn(&Asked<'_>) -> Deed;

/// A kind of question: its type, the namespace and name of what is asked, and who answers.
struct Row(IqType, &'static str, &'static str, Handler);

const TABLE: [Row; 27] = [
    Row(IqType::Get, ns::DISCO_INFO, "query", disco::info),
    Row(IqType::Get, ns::DISCO_ITEMS, "query", disco::items),
    Row(IqType::Get, ns::PING, "ping", ping::ping),
    Row(IqType::Get, ns::VERSION, "query", version::version),
    Row(IqType::Get, ns::TIME, "time", time::time),
    Row(
        IqType::Get,
        ns::EXTERNAL_SERVICES,
        "services",
        services::services,
    ),
    Row(
        IqType::Get,
        ns::EXTERNAL_SERVICES,
        "credentials",
        services::credentials,
    ),
    Row(IqType::Get, ns::ROSTER, "query", roster::get),
    Row(IqType::Set, ns::ROSTER, "query", roster::set),
    Row(IqType::Get, ns::MAM, "query", archive::fields),
    Row(IqType::Set, ns::MAM, "query", archive::query),
    Row(IqType::Get, ns::MAM, "metadata", archive::metadata),
    Row(IqType::Get, ns::MAM, "prefs", archive::preferences),
    Row(IqType::Set, ns::MAM, "prefs", archive::set_preferences),
    Row(IqType::Get, ns::BLOCKING, "blocklist", blocking::list),
    Row(IqType::Set, ns::BLOCKING, "block", blocking::block),
    Row(IqType::Set, ns::BLOCKING, "unblock", blocking::unblock),
    Row(IqType::Get, ns::VCARD, "vCard", card::get),
    Row(IqType::Set, ns::VCARD, "vCard", card::set),
    Row(IqType::Get, ns::LAST, "query", last::last),
    Row(IqType::Get, ns::REGISTER, "query", register::get),
    Row(IqType::Set, ns::REGISTER, "query", register::set),
    Row(IqType::Set, ns::CARBONS, "enable", carbons::enable),
    Row(IqType::Set, ns::CARBONS, "disable", carbons::disable),
    Row(IqType::Set, ns::PUSH, "enable", push::enable),
    Row(IqType::Set, ns::PUSH, "disable", push::disable),
    Row(IqType::Set, ns::SESSION, "session", ping::session),
];

/// Says what is to be done about a question that is for us or for its asker's account.
pub(crate) fn asked(kind: IqType, asked: &Asked<'_>) -> Deed {
    let payload = asked.payload;
    let row = TABLE
        .iter()
        .find(|Row(of, namespace, name, _)| *of == kind && payload.is(namespace, name));
    match row {
        Some(Row(.., handler)) => handler(asked),
        // RFC 6120 §8.3.3.19, §8.4.
        None => Deed::Refuse(StanzaCondition::ServiceUnavailable),
    }
}

/// What is to be done about a question for somebody else's account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OfOther {
    /// Read their card.
    Card,
    /// Ask their hub when they were there last.
    Last,
    /// Answer that it cannot be.
    Refuse(StanzaCondition),
}

/// A kind of question for somebody else's account, as [`Row`].
struct OtherRow(IqType, &'static str, &'static str, OfOther);

/// What can be asked of others; of all else they are asked themselves (RFC 6121 §8.5.2.1.3).
const OF_OTHER: [OtherRow; 3] = [
    OtherRow(IqType::Get, ns::VCARD, "vCard", OfOther::Card),
    // XEP-0054 §3.2.
    OtherRow(
        IqType::Set,
        ns::VCARD,
        "vCard",
        OfOther::Refuse(StanzaCondition::Forbidden),
    ),
    OtherRow(IqType::Get, ns::LAST, "query", OfOther::Last),
];

/// The same for somebody else's account.
pub(crate) fn asked_of_other(kind: IqType, payload: Option<&Element>) -> OfOther {
    let is_row = |OtherRow(of, namespace, name, _): &&OtherRow| {
        *of == kind && payload.is_some_and(|it| it.is(namespace, name))
    };
    let row = OF_OTHER.iter().find(is_row);
    let refusal = OfOther::Refuse(StanzaCondition::ServiceUnavailable);
    row.map_or(refusal, |OtherRow(.., what)| *what)
}
