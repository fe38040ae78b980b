//! Message carbons (XEP-0280): a client sees what other clients of its user send and get.

use super::{Asked, Deed};
use domain::Address;
use xmpp::{jid::Jid, ns, xml::Element};

pub(super) fn enable(_: &Asked<'_>) -> Deed {
    Deed::Carbons(true)
}

pub(super) fn disable(_: &Asked<'_>) -> Deed {
    Deed::Carbons(false)
}

/// A copy of a message for another client of its reader (`received`) or of its writer (`sent`); none of what is private, or is
/// a copy itself (XEP-0280 §6).
pub(crate) fn copy(how: &str, message: &Element, of: &Address, to: &Jid) -> Option<Element> {
    let is_private = message.child(ns::CARBONS, "private").is_some()
        || message.child(ns::HINTS, "no-copy").is_some();
    let is_copy = message.children().any(|it| it.namespace() == ns::CARBONS);
    if is_private || is_copy {
        return None;
    }
    let forwarded = Element::new(ns::FORWARD, "forwarded").with_child(message.clone());
    let copy = Element::new(ns::CARBONS, how).with_child(forwarded);
    let kind = message.attr("type").unwrap_or("normal");
    Some(
        Element::new(ns::CLIENT, "message")
            .with_attr("from", of.as_str())
            .with_attr("to", to.as_str())
            .with_attr("type", kind)
            .with_child(copy),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_private_or_a_copy_is_not_copied() {
        let alice = Address::new("alice", "localhost").unwrap();
        let to = Jid::parse("alice@localhost/desk").unwrap();
        let message = || Element::new(ns::CLIENT, "message").with_attr("type", "chat");
        let plain = copy("received", &message(), &alice, &to).unwrap();
        let received = plain.child(ns::CARBONS, "received").unwrap();
        let forwarded = received.child(ns::FORWARD, "forwarded").unwrap();
        assert_eq!(forwarded.children().next(), Some(&message()));
        assert_eq!(copy("received", &plain, &alice, &to), None);
        for child in [
            Element::new(ns::CARBONS, "private"),
            Element::new(ns::HINTS, "no-copy"),
        ] {
            assert_eq!(
                copy("sent", &message().with_child(child), &alice, &to),
                None
            );
        }
    }
}
