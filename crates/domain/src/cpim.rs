//! Messages in an envelope (CPIM, RFC 3862): header fields about the message, header fields about what is in it, and that. It is
//! nobody's protocol; who asks for receipts (IMDN, RFC 5438) needs it. What is read are the fields that matter for that.

use std::fmt::Write as _;

/// The media type of an envelope.
pub const MEDIA: &str = "message/cpim";
/// The media type of a receipt in one (RFC 5438).
pub const RECEIPT: &str = "message/imdn+xml";
/// Most octets of header fields that are looked at.
const HEAD: usize = 8_192;

/// An envelope that was opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Envelope<'m> {
    /// By which its writer knows it (`imdn.Message-ID`).
    pub id: Option<&'m str>,
    /// What it is about, in the first of the languages that it names.
    pub subject: Option<&'m str>,
    /// Its writer wants to know that it has arrived.
    pub wants_delivery: bool,
    /// Its writer wants to know that it was seen.
    pub wants_display: bool,
    /// The media type of what is in it.
    pub content_type: &'m str,
    /// What is in it.
    pub body: &'m [u8],
}

/// Whether a media type is that of an envelope.
pub fn is_envelope(content_type: &str) -> bool {
    media(content_type).eq_ignore_ascii_case(MEDIA)
}

/// A media type without its parameters.
pub fn media(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Opens an envelope; `None`: it is none.
pub fn open(octets: &[u8]) -> Option<Envelope<'_>> {
    let (about, rest) = head(octets)?;
    let (inner, body) = head(rest)?;
    // A prefix stands for a name; everybody declares this one for receipts.
    let wants = field(about, "imdn.Disposition-Notification").unwrap_or_default();
    let wants = |what: &str| {
        wants
            .split(',')
            .any(|it| it.trim().eq_ignore_ascii_case(what))
    };
    Some(Envelope {
        id: field(about, "imdn.Message-ID"),
        subject: field(about, "Subject").map(without_lang),
        wants_delivery: wants("positive-delivery"),
        wants_display: wants("display"),
        content_type: field(inner, "Content-Type").unwrap_or("text/plain"),
        body,
    })
}

/// A subject without the language that may be named before it: `;lang=fr objet` (RFC 3862).
fn without_lang(subject: &str) -> &str {
    let behind = subject.strip_prefix(";lang=");
    let behind = behind.and_then(|rest| rest.split_once(char::is_whitespace));
    behind.map_or(subject, |(_, text)| text.trim())
}

/// What stands before an empty line, and what behind it.
fn head(octets: &[u8]) -> Option<(&str, &[u8])> {
    let end = |mark: &[u8]| {
        let place = octets
            .windows(mark.len())
            .take(HEAD)
            .position(|it| it == mark);
        place.map(|place| (place, mark.len()))
    };
    // Lines end as RFC 3862 has it; some writers forget half of that.
    let (place, length) = [end(b"\r\n\r\n"), end(b"\n\n")]
        .into_iter()
        .flatten()
        .min()?;
    let head = std::str::from_utf8(&octets[..place]).ok()?;
    Some((head, &octets[place + length..]))
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut named = fields.filter(|(it, _)| it.trim().eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.trim())
}

