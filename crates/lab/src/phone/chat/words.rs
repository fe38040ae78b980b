//! Stanzas as a client writes and reads them.

use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{IqType, Stanza, StanzaCondition, StanzaError, Type};
use xmpp::xml::Element;

use super::session::Text;
use super::vocabulary::{Pushes, Show};

/// A message (RFC 6121 §5.2) that wants to be told when it is there (XEP-0184 §5.1), and if `markable` when it was read (XEP-0333),
/// with our id for it (XEP-0359).
pub(super) fn message(text: &Text, says: &str, markable: bool) -> Element {
    let message = Element::new(ns::CLIENT, "message")
        .with_attr("type", "chat")
        .with_attr("id", text.id.as_str())
        .with_attr("to", text.to.as_str())
        .with_child(Element::new(ns::CLIENT, "body").with_text(says))
        .with_child(Element::new(ns::RECEIPTS, "request"))
        .with_child(Element::new(ns::STANZA_ID, "origin-id").with_attr("id", text.id.as_str()));
    if markable {
        return message.with_child(Element::new(ns::CHAT_MARKERS, "markable"));
    }
    message
}

/// A message that was received.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) from: String,
    /// The `id` of its stanza.
    pub(super) id: String,
    pub(super) text: String,
    /// Its writer wants to be told that it is there.
    pub(super) wants_receipt: bool,
    /// Its writer wants to be told that it was read.
    pub(super) markable: bool,
}

/// What a message says; `None`: nothing to be shown.
pub(super) fn received(message: &Element) -> Option<Received> {
    let is_it = message.is(ns::CLIENT, "message") && message.attr("type") != Some("error");
    let body = message.child(ns::CLIENT, "body").filter(|_| is_it)?;
    Some(Received {
        from: message.attr("from")?.to_owned(),
        id: message.attr("id").unwrap_or_default().to_owned(),
        text: body.text().into_owned(),
        wants_receipt: message.child(ns::RECEIPTS, "request").is_some(),
        markable: message.child(ns::CHAT_MARKERS, "markable").is_some(),
    })
}

/// Its id in the archive of an account: said by the account itself, and by nobody else (XEP-0359 §4).
pub(super) fn stanza_id<'e>(message: &'e Element, account: &str) -> Option<&'e str> {
    let mut ids = message
        .children()
        .filter(|it| it.is(ns::STANZA_ID, "stanza-id"));
    ids.find(|it| it.attr("by") == Some(account))?.attr("id")
}

/// The message of ours that a receipt is about (XEP-0184 §5.3).
pub(super) fn receipt_for(message: &Element) -> Option<&str> {
    message.child(ns::RECEIPTS, "received")?.attr("id")
}

/// XEP-0333: everything up to this message of theirs was read.
pub(super) fn displayed(to: &str, about: &str, id: String) -> Element {
    let displayed = Element::new(ns::CHAT_MARKERS, "displayed").with_attr("id", about);
    Element::new(ns::CLIENT, "message")
        .with_attr("type", "chat")
        .with_attr("id", id)
        .with_attr("to", to)
        .with_child(displayed)
}

/// XEP-0184 §5.4.
pub(super) fn receipt(to: &Received, id: String) -> Element {
    let received = Element::new(ns::RECEIPTS, "received").with_attr("id", to.id.as_str());
    Element::new(ns::CLIENT, "message")
        .with_attr("type", "chat")
        .with_attr("id", id)
        .with_attr("to", to.from.as_str())
        .with_child(received)
}

/// What went wrong, in the server's words.
pub(super) fn why(stanza: &Element) -> String {
    let error = StanzaError::read(stanza);
    let condition = error.map_or(StanzaCondition::UndefinedCondition, |it| it.condition);
    condition.name().to_owned()
}

/// How the user is shown (RFC 6121 §4.7.2.1).
pub(super) fn presence(show: Show) -> Element {
    let presence = Element::new(ns::CLIENT, "presence");
    let word = match show {
        Show::Available => return presence,
        Show::Unavailable => return presence.with_attr("type", "unavailable"),
        Show::Away => "away",
        Show::DoNotDisturb => "dnd",
    };
    presence.with_child(Element::new(ns::CLIENT, "show").with_text(word))
}

/// How somebody shows themselves, if a presence says so.
pub(super) fn shown(presence: &Element) -> Option<Show> {
    match presence.attr("type") {
        Some("unavailable") => Some(Show::Unavailable),
        Some(_) => None,
        None => {
            let show = presence.child(ns::CLIENT, "show").map(Element::text);
            Some(match show.as_deref() {
                Some("away" | "xa") => Show::Away,
                Some("dnd") => Show::DoNotDisturb,
                _ => Show::Available,
            })
        }
    }
}

/// A presence about a subscription (RFC 6121 §3.1).
pub(super) fn subscription(kind: &str, to: &str) -> Element {
    Element::new(ns::CLIENT, "presence")
        .with_attr("type", kind)
        .with_attr("to", to)
}

/// A question for our server.
pub(super) fn question(kind: &str, id: &str, payload: Element) -> Element {
    Element::new(ns::CLIENT, "iq")
        .with_attr("type", kind)
        .with_attr("id", id)
        .with_child(payload)
}

/// RFC 6120 §7.7.
pub(super) fn bind(id: &str, resource: &str) -> Element {
    let resource = Element::new(ns::BIND, "resource").with_text(resource);
    question(
        "set",
        id,
        Element::new(ns::BIND, "bind").with_child(resource),
    )
}

/// What a client hands over to be pushed to (XEP-0357 §5), as a form (XEP-0004).
pub(super) fn enable(pushes: &Pushes, domain: &str, node: &str) -> Element {
    let field = |name: &str, value: &str| {
        Element::new(ns::DATA, "field")
            .with_attr("var", name)
            .with_child(Element::new(ns::DATA, "value").with_text(value))
    };
    let mut form = Element::new(ns::DATA, "x")
        .with_attr("type", "submit")
        .with_child(field("FORM_TYPE", ns::PUBSUB_PUBLISH_OPTIONS))
        .with_child(field("app", &pushes.app))
        .with_child(field("voip", &pushes.voip))
        .with_child(field("message", &pushes.message));
    if let Some((p256dh, auth)) = &pushes.key {
        form.push(field("p256dh", p256dh));
        form.push(field("auth", auth));
    }
    Element::new(ns::PUSH, "enable")
        .with_attr("jid", format!("push.{domain}"))
        .with_attr("node", node)
        .with_child(form)
}

/// What is answered to a question: of a server that is there and of changes of the roster (RFC 6121 §2.1.6) that it is
/// well, else that it is not understood (RFC 6120 §8.4). `None`: it is no question.
pub(super) fn answer(stanza: Stanza<'_>) -> Option<Element> {
    let Some(Type::Iq(kind @ (IqType::Get | IqType::Set))) = stanza.stanza_type() else {
        return None;
    };
    let is = |namespace, name| stanza.payload().is_some_and(|it| it.is(namespace, name));
    let is_push = kind == IqType::Set && is(ns::ROSTER, "query");
    if is_push || (kind == IqType::Get && is(ns::PING, "ping")) {
        return Some(stanza.reply());
    }
    stanza.error(&StanzaError::new(StanzaCondition::ServiceUnavailable))
}

/// An address without its resource.
pub(super) fn bare(address: &str) -> String {
    let jid = Jid::parse(address).ok();
    jid.map_or_else(|| address.to_owned(), |it| it.bare().as_str().to_owned())
}
