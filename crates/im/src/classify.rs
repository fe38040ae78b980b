//! What kind of message a stanza is: whether it is kept, and whether it is worth a push (`behaviour.md` 6, XEP-0334).

use crate::{calls, markers::marked};
use domain::Class;
use xmpp::{ns, stanza::MessageType, xml::Element};

/// Payloads without a text that are worth keeping: they belong to a message that was kept. None is worth a push.
const KEPT: [&str; 5] = [
    ns::RECEIPTS,
    ns::CHAT_MARKERS,
    ns::RETRACTION,
    ns::REACTIONS,
    ns::CORRECTION,
];

/// What is encrypted by OMEMO, by earlier clients and by XEP-0384.
const OMEMO: [&str; 2] = ["eu.siacs.conversations.axolotl", "urn:xmpp:omemo:2"];
/// What is encrypted otherwise, or said to be: XEP-0380, XEP-0373, XEP-0027.
const ENCRYPTED: [&str; 3] = ["urn:xmpp:eme:0", "urn:xmpp:openpgp:0", "jabber:x:encrypted"];

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
    // It has a way of its own to push (XEP-0353 §4), whatever is written with it.
    if calls::read(message).is_some() {
        return Class::Call;
    }
    let is_text = has_text(message) && !is_text_of_fallback(message);
    if is_text || is_secret(message) {
        return Class::Chat;
    }
    let kept = message.children().any(|it| KEPT.contains(&it.namespace()));
    if kept || hint("store") {
        Class::Notice
    } else {
        Class::Transient
    }
}

/// Whether a person did something that this tells of, and not only their client.
pub(crate) fn is_of_somebody(message: &Element) -> bool {
    let types = ["active", "composing"];
    let mut types = types.iter();
    types.any(|it| message.child(ns::CHAT_STATES, it).is_some()) || marked(message).is_some()
}

/// Whether somebody is to read it.
fn has_text(message: &Element) -> bool {
    message
        .child(ns::CLIENT, "body")
        .is_some_and(|body| !body.text().is_empty())
}

/// Whether somebody is to read it who can decrypt it: we cannot tell what is in it, but that something is (XEP-0380). One that
/// only hands over a key has no payload.
fn is_secret(message: &Element) -> bool {
    let is_key = |it: &Element| {
        let has_payload = it.child(it.namespace(), "payload").is_some();
        OMEMO.contains(&it.namespace()) && it.local() == "encrypted" && !has_payload
    };
    let is_encrypted = |it: &Element| {
        let all = ENCRYPTED.iter().chain(&OMEMO);
        all.into_iter()
            .any(|namespace| it.namespace() == *namespace)
    };
    message.children().any(is_encrypted) && !message.children().any(is_key)
}

/// Payloads that say all themselves: a text beside them is for clients that do not understand them, if it says so.
const INSTEAD: [&str; 3] = [ns::RETRACTION, ns::REACTIONS, ns::CHAT_MARKERS];

/// Whether all of the text is there instead of something that is understood by others (XEP-0428): who was told of that
/// message needs not be told of this one.
fn is_text_of_fallback(message: &Element) -> bool {
    let is_whole = |fallback: &Element| {
        let mut bodies = fallback.children().filter(|it| it.is(ns::FALLBACK, "body"));
        let in_part = |body: &Element| body.attr("start").is_some() || body.attr("end").is_some();
        fallback.children().next().is_none() || bodies.any(|body| !in_part(body))
    };
    let is_of = |fallback: &Element| {
        let of = fallback.attr("for");
        of.is_some_and(|of| INSTEAD.contains(&of))
            && message.children().any(|it| Some(it.namespace()) == of)
    };
    let mut fallbacks = message
        .children()
        .filter(|it| it.is(ns::FALLBACK, "fallback"));
    fallbacks.any(|it| is_of(it) && is_whole(it))
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
        let propose = || Element::new(ns::JINGLE_MESSAGE, "propose").with_attr("id", "a");
        let omemo = |with_payload: bool| {
            let payload = Element::new(OMEMO[0], "payload");
            let encrypted = Element::new(OMEMO[0], "encrypted");
            if with_payload {
                encrypted.with_child(payload)
            } else {
                encrypted
            }
        };
        let fallback = |of: &str| Element::new(ns::FALLBACK, "fallback").with_attr("for", of);
        let retract = || Element::new(ns::RETRACTION, "retract");
        let part = || Element::new(ns::FALLBACK, "body").with_attr("start", "0");
        for (kind, children, class_of_it) in [
            (Chat, vec![retract(), body()], Class::Chat),
            (
                Chat,
                vec![retract(), body(), fallback(ns::RETRACTION)],
                Class::Notice,
            ),
            (
                Chat,
                vec![
                    retract(),
                    body(),
                    fallback(ns::RETRACTION).with_child(part()),
                ],
                Class::Chat,
            ),
            // Nobody makes a text silent by this alone.
            (Chat, vec![body(), fallback(ns::RETRACTION)], Class::Chat),
            (
                Chat,
                vec![
                    Element::new(ns::CORRECTION, "replace"),
                    body(),
                    fallback(ns::CORRECTION),
                ],
                Class::Chat,
            ),
            (
                Chat,
                vec![
                    Element::new(ns::REPLY, "reply"),
                    body(),
                    fallback(ns::REPLY),
                ],
                Class::Chat,
            ),
            (Chat, vec![body()], Class::Chat),
            (Normal, vec![body(), composing()], Class::Chat),
            (Chat, vec![composing()], Class::Transient),
            (Chat, vec![received()], Class::Notice),
            (Chat, vec![propose(), hint("store")], Class::Call),
            (Chat, vec![propose(), body()], Class::Call),
            (Chat, vec![propose(), hint("no-store")], Class::Transient),
            (Chat, vec![], Class::Transient),
            (Chat, vec![omemo(true)], Class::Chat),
            (Chat, vec![omemo(false), hint("store")], Class::Notice),
            (
                Chat,
                vec![omemo(false), Element::new(ENCRYPTED[0], "encryption")],
                Class::Transient,
            ),
            (
                Chat,
                vec![Element::new(ENCRYPTED[0], "encryption")],
                Class::Chat,
            ),
            (Chat, vec![omemo(true), hint("no-store")], Class::Transient),
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
