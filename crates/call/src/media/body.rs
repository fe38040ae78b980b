//! The description of a session in the body of a message: all of it, or one part.

use crate::requests::is_packed;
use sip::{HeaderName, Message};
use std::ops::Range;

/// The media type of a description (SDP).
const SDP: &str = "application/sdp";
const MULTIPART: &str = "multipart/";
/// So many parts of a body may be looked at for a description.
const PARTS: usize = 16;
/// Octets of what stands between parts (RFC 2046 §5.1.1).
const BOUNDARY: usize = 70;
/// The encodings of a part that leave it as it is (RFC 2045 §6).
const AS_IT_IS: [&str; 4] = ["7bit", "8bit", "binary", "identity"];
/// What ends the header of a part.
const BLANK: &[u8] = b"\r\n\r\n";

/// What a body says of a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    /// Nothing.
    Nothing,
    /// A description, which is here.
    Described(Range<usize>),
    /// Perhaps there is a description, but not so that we can read it.
    Unreadable,
}

/// Where in a body the description is, if there is one that we can read.
pub(crate) fn sdp(message: &Message) -> Option<Range<usize>> {
    match seen(message) {
        Seen::Described(place) => Some(place),
        Seen::Nothing | Seen::Unreadable => None,
    }
}

/// What the body of a message says of a session.
pub(crate) fn seen(message: &Message) -> Seen {
    let body = message.body();
    let media = message.header_text(HeaderName::ContentType);
    let Some(media) = media.filter(|it| !body.is_empty() && may_describe(it)) else {
        return Seen::Nothing;
    };
    if is_packed(message) {
        Seen::Unreadable
    } else if is(media, SDP) {
        Seen::Described(0..body.len())
    } else {
        let parts = boundary(media).map(|it| parts(body, &[b"--", it.as_bytes()].concat()));
        parts.unwrap_or(Seen::Unreadable)
    }
}

/// The body of a message with another description in its place.
pub(crate) fn with(message: &Message, place: Range<usize>, sdp: &[u8]) -> Vec<u8> {
    let body = message.body();
    [&body[..place.start], sdp, &body[place.end..]].concat()
}

/// Whether a Content-Type is of this media type, whatever its parameters.
fn is(content_type: &str, media: &str) -> bool {
    let named = content_type.split(';').next().unwrap_or_default();
    named.trim().eq_ignore_ascii_case(media)
}

fn is_multipart(content_type: &str) -> bool {
    let start = content_type.trim_start().get(..MULTIPART.len());
    start.is_some_and(|it| it.eq_ignore_ascii_case(MULTIPART))
}

/// Whether a body of this Content-Type is a description, or may have one in it.
fn may_describe(content_type: &str) -> bool {
    is(content_type, SDP) || is_multipart(content_type)
}

/// What stands between the parts of a body (MIME).
fn boundary(content_type: &str) -> Option<&str> {
    let (_, parameters) = content_type.split_once(';')?;
    let mut named = parameters.split(';').filter_map(|it| it.split_once('='));
    let (_, value) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?;
    Some(value.trim().trim_matches('"')).filter(|it| (1..=BOUNDARY).contains(&it.len()))
}

/// What the parts of a body say: the first description counts. Each octet is looked at a few times, however the parts are made.
fn parts(body: &[u8], delimiter: &[u8]) -> Seen {
    let Some(first) = find(body, delimiter) else {
        return Seen::Unreadable;
    };
    let mut from = first + delimiter.len();
    let mut all = Seen::Nothing;
    for _ in 0..PARTS {
        if body[from..].starts_with(b"--") {
            return all;
        }
        let Some(length) = find(&body[from..], delimiter) else {
            return Seen::Unreadable;
        };
        match part(body, from..from + length) {
            Seen::Nothing => {}
            Seen::Unreadable => all = Seen::Unreadable,
            described @ Seen::Described(_) => return described,
        }
        from += length + delimiter.len();
    }
    Seen::Unreadable
}

/// What a part says, from the end of its delimiter to the next.
fn part(body: &[u8], part: Range<usize>) -> Seen {
    let octets = &body[part.clone()];
    let head = find(octets, b"\r\n");
    let blank = head.and_then(|head| Some(head + find(&octets[head..], BLANK)?));
    let header = head.zip(blank).map(|(head, blank)| &octets[head..blank]);
    let header = header.and_then(|it| std::str::from_utf8(it).ok());
    let Some((header, blank)) = header.zip(blank) else {
        return Seen::Unreadable;
    };
    let field = |wanted: &str| {
        let mut fields = header.split("\r\n").filter_map(|it| it.split_once(':'));
        let field = fields.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
        field.map(|(_, value)| value.trim())
    };
    let media = field("content-type").unwrap_or_default();
    let encodings = [
        field("content-encoding"),
        field("content-transfer-encoding"),
    ];
    let mut encodings = encodings.into_iter().flatten();
    let start = part.start + blank + BLANK.len();
    if !may_describe(media) {
        Seen::Nothing
    } else if !is(media, SDP)
        || !encodings.all(|it| AS_IT_IS.iter().any(|as_is| it.eq_ignore_ascii_case(as_is)))
    {
        Seen::Unreadable
    } else if start + 2 > part.end {
        Seen::Nothing
    } else {
        // The line end before a delimiter is the delimiter's.
        Seen::Described(start..part.end - 2)
    }
}

