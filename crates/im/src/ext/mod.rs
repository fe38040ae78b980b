//! What a client may ask of us or of its own account, one extension a file, hooked by namespace. A new one is a file here, a
//! row in the table, and, if clients should know, a feature.

mod archive;
mod carbons;
mod disco;
mod ping;
mod roster;
mod time;
mod version;

pub(crate) use archive::{Shape, Wanted, bounds, fin, result};
pub(crate) use carbons::copy;
pub(crate) use roster::{item, pushed, query, removed, version};

use crate::settings::Settings;
use domain::{Address, Now};
use hub::Listing;
use xmpp::{
    ns,
    stanza::{IqType, StanzaCondition},
    xml::Element,
};

/// A question.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) now: Now,
    pub(crate) settings: &'a Settings,
    /// Is it for the user's account? Else it is for us.
    pub(crate) of_account: bool,
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
    /// Copy what other clients send and get to this one, or do so no more.
    Carbons(bool),
    /// Read the user's archive.
    Archive(Box<Wanted>),
    /// Show the user's roster, unless the client has this version of it already.
    Roster(Option<Box<str>>),
    /// Put somebody into it.
    SetContact(Listing),
    /// Take somebody off it.
    RemoveContact(Address),
}

/// What an extension does about a question.
type Handler = fn(&Asked<'_>) -> Deed;

/// A kind of question: its type, the namespace and name of what is asked, and who answers.
struct Row(IqType, &'static str, &'static str, Handler);

const TABLE: [Row; 15] = [
    Row(IqType::Get, ns::DISCO_INFO, "query", disco::info),
    Row(IqType::Get, ns::DISCO_ITEMS, "query", disco::items),
    Row(IqType::Get, ns::PING, "ping", ping::ping),
    Row(IqType::Get, ns::VERSION, "query", version::version),
    Row(IqType::Get, ns::TIME, "time", time::time),
    Row(IqType::Get, ns::ROSTER, "query", roster::get),
    Row(IqType::Set, ns::ROSTER, "query", roster::set),
    Row(IqType::Get, ns::MAM, "query", archive::fields),
    Row(IqType::Set, ns::MAM, "query", archive::query),
    Row(IqType::Get, ns::MAM, "metadata", archive::metadata),
    Row(IqType::Get, ns::MAM, "prefs", archive::preferences),
    Row(IqType::Set, ns::MAM, "prefs", archive::set_preferences),
    Row(IqType::Set, ns::CARBONS, "enable", carbons::enable),
    Row(IqType::Set, ns::CARBONS, "disable", carbons::disable),
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
