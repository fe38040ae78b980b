//! What is said in stanzas, as phones take it: texts, receipts (XEP-0184, XEP-0333; IMDN, RFC 5438) and typing notices (XEP-0085;
//! RFC 3994). Only a phone that has said that it takes envelopes is asked for receipts: which others would understand that is not known.

use crate::{
    letters::{STANZA, stanza},
    phones::{COMPOSING, COMPOSING_MEDIA, IMDN, PHONES_ID, TEXT_MEDIA},
};
use domain::{
    About, Message,
    cpim::{self, Envelope},
    date,
    user::in_uri,
};
use xmpp::{
    ns,
    xml::{Context, Element},
};

/// After so many seconds a phone believes no more that somebody types (RFC 3994): the state of a chat changes sooner.
const TYPES_FOR: &str = "120";

/// A message as a phone takes it, which may take envelopes; `None`: it says nothing that a phone could take.
pub fn for_phone(message: &Message, takes_envelopes: bool) -> Option<Message> {
    if message.content_type != STANZA {
        return Some(message.clone());
    }
    let stanza = stanza(message)?;
    let ((content_type, body), about) = match text(&stanza) {
        Some((text, about)) => {
            let media = format!("{TEXT_MEDIA};charset=UTF-8");
            let text = text.into_bytes();
            let asking = takes_envelopes.then(|| asking(message, &stanza, &media, &text));
            match asking.flatten() {
                Some(envelope) => ((cpim::MEDIA.to_owned(), envelope), about),
                None => ((media, text), about),
            }
        }
        None => (what_is_no_text(message, &stanza)?, None),
    };
    Some(Message {
        content_type,
        body: body.into(),
        about,
        ..message.clone()
    })
}

/// The text of a stanza, with its subject and its language (RFC 7572). A phone takes one: of several in as many languages
/// (RFC 6121 §5.2.3) the one that names none, which is in that of the stanza, else the first.
fn text(stanza: &Element) -> Option<(String, Option<Box<About>>)> {
    let all = |name: &'static str| {
        let named = stanza.children().filter(move |it| it.is(ns::CLIENT, name));
        named.filter(|it| !it.text().is_empty())
    };
    let first_of = |name, wanted: Option<&str>| {
        all(name)
            .find(|it| it.lang() == wanted)
            .or_else(|| all(name).next())
    };
    let body = first_of("body", None)?;
    let subject = first_of("subject", body.lang()).map(Element::text);
    let lang = body.lang().or(stanza.lang());
    Some((
        body.text().into_owned(),
        About::of(subject.as_deref(), lang),
    ))
}

/// A text in an envelope, if its writer wants to know that it has arrived (XEP-0184) or was seen (XEP-0333): by the writer's own id,
/// which the phone's receipt names (RFC 5438).
fn asking(message: &Message, stanza: &Element, media: &str, text: &[u8]) -> Option<Vec<u8>> {
    let wants = |namespace, name| stanza.child(namespace, name).is_some();
    let envelope = Envelope {
        id: Some(stanza.attr("id").filter(|id| !id.is_empty())?),
        subject: None,
        wants_delivery: wants(ns::RECEIPTS, "request"),
        wants_display: wants(ns::CHAT_MARKERS, "markable"),
        content_type: media,
        body: text,
    };
    let asks = envelope.wants_delivery || envelope.wants_display;
    asks.then(|| in_envelope(message, &envelope))
}

fn in_envelope(message: &Message, envelope: &Envelope<'_>) -> Vec<u8> {
    let (from, to) = (
        format!("sip:{}", in_uri(&message.from)),
        format!("sip:{}", in_uri(message.to.as_str())),
    );
    cpim::seal((&from, &to), &date::iso8601(message.at), envelope)
}

/// A receipt or a typing notice: its media type, and what it says.
fn what_is_no_text(message: &Message, stanza: &Element) -> Option<(String, Vec<u8>)> {
    let receipts = [
        (
            ns::RECEIPTS,
            "received",
            "delivery-notification",
            "delivered",
        ),
        (
            ns::CHAT_MARKERS,
            "received",
            "delivery-notification",
            "delivered",
        ),
        (
            ns::CHAT_MARKERS,
            "displayed",
            "display-notification",
            "displayed",
        ),
    ];
    for (namespace, name, kind, what) in receipts {
        let confirmed = stanza.child(namespace, name).and_then(|it| it.attr("id"));
        // What a client wrote is nothing to a phone, which may not even know what a receipt is.
        if let Some(id) = confirmed.and_then(|id| id.strip_prefix(PHONES_ID)) {
            return Some((cpim::MEDIA.to_owned(), imdn(message, id, kind, what)));
        }
    }
    let state = stanza
        .children()
        .find(|it| it.namespace() == ns::CHAT_STATES)?;
    let is_active = state.local() == "composing";
    Some((COMPOSING_MEDIA.to_owned(), is_composing(is_active)))
}

/// A receipt for a phone, which knows one only in an envelope (RFC 5438).
fn imdn(message: &Message, id: &str, kind: &str, what: &str) -> Vec<u8> {
    let status = Element::new(IMDN, "status").with_child(Element::new(IMDN, what));
    let imdn = Element::new(IMDN, "imdn")
        .with_child(Element::new(IMDN, "message-id").with_text(id))
        .with_child(Element::new(IMDN, "datetime").with_text(&date::iso8601(message.at)))
        .with_child(Element::new(IMDN, kind).with_child(status));
    let envelope = Envelope {
        id: Some(message.id.as_str()),
        subject: None,
        wants_delivery: false,
        wants_display: false,
        content_type: cpim::RECEIPT,
        body: &octets(&imdn),
    };
    in_envelope(message, &envelope)
}

fn is_composing(is_active: bool) -> Vec<u8> {
    let state = if is_active { "active" } else { "idle" };
    let mut composing = Element::new(COMPOSING, "isComposing")
        .with_child(Element::new(COMPOSING, "state").with_text(state));
    if is_active {
        composing.push(Element::new(COMPOSING, "contenttype").with_text(TEXT_MEDIA));
        composing.push(Element::new(COMPOSING, "refresh").with_text(TYPES_FOR));
    }
    octets(&composing)
}

fn octets(element: &Element) -> Vec<u8> {
    let mut octets = b"<?xml version='1.0' encoding='UTF-8'?>\n".to_vec();
    element.write(&mut octets, Context::DOCUMENT);
    octets
}