fn find(octets: &[u8], wanted: &[u8]) -> Option<usize> {
    octets.windows(wanted.len()).position(|it| it == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip::Limits;

    fn message(content_type: &str, body: &str) -> Message {
        let text = format!(
            "INVITE sip:b@r.example SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@r.example>;tag=1\r\n\
             To: <sip:b@r.example>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n{content_type}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Message::parse(text.into(), &Limits::default()).unwrap()
    }

    fn seen(content_type: &str, body: &str) -> Option<String> {
        let message = message(content_type, body);
        let place = sdp(&message)?;
        let there = String::from_utf8(message.body()[place.clone()].to_vec()).unwrap();
        let changed = with(&message, place, b"new");
        assert_eq!(changed, body.replacen(&there, "new", 1).into_bytes());
        Some(there)
    }

    #[test]
    fn a_description_is_the_body_or_a_part_of_it() {
        let mixed = "--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x\r\ncontent-type: Application/SDP;a=b\r\nX: y\r\n\r\nv=0\r\nm=audio\r\n--x--\r\n";
        for (content_type, body, there) in [
            (
                "Content-Type: application/sdp\r\n",
                "v=0\r\n",
                Some("v=0\r\n"),
            ),
            ("c: Application/SDP; x=y\r\n", "v=0\r\n", Some("v=0\r\n")),
            ("Content-Type: text/plain\r\n", "v=0\r\n", None),
            ("", "v=0\r\n", None),
            ("Content-Type: application/sdp\r\n", "", None),
            (
                "Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n",
                "v=0\r\n",
                None,
            ),
            (
                "Content-Type: multipart/mixed;boundary=\"x\"\r\n",
                mixed,
                Some("v=0\r\nm=audio"),
            ),
            ("Content-Type: multipart/mixed; boundary=y\r\n", mixed, None),
            ("Content-Type: multipart/mixed\r\n", mixed, None),
            (
                "Content-Type: multipart/mixed;boundary=x\r\n",
                "--x\r\nContent-Type: application/sdp\r\n\r\n",
                None,
            ),
            (
                "Content-Type: multipart/mixed;boundary=x\r\n",
                "--x\r\n--x\r\n",
                None,
            ),
        ] {
            assert_eq!(
                seen(content_type, body).as_deref(),
                there,
                "{content_type} {body}"
            );
        }
    }

    #[test]
    fn so_many_parts_are_looked_at_and_a_blank_line_is_looked_for_in_its_part_only() {
        let mixed = "Content-Type: multipart/mixed;boundary=x\r\n";
        let last = "--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x--\r\n";
        for (parts, there) in [(PARTS - 1, Some("v=0")), (PARTS, None)] {
            let body = "--x\r\nContent-Type: application/sdp\r\n".repeat(parts) + last;
            assert_eq!(seen(mixed, &body).as_deref(), there, "{parts}");
        }
    }

    #[test]
    fn what_we_cannot_read_is_not_taken_for_nothing() {
        let mixed = "Content-Type: multipart/mixed;boundary=x\r\n";
        let part = |header: &str| format!("--x\r\n{header}\r\n\r\nv=0\r\n--x--\r\n");
        let sdp = "Content-Type: application/sdp\r\nContent-Transfer-Encoding: ";
        for (content_type, body, expected) in [
            (mixed, part("Content-Type: text/plain"), Seen::Nothing),
            (
                mixed,
                part("Content-Type: multipart/alternative;boundary=y"),
                Seen::Unreadable,
            ),
            (mixed, part(&format!("{sdp}base64")), Seen::Unreadable),
            (mixed, part(&format!("{sdp}8BIT")), Seen::Described(71..74)),
            (mixed, "no parts".to_owned(), Seen::Unreadable),
            (
                "Content-Type: multipart/mixed\r\n",
                part(sdp),
                Seen::Unreadable,
            ),
            (
                "Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n",
                "x".to_owned(),
                Seen::Unreadable,
            ),
            (
                "Content-Type: text/plain\r\nContent-Encoding: gzip\r\n",
                "x".to_owned(),
                Seen::Nothing,
            ),
        ] {
            assert_eq!(
                super::seen(&message(content_type, &body)),
                expected,
                "{content_type} {body}"
            );
        }
    }
}
