//! What kind of message a stanza is: whether it is kept, and whether it is worth a push (`behaviour.md` 6, XEP-0334).

use domain::Class;
use xmpp::{ns, stanza::MessageType, xml::Element};

/// Payloads without a text that are worth keeping: they belong to a message that was kept. None is worth a push.
const KEPT: [&str; 6] = [
    ns::RECEIPTS,
    ns::CHAT_MARKERS,
    ns::RETRACTION,
    ns::REACTIONS,
    ns::CORRECTION,
    ns::JINGLE_MESSAGE,
];

/// The class of a message that is for one user.
pub(crate) fn class(kind: MessageType, message: &Element) -> Class {
    let hint = |name| message.child(ns::HINTS, name).is_some();
    let is_passing = matches!(
        kind,
        MessageType::Headline | MessageType::Error | MessageType::Groupchat
    );
    if is_passing || hint("no-store") {
        return Class::Transient;
    }
    if has_text(message) {
        return Class::Chat;
    }
    let kept = message.children().any(|it| KEPT.contains(&it.namespace()));
    if kept || hint("store") {
        Class::Notice
    } else {
        Class::Transient
    }
}

/// Whether somebody is to read it.
fn has_text(message: &Element) -> bool {
    message
        .child(ns::CLIENT, "body")
        .is_some_and(|body| !body.text().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use MessageType::{Chat, Error, Groupchat, Headline, Normal};

    #[test]
    fn a_message_is_of_the_class_of_what_is_in_it() {
        let body = || Element::new(ns::CLIENT, "body").with_text("hello");
        let hint = |name| Element::new(ns::HINTS, name);
        let composing = || Element::new(ns::CHAT_STATES, "composing");
        let received = || Element::new(ns::RECEIPTS, "received");
        for (kind, children, class_of_it) in [
            (Chat, vec![body()], Class::Chat),
            (Normal, vec![body(), composing()], Class::Chat),
            (Chat, vec![composing()], Class::Transient),
            (Chat, vec![received()], Class::Notice),
            (Chat, vec![], Class::Transient),
            (
                Chat,
                vec![Element::new(ns::CLIENT, "body")],
                Class::Transient,
            ),
            (Chat, vec![body(), hint("no-store")], Class::Transient),
            (Chat, vec![composing(), hint("store")], Class::Notice),
            (Headline, vec![body()], Class::Transient),
            (Error, vec![body()], Class::Transient),
            (Groupchat, vec![body()], Class::Transient),
        ] {
            let mut message = Element::new(ns::CLIENT, "message");
            for child in children {
                message.push(child);
            }
            assert_eq!(class(kind, &message), class_of_it, "{message:?}");
        }
    }
}
