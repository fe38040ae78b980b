//! The blocking command (XEP-0191): whom the user does not want to hear from.

use super::{Asked, Deed, Order};
use xmpp::{
    jid::Jid,
    ns,
    stanza::{ErrorType, StanzaCondition, StanzaError},
    xml::Element,
};

/// XEP-0191 §3.2.
pub(super) fn list(asked: &Asked<'_>) -> Deed {
    if !asked.of_account {
        return Deed::Refuse(StanzaCondition::Forbidden);
    }
    let blocks = asked.accounts.blocks(asked.user);
    Deed::Blocked(named("blocklist", blocks.iter()))
}

/// XEP-0191 §3.3.
pub(super) fn block(asked: &Asked<'_>) -> Deed {
    match read(asked) {
        Ok(peers) if peers.is_empty() => Deed::Refuse(StanzaCondition::BadRequest),
        Ok(peers) => Deed::Order(Order::Block(peers)),
        Err(condition) => Deed::Refuse(condition),
    }
}

/// XEP-0191 §3.4, §3.5.
pub(super) fn unblock(asked: &Asked<'_>) -> Deed {
    let order = read(asked).map(Order::Unblock);
    order.map_or_else(Deed::Refuse, Deed::Order)
}

/// Whom it names.
fn read(asked: &Asked<'_>) -> Result<Vec<Box<str>>, StanzaCondition> {
    // A list is its user's alone.
    if !asked.of_account {
        return Err(StanzaCondition::Forbidden);
    }
    let items = asked.payload.children();
    items.map(item).collect()
}

fn item(item: &Element) -> Result<Box<str>, StanzaCondition> {
    let jid = item.attr("jid").filter(|_| item.is(ns::BLOCKING, "item"));
    let jid = jid.ok_or(StanzaCondition::BadRequest)?;
    let jid = Jid::parse(jid).map_err(|_| StanzaCondition::JidMalformed)?;
    Ok(jid.as_str().into())
}

fn named<'a>(name: &str, peers: impl Iterator<Item = &'a str>) -> Element {
    let item = |peer| Element::new(ns::BLOCKING, "item").with_attr("jid", peer);
    let list = Element::new(ns::BLOCKING, name);
    peers.map(item).fold(list, Element::with_child)
}

/// A change of the list for a client (XEP-0191 §3.3, §3.4); `name`: `block` or `unblock`.
pub(crate) fn block_pushed(id: &str, to: &Jid, name: &str, peers: &[Box<str>]) -> Element {
    Element::new(ns::CLIENT, "iq")
        .with_attr("id", id)
        .with_attr("to", to.as_str())
        .with_attr("type", "set")
        .with_child(named(name, peers.iter().map(|it| &**it)))
}

/// What a user hears who writes to somebody whom they block (XEP-0191 §3.3).
pub(crate) fn blocked() -> StanzaError {
    StanzaError::new(StanzaCondition::NotAcceptable)
        .with_type(ErrorType::Cancel)
        .with_application(Element::new(ns::BLOCKING_ERRORS, "blocked"))
}
