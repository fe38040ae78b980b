//! Service discovery (XEP-0030): what we are and what we can; and the same as a hash in the features of a stream, so that nobody has to
//! ask again who has asked before (XEP-0115).

use super::{Asked, Deed};
use crate::settings::Settings;
use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};
use xmpp::{ns, stanza::StanzaCondition, xml::Element};

/// What the server can, by name.
const OF_SERVER: &[&str] = &[
    ns::CAPS,
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    ns::LAST,
    ns::REGISTER,
    ns::VERSION,
    ns::BLOCKING,
    ns::CARBONS,
    ns::PING,
    ns::TIME,
    ns::VCARD,
];
/// What the server can where there is something to tell ([`Settings::turn`]).
const WITH_TURN: &[&str] = &[ns::EXTERNAL_SERVICES];
/// What an account can.
const OF_ACCOUNT: &[&str] = &[
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    ns::LAST,
    ns::MAM,
    MAM_EXTENDED,
    ns::PING,
    ns::PUSH,
    ns::STANZA_ID,
    ns::VCARD,
];
/// The archive knows all fields, pages in either direction, and where it begins and ends (XEP-0313 §7).
const MAM_EXTENDED: &str = "urn:xmpp:mam:2#extended";

/// What kind of thing the server is, and an account: category and type.
const SERVER: (&str, &str) = ("server", "im");
const ACCOUNT: (&str, &str) = ("account", "registered");

/// The program by which hashes are named (XEP-0115 §4).
const NODE: &str = "urn:reveille";

pub(super) fn info(asked: &Asked<'_>) -> Deed {
    let node = asked.payload.attr("node");
    let (identity, features) = if asked.of_account {
        (ACCOUNT, OF_ACCOUNT.to_vec())
    } else {
        (SERVER, features(asked.settings))
    };
    // The hash names what it is of (XEP-0115 §6.2).
    let is_hashed =
        |node: &str| !asked.of_account && node == format!("{NODE}#{}", hash(asked.settings));
    if node.is_some_and(|node| !is_hashed(node)) {
        return Deed::Refuse(StanzaCondition::ItemNotFound);
    }
    let mut query = described(identity, &features);
    if let Some(node) = node {
        query.set_attr("node", node);
    }
    Deed::Answer(Some(query))
}

/// What the server is and can, for a component that asks.
pub(crate) fn of_server(settings: &Settings) -> Element {
    described(SERVER, &features(settings))
}

fn features(settings: &Settings) -> Vec<&'static str> {
    let with_turn = settings.turn.iter().flat_map(|_| WITH_TURN);
    OF_SERVER.iter().chain(with_turn).copied().collect()
}

fn described((category, kind): (&str, &str), features: &[&str]) -> Element {
    let identity = Element::new(ns::DISCO_INFO, "identity")
        .with_attr("category", category)
        .with_attr("type", kind);
    let mut query = Element::new(ns::DISCO_INFO, "query").with_child(identity);
    for feature in features {
        query.push(Element::new(ns::DISCO_INFO, "feature").with_attr("var", *feature));
    }
    query
}

/// What belongs to us and has an address of its own: the push service, and components, whether or not they are connected.
pub(super) fn items(asked: &Asked<'_>) -> Deed {
    // There is no node (XEP-0030 §4.2).
    if asked.payload.attr("node").is_some() {
        return Deed::Refuse(StanzaCondition::ItemNotFound);
    }
    let mut query = Element::new(ns::DISCO_ITEMS, "query");
    if !asked.of_account {
        let push = asked.settings.push_service(asked.user.domain());
        let components = asked.settings.components.iter().map(|it| &**it);
        for jid in std::iter::once(&*push).chain(components) {
            query.push(Element::new(ns::DISCO_ITEMS, "item").with_attr("jid", jid));
        }
    }
    Deed::Answer(Some(query))
}

/// What the server can, as a feature of a stream (XEP-0115 §6.3).
pub(crate) fn caps(settings: &Settings) -> Element {
    Element::new(ns::CAPS, "c")
        .with_attr("hash", "sha-1")
        .with_attr("node", NODE)
        .with_attr("ver", hash(settings))
}

/// XEP-0115 §5.1.
fn hash(settings: &Settings) -> String {
    let (category, kind) = SERVER;
    let mut features = features(settings);
    features.sort_unstable();
    let mut text = format!("{category}/{kind}//<");
    for feature in features {
        text.push_str(feature);
        text.push('<');
    }
    STANDARD.encode(Sha1::digest(text))
}

#[cfg(test)]
mod tests {
    use super::{super::TABLE, *};

    /// What is no extension, or is part of another one.
    const NO_FEATURE: [&str; 2] = [ns::ROSTER, ns::SESSION];

    #[test]
    fn all_that_can_be_asked_is_a_feature() {
        for row in &TABLE {
            let mut all = OF_SERVER.iter().chain(OF_ACCOUNT).chain(WITH_TURN);
            let is_feature = all.any(|it| *it == row.1);
            assert!(
                is_feature || NO_FEATURE.contains(&row.1),
                "{} is not named",
                row.1
            );
        }
    }

    #[test]
    fn all_that_is_a_feature_can_be_asked_or_is_done() {
        // Hashes stand in the features of streams, ids on messages.
        let done = [ns::CAPS, ns::STANZA_ID, MAM_EXTENDED];
        for feature in OF_SERVER.iter().chain(OF_ACCOUNT).chain(WITH_TURN) {
            let is_asked = TABLE.iter().any(|row| row.1 == *feature);
            assert!(is_asked || done.contains(feature), "{feature} is not there");
        }
    }
}
