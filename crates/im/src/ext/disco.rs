//! Service discovery (XEP-0030): what we are and what we can.

use super::{Asked, Deed};
use xmpp::{ns, stanza::StanzaCondition, xml::Element};

/// What the server can.
const OF_SERVER: [&str; 6] = [
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    ns::PING,
    ns::VERSION,
    ns::TIME,
    ns::CARBONS,
];
/// What an account can.
const OF_ACCOUNT: [&str; 5] = [
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    ns::MAM,
    MAM_EXTENDED,
    ns::STANZA_ID,
];
/// The archive knows all fields, pages in either direction, and where it begins and ends (XEP-0313 §7).
const MAM_EXTENDED: &str = "urn:xmpp:mam:2#extended";

pub(super) fn info(asked: &Asked<'_>) -> Deed {
    if asks_for_node(asked) {
        return Deed::Refuse(StanzaCondition::ItemNotFound);
    }
    let (category, kind, features) = if asked.of_account {
        ("account", "registered", &OF_ACCOUNT[..])
    } else {
        ("server", "im", &OF_SERVER[..])
    };
    let identity = Element::new(ns::DISCO_INFO, "identity")
        .with_attr("category", category)
        .with_attr("type", kind);
    let mut query = Element::new(ns::DISCO_INFO, "query").with_child(identity);
    for feature in features {
        query.push(Element::new(ns::DISCO_INFO, "feature").with_attr("var", *feature));
    }
    Deed::Answer(Some(query))
}

/// Nothing belongs to us that has an address of its own.
pub(super) fn items(asked: &Asked<'_>) -> Deed {
    if asks_for_node(asked) {
        return Deed::Refuse(StanzaCondition::ItemNotFound);
    }
    Deed::Answer(Some(Element::new(ns::DISCO_ITEMS, "query")))
}

/// There is none (XEP-0030 §3.2).
fn asks_for_node(asked: &Asked<'_>) -> bool {
    asked.payload.attr("node").is_some()
}
