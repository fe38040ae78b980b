//! What a request is, by its header fields: tables, and no state.

use domain::{Class, cpim};
use sip::{HeaderName, Message, Method, endpoint::HeaderChange};
use std::sync::Arc;

/// What we take part in ourselves; other methods pass.
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, MESSAGE, SUBSCRIBE, NOTIFY, PUBLISH, REFER, INFO, UPDATE, PRACK";

/// The media type of a MESSAGE that names none (RFC 3261 §20.15 leaves it open; everybody means this).
pub(crate) const TEXT: &str = "text/plain";

/// What a forward between our shards carries, so that it stays one story; nobody else may write it.
pub(crate) const TRACKING: HeaderName<'static> = HeaderName::Other("X-Reveille-Tracking");

/// RFC 3326: why a call is not set up between parties of whom one is outside.
pub(crate) const NO_RELAY: &str = "SIP;cause=503;text=\"No Media Relay\"";

/// What kind of message a MESSAGE carries, by its media type and priority: one table.
pub(crate) fn class(request: &Message) -> Class {
    let media = request.header_text(HeaderName::ContentType).unwrap_or(TEXT);
    // What counts is what is in an envelope.
    let envelope = Some(request.body()).filter(|_| cpim::is_envelope(media));
    let inside = envelope.and_then(cpim::open);
    let media = cpim::media(inside.map_or(media, |it| it.content_type));
    let by_media = [
        ("application/im-iscomposing+xml", Class::Transient), // RFC 3994
        (cpim::RECEIPT, Class::Notice),                       // RFC 5438
    ];
    let known = by_media
        .iter()
        .find(|(name, _)| media.eq_ignore_ascii_case(name))
        .map(|(_, class)| *class);
    known.unwrap_or(if not_urgent(request) {
        Class::Notice
    } else {
        Class::Chat
    })
}

/// `Priority: non-urgent` wakes nobody (RFC 3261 §20.26).
fn not_urgent(request: &Message) -> bool {
    request
        .header_text(HeaderName::Priority)
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("non-urgent"))
}

/// Why nobody is woken for an INVITE, if that is so (`behaviour.md` 5.9).
pub(crate) fn wakes_nobody(request: &Message) -> Option<&'static str> {
    if request.has(HeaderName::Other("Replaces")) {
        Some("an INVITE with Replaces rings where the call is already")
    } else if not_urgent(request) {
        Some("not urgent")
    } else {
        None
    }
}

/// Whether a request other than INVITE begins a dialog (RFC 6665 §4.1; REFER does as SUBSCRIBE does).
pub(crate) fn begins_dialog(method: Method<'_>) -> bool {
    matches!(method, Method::Subscribe | Method::Refer)
}

/// Whether a body is packed in a way that we would not keep: we keep it and its type, not how it was packed.
pub(crate) fn is_packed(request: &Message) -> bool {
    let packed = request.header_text(HeaderName::ContentEncoding);
    packed.is_some_and(|how| !how.trim().eq_ignore_ascii_case("identity"))
}

/// Whether a body claims to be of a type in which other roles of ours keep messages: it would be believed.
pub(crate) fn is_ours_alone(request: &Message) -> bool {
    const OURS: &str = "application/vnd.reveille.";
    let media = request.header_text(HeaderName::ContentType);
    let start = media.and_then(|media| media.trim_start().get(..OURS.len()));
    start.is_some_and(|start| start.eq_ignore_ascii_case(OURS))
}

/// Header fields by which servers tell each other who somebody is, or was: from a user they are worth nothing.
const IDENTITY: [HeaderName<'static>; 9] = [
    HeaderName::Other("P-Asserted-Identity"),  // RFC 3325
    HeaderName::Other("P-Preferred-Identity"), // RFC 3325
    HeaderName::Other("Remote-Party-ID"),
    HeaderName::Other("Diversion"),    // RFC 5806
    HeaderName::Other("History-Info"), // RFC 7044
    HeaderName::Other("Identity"),     // RFC 8224
    HeaderName::Other("Identity-Info"),
    HeaderName::Other("P-Called-Party-ID"),
    HeaderName::Other("P-Charging-Vector"),
];

/// What is taken off the responses of whoever answers there.
pub(crate) fn off_responses(trusted: bool) -> &'static [HeaderName<'static>] {
    if trusted { &[] } else { &IDENTITY }
}

/// What is taken off a request before it goes on: credentials for us are nobody else's affair, those for others are
/// theirs (RFC 3261 §22.3); and an identity counts only if a server that we trust asserts it (RFC 3325 §5).
pub(crate) fn headers_off(realms: &Arc<[String]>, trusted: bool) -> Vec<HeaderChange> {
    let credentials = [HeaderName::ProxyAuthorization, HeaderName::Authorization];
    let credentials = credentials.map(|header| HeaderChange::RemoveCredentials {
        header,
        realms: realms.clone(),
    });
    let identity = IDENTITY
        .iter()
        .filter(|_| !trusted)
        .map(|name| HeaderChange::Remove(*name));
    let tracking = HeaderChange::Remove(TRACKING);
    let off = credentials.into_iter().chain([tracking]);
    off.chain(identity).collect()
}
