//! What phones write, as it is said in stanzas: texts, with or without an envelope (RFC 3862), receipts (IMDN, RFC 5438; XEP-0184,
//! XEP-0333) and typing notices (RFC 3994, XEP-0085). What cannot be said is not said.

use domain::{Message, cpim};
use xmpp::{
    ns,
    xml::{Element, Limits, document},
};

pub(crate) const IMDN: &str = "urn:ietf:params:xml:ns:imdn";
pub(crate) const COMPOSING: &str = "urn:ietf:params:xml:ns:im-iscomposing";
/// The media types of a typing notice, and of a text.
pub(crate) const COMPOSING_MEDIA: &str = "application/im-iscomposing+xml";
pub(crate) const TEXT_MEDIA: &str = "text/plain";
/// Octets of what is read; more is not understood.
const LARGEST: usize = 16_384;

/// What a phone says in a message.
#[derive(Debug)]
pub(crate) struct Said {
    /// The phone's own id for it.
    pub(crate) id: Option<String>,
    /// What it says in an envelope that it is about (RFC 3862).
    pub(crate) subject: Option<String>,
    /// The text in it, if that is what it is.
    pub(crate) text: Option<String>,
    /// What there is beside.
    pub(crate) payloads: Vec<Element>,
}

/// How the id of a phone's message begins in a stanza, if the phone gave it one in an envelope: what confirms it is for phones.
pub(crate) const PHONES_ID: &str = "imdn.";

/// What a phone says; `None`: nothing that can be said in a stanza.
pub(crate) fn read(message: &Message) -> Option<Said> {
    if !cpim::is_envelope(&message.content_type) {
        let (text, payload) = content(&message.content_type, &message.body)?;
        let (id, payloads) = (None, payload.into_iter().collect());
        let subject = None;
        return Some(Said {
            id,
            subject,
            text,
            payloads,
        });
    }
    let envelope = cpim::open(&message.body)?;
    let (text, payload) = content(envelope.content_type, envelope.body)?;
    let mut payloads: Vec<_> = payload.into_iter().collect();
    // Without an id there is nothing to answer by.
    let id = envelope.id.filter(|it| !it.is_empty()).map(str::to_owned);
    let asks = id.is_some() && text.is_some();
    if asks && envelope.wants_delivery {
        payloads.push(Element::new(ns::RECEIPTS, "request"));
    }
    if asks && envelope.wants_display {
        payloads.push(Element::new(ns::CHAT_MARKERS, "markable"));
    }
    Some(Said {
        id,
        subject: envelope.subject.map(str::to_owned),
        text,
        payloads,
    })
}

/// A text, or what stands for the rest.
fn content(content_type: &str, body: &[u8]) -> Option<(Option<String>, Option<Element>)> {
    let media = cpim::media(content_type);
    if media.eq_ignore_ascii_case(TEXT_MEDIA) {
        return Some((Some(String::from_utf8_lossy(body).into_owned()), None));
    }
    let is = |of: &str| media.eq_ignore_ascii_case(of);
    let payload = if is(cpim::RECEIPT) {
        receipt(&parsed(body)?)
    } else if is(COMPOSING_MEDIA) {
        chat_state(&parsed(body)?)
    } else {
        None
    };
    Some((None, Some(payload?)))
}

fn parsed(octets: &[u8]) -> Option<Element> {
    let limits = Limits {
        bytes: LARGEST,
        depth: 16,
        nodes: 256,
        ..Limits::default()
    };
    let octets = octets.trim_ascii();
    let octets = if octets.starts_with(b"<?xml") {
        let end = octets.windows(2).position(|it| it == b"?>")?;
        octets[end + 2..].trim_ascii()
    } else {
        octets
    };
    document(octets, &limits).ok()
}

/// A receipt of a phone's (RFC 5438): what it confirms; that something failed cannot be said.
fn receipt(imdn: &Element) -> Option<Element> {
    let id = imdn
        .child(IMDN, "message-id")
        .filter(|_| imdn.is(IMDN, "imdn"))?;
    let says = |kind: &str, what: &str| {
        let status = imdn.child(IMDN, kind)?.child(IMDN, "status")?;
        status.child(IMDN, what)
    };
    let receipt = if says("delivery-notification", "delivered").is_some() {
        Element::new(ns::RECEIPTS, "received")
    } else {
        says("display-notification", "displayed")?;
        Element::new(ns::CHAT_MARKERS, "displayed")
    };
    Some(receipt.with_attr("id", id.text().trim()))
}

/// A typing notice of a phone's (RFC 3994).
fn chat_state(composing: &Element) -> Option<Element> {
    let state = composing.child(COMPOSING, "state")?.text();
    let state = match state.trim() {
        "active" => "composing",
        "idle" => "active",
        _ => return None,
    };
    Some(Element::new(ns::CHAT_STATES, state))
}
