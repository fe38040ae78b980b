//! Presence between stanzas and what the hub knows of it (RFC 6121 §4.7).

use crate::{ext, letters, session::Session};
use bytes::Bytes;
use domain::{
    Address, Avatar, Now,
    presence::{News, Resource, Seen, Show},
    roster::Request,
};
use xmpp::{
    ns,
    stanza::PresenceType,
    xml::{Element, document},
};

/// What a client may say of itself, and how the hub calls it (RFC 6121 §4.7.2.1).
const SHOWS: [(&str, Show); 4] = [
    ("away", Show::Away),
    ("chat", Show::Chat),
    ("dnd", Show::DoNotDisturb),
    ("xa", Show::ExtendedAway),
];

/// What is said of a subscription by a stanza of this type.
pub(crate) fn request(kind: PresenceType) -> Option<Request> {
    Some(match kind {
        PresenceType::Subscribe => Request::Subscribe,
        PresenceType::Subscribed => Request::Subscribed,
        PresenceType::Unsubscribe => Request::Unsubscribe,
        PresenceType::Unsubscribed => Request::Unsubscribed,
        _ => return None,
    })
}

/// The type that says it.
pub(crate) fn kind(request: Request) -> &'static str {
    match request {
        Request::Subscribe => "subscribe",
        Request::Subscribed => "subscribed",
        Request::Unsubscribe => "unsubscribe",
        Request::Unsubscribed => "unsubscribed",
    }
}

/// What the hub calls a client.
pub(crate) fn name(session: &Session) -> Box<str> {
    session.jid.resource().unwrap_or_default().into()
}

/// What a presence says, to be said to others: all of it but who it is from, whom it is for, and its type. It is the stanza as
/// it is written, behind its name.
pub(crate) fn payload(element: &Element) -> Bytes {
    let mut said = element.clone();
    for name in ["from", "to", "type"] {
        said.remove_attr(name);
    }
    let octets = Bytes::from(said.to_octets(letters::KEPT));
    octets.slice(BEGIN.len().min(octets.len())..)
}

/// How a presence begins.
const BEGIN: &[u8] = b"<presence";
/// The same by itself.
const DECLARED: &[u8] = b"<presence xmlns='jabber:client'";

/// What was said, as a stanza of nobody yet.
pub(crate) fn stanza(payload: &[u8]) -> Element {
    let whole = [DECLARED, payload].concat();
    let said = document(&whole, &letters::OURS).ok();
    said.unwrap_or_else(|| Element::new(ns::CLIENT, "presence"))
}

/// What an available presence says.
pub(crate) fn read(element: &Element, session: &Session, now: Now) -> Resource {
    let text = |name| element.child(ns::CLIENT, name).map(Element::text);
    let priority = text("priority").and_then(|text| text.trim().parse().ok());
    let show = text("show").and_then(|text| {
        let row = SHOWS.iter().find(|(name, _)| *name == text);
        row.map(|(_, show)| *show)
    });
    Resource {
        name: name(session),
        priority: priority.unwrap_or(0),
        show: show.unwrap_or(Show::Available),
        payload: payload(element),
        since: now.wall,
        suspended: false,
    }
}

/// What a client of a role without stanzas says of itself, in our words: that, and a note for people.
pub fn said(show: Show, note: Option<&str>) -> Bytes {
    let mut presence = Element::new(ns::CLIENT, "presence");
    if let Some((name, _)) = SHOWS.iter().find(|(_, known)| *known == show) {
        presence.push(Element::new(ns::CLIENT, "show").with_text(name));
    }
    if let Some(note) = note.filter(|note| !note.is_empty()) {
        presence.push(Element::new(ns::CLIENT, "status").with_text(note));
    }
    payload(&presence)
}

/// The note for people in what a client said.
pub fn status(payload: &[u8]) -> Option<String> {
    let stanza = stanza(payload);
    let status = stanza.child(ns::CLIENT, "status")?;
    Some(status.text().into_owned()).filter(|it| !it.is_empty())
}

/// Whom a stanza is for that is shown: the client that it is for alone, else the user (RFC 6121 §4.2.3, §4.3.2).
fn addressee(session: &Session, alone: bool) -> &str {
    if alone {
        session.jid.as_str()
    } else {
        session.user.as_str()
    }
}

/// A presence of this type for a client; none is that of being there. What was said goes as it was said.
pub(crate) fn octets(
    from: &str,
    session: &Session,
    alone: bool,
    kind: Option<&str>,
    payload: &[u8],
) -> Bytes {
    let mut presence = Element::new(ns::CLIENT, "presence")
        .with_attr("from", from)
        .with_attr("to", addressee(session, alone));
    if let Some(kind) = kind {
        presence.set_attr("type", kind);
    }
    let mut octets = presence.to_octets(session.framing.context());
    if !payload.is_empty() && octets.ends_with(EMPTY) {
        octets.truncate(octets.len() - EMPTY.len());
        octets.extend_from_slice(payload);
    }
    octets.into()
}

/// The end of an element with nothing in it.
const EMPTY: &[u8] = b"/>";

/// What is seen of somebody's client, for a client (RFC 6121 §4.2.2, §4.5.2). What a client said is shown as it said it, unless
/// we say on its behalf that it is away, or have only what it means.
pub(crate) fn seen(
    from: &Address,
    session: &Session,
    alone: bool,
    news: &News,
    avatar: Option<Avatar>,
) -> Bytes {
    let from = address(from, &news.resource);
    let here = |said: &[u8]| {
        let with = avatar.and_then(|it| ext::with_avatar(said, it));
        octets(&from, session, alone, None, with.as_deref().unwrap_or(said))
    };
    match &news.seen {
        Seen::Gone { payload, .. } => octets(&from, session, alone, Some("unavailable"), payload),
        Seen::Here {
            payload,
            on_behalf: false,
            show,
            ..
        } if !payload.is_empty() || *show == Show::Available => here(payload),
        Seen::Here { payload, show, .. } => here(&away(*show, payload)),
    }
}

/// The same with another `<show/>` than it has.
fn away(show: Show, said: &[u8]) -> Bytes {
    let mut presence = stanza(said);
    presence.retain_children(|child| !child.is(ns::CLIENT, "show"));
    if let Some((name, _)) = SHOWS.iter().find(|(_, known)| *known == show) {
        presence.push(Element::new(ns::CLIENT, "show").with_text(name));
    }
    payload(&presence)
}

/// The full address of somebody's client.
pub(crate) fn address(user: &Address, name: &str) -> String {
    if name.is_empty() {
        user.as_str().to_owned()
    } else {
        format!("{user}/{name}")
    }
}
