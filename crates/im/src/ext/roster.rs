//! The roster (RFC 6121 §2), as clients read and write it.

use super::{Asked, Deed, Order};
use domain::{
    Address,
    roster::{Contact, Direction},
};
use hub::{Listing, Roster};
use xmpp::{jid::Jid, ns, stanza::StanzaCondition, xml::Element};

pub(super) fn get(asked: &Asked<'_>) -> Deed {
    if !asked.of_account {
        return Deed::Refuse(StanzaCondition::Forbidden);
    }
    Deed::Roster(asked.payload.attr("ver").map(Into::into))
}

pub(super) fn set(asked: &Asked<'_>) -> Deed {
    changed(asked).unwrap_or_else(Deed::Refuse)
}

/// RFC 6121 §2.1.5: exactly one item.
fn changed(asked: &Asked<'_>) -> Result<Deed, StanzaCondition> {
    // A roster is its user's alone (RFC 6121 §2.3.3).
    if !asked.of_account {
        return Err(StanzaCondition::Forbidden);
    }
    let mut items = asked.payload.children();
    let (Some(item), None) = (items.next(), items.next()) else {
        return Err(StanzaCondition::BadRequest);
    };
    let jid = item.attr("jid").filter(|_| item.is(ns::ROSTER, "item"));
    let jid = jid.ok_or(StanzaCondition::BadRequest)?;
    let jid = Jid::parse(jid).map_err(|_| StanzaCondition::JidMalformed)?;
    let peer = asked
        .settings
        .account(&jid)
        .ok_or(StanzaCondition::ItemNotFound)?;
    if item.attr("subscription") == Some("remove") {
        return Ok(Deed::Order(Order::RemoveContact(peer)));
    }
    let groups = item.children().filter(|it| it.is(ns::ROSTER, "group"));
    let groups: Vec<String> = groups.map(|group| group.text().into_owned()).collect();
    // RFC 6121 §2.3.3.
    if groups.iter().any(String::is_empty) {
        return Err(StanzaCondition::NotAcceptable);
    }
    let twice = |(at, group): (usize, &String)| groups[..at].contains(group);
    if groups.iter().enumerate().any(twice) {
        return Err(StanzaCondition::BadRequest);
    }
    let name = item.attr("name").unwrap_or_default().to_owned();
    let listing = Listing { peer, name, groups };
    Ok(Deed::Order(Order::SetContact(listing)))
}

/// Somebody in a roster (RFC 6121 §2.1.2).
pub(crate) fn item(contact: &Contact) -> Element {
    let mut item = Element::new(ns::ROSTER, "item").with_attr("jid", contact.peer.as_str());
    if !contact.name.is_empty() {
        item.set_attr("name", &*contact.name);
    }
    item.set_attr("subscription", contact.subscription());
    if contact.to == Direction::Pending {
        item.set_attr("ask", "subscribe");
    }
    if contact.approved {
        item.set_attr("approved", "true");
    }
    for group in &contact.groups {
        item.push(Element::new(ns::ROSTER, "group").with_text(group));
    }
    item
}

/// Somebody who is in it no more (RFC 6121 §2.5.2).
pub(crate) fn removed(peer: &Address) -> Element {
    Element::new(ns::ROSTER, "item")
        .with_attr("jid", peer.as_str())
        .with_attr("subscription", "remove")
}

/// The name of what a client sees of a roster (RFC 6121 §2.6).
pub(crate) fn version(roster: &Roster) -> String {
    named(roster.version)
}

fn named(version: u64) -> String {
    format!("{version:x}")
}

/// A roster, with its version.
pub(crate) fn query(roster: &Roster) -> Element {
    let query = with_version(roster.version);
    let items = roster.contacts.iter().map(item);
    items.fold(query, Element::with_child)
}

fn with_version(version: u64) -> Element {
    Element::new(ns::ROSTER, "query").with_attr("ver", named(version))
}

/// A change of the roster for a client (RFC 6121 §2.1.6). Without an address it is from the client's own account.
pub(crate) fn pushed(id: &str, to: &Jid, item: Element, version: u64) -> Element {
    Element::new(ns::CLIENT, "iq")
        .with_attr("id", id)
        .with_attr("to", to.as_str())
        .with_attr("type", "set")
        .with_child(with_version(version).with_child(item))
}