/// Puts something into an envelope, written at this time (RFC 3339) from one address to another. None of the texts may hold a line
/// end; what does is left out.
pub fn seal((from, to): (&str, &str), at: &str, envelope: &Envelope<'_>) -> Vec<u8> {
    let Envelope {
        id,
        subject,
        wants_delivery,
        wants_display,
        content_type,
        body,
    } = *envelope;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        if !value.chars().any(char::is_control) {
            let _ = write!(text, "{name}: {value}\r\n");
        }
    };
    line("From", format!("<{from}>"));
    line("To", format!("<{to}>"));
    line("DateTime", at.to_owned());
    if let Some(subject) = subject {
        line("Subject", subject.to_owned());
    }
    line("NS", "imdn <urn:ietf:params:imdn>".to_owned());
    if let Some(id) = id {
        line("imdn.Message-ID", id.to_owned());
    }
    let wants = [
        ("positive-delivery", wants_delivery),
        ("display", wants_display),
    ];
    let wants: Vec<_> = wants.into_iter().filter(|it| it.1).map(|it| it.0).collect();
    if !wants.is_empty() {
        line("imdn.Disposition-Notification", wants.join(", "));
    }
    text += "\r\n";
    let mut line = |name: &str, value: String| {
        let _ = write!(text, "{name}: {value}\r\n");
    };
    line("Content-Type", content_type.to_owned());
    if media(content_type).eq_ignore_ascii_case(RECEIPT) {
        line("Content-Disposition", "notification".to_owned());
    }
    line("Content-Length", body.len().to_string());
    text += "\r\n";
    [text.as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_says_who_wants_to_know_what() {
        let octets = b"From: <sip:a@h>\r\nNS: imdn <urn:ietf:params:imdn>\r\nimdn.message-id: 34jk324j\r\n\
            imdn.Disposition-Notification: Positive-Delivery, display\r\n\r\nContent-type: text/plain; charset=utf-8\r\nContent-length: 5\r\n\r\nHello";
        let envelope = open(octets).unwrap();
        assert_eq!(envelope.id, Some("34jk324j"));
        assert_eq!(envelope.subject, None);
        let about = b"Subject: ;lang=fr objet de ce\r\n\r\n\r\n\r\nx";
        assert_eq!(open(about).and_then(|it| it.subject), Some("objet de ce"));
        assert!(envelope.wants_delivery && envelope.wants_display);
        assert_eq!(media(envelope.content_type), "text/plain");
        assert_eq!(envelope.body, b"Hello");
    }

    #[test]
    fn an_envelope_that_asks_for_nothing_holds_its_message_all_the_same() {
        let envelope = open(b"From: <sip:a@h>\n\nContent-Type: x/y\n\n\na").unwrap();
        assert_eq!(
            (envelope.id, envelope.wants_delivery, envelope.wants_display),
            (None, false, false)
        );
        assert_eq!((envelope.content_type, envelope.body), ("x/y", &b"\na"[..]));
    }

    #[test]
    fn what_is_no_envelope_is_not_opened() {
        let long = [&b"a: "[..], &[b'x'; HEAD], b"\r\n\r\n\r\n\r\n"].concat();
        for octets in [
            &b""[..],
            b"a: b\r\n\r\n",
            b"hello",
            b"\xff\r\n\r\n\r\n\r\n",
            &long,
        ] {
            assert_eq!(open(octets), None);
        }
    }

    #[test]
    fn what_was_sealed_is_opened_and_no_line_is_smuggled_in() {
        let envelope = Envelope {
            id: Some("1"),
            subject: Some("noon"),
            wants_delivery: true,
            wants_display: false,
            content_type: "text/plain;charset=UTF-8",
            body: b"<a/>",
        };
        let sealed = |envelope| seal(("sip:a@h", "sip:b@h"), "2026-11-29T12:00:00Z", &envelope);
        assert_eq!(open(&sealed(envelope.clone())), Some(envelope.clone()));
        let smuggled = Envelope {
            id: Some("1\r\nX: y"),
            ..envelope.clone()
        };
        let expected = Envelope {
            id: None,
            ..envelope
        };
        assert_eq!(open(&sealed(smuggled)), Some(expected));
    }

    #[test]
    fn a_receipt_is_a_notification_and_a_text_is_none() {
        for (content_type, is_one) in [(RECEIPT, true), ("text/plain", false)] {
            let envelope = Envelope {
                id: None,
                subject: None,
                wants_delivery: false,
                wants_display: false,
                content_type,
                body: b"",
            };
            let sealed = seal(("sip:a@h", "sip:b@h"), "", &envelope);
            let text = String::from_utf8(sealed).unwrap();
            assert_eq!(text.contains("Content-Disposition: notification"), is_one);
            assert!(!text.contains("imdn.Disposition-Notification"));
        }
    }
}
