//! The description of a session in the body of a message: all of it, or one part.

use crate::requests::is_packed;
use sip::{HeaderName, Message};
use std::ops::Range;

/// The media type of a description (SDP).
const SDP: &str = "application/sdp";
/// What parts of a body may be looked at for a description.
const PARTS: usize = 16;
/// Octets of what stands between parts (RFC 2046 §5.1.1).
const BOUNDARY: usize = 70;
/// What ends the header of a part.
const BLANK: &[u8] = b"\r\n\r\n";

/// Where in a body the description is, if there is one that we can read.
pub(crate) fn sdp(message: &Message) -> Option<Range<usize>> {
    let body = message.body();
    if body.is_empty() || is_packed(message) {
        return None;
    }
    let media = message.header_text(HeaderName::ContentType)?;
    if is(media, SDP) {
        return Some(0..body.len());
    }
    let boundary = boundary(media)?;
    part(body, &[b"--", boundary.as_bytes()].concat())
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

/// What stands between the parts of a body (MIME).
fn boundary(content_type: &str) -> Option<&str> {
    let (media, parameters) = content_type.split_once(';')?;
    let kind = media.trim().get(.."multipart/".len())?;
    if !kind.eq_ignore_ascii_case("multipart/") {
        return None;
    }
    let mut named = parameters.split(';').filter_map(|it| it.split_once('='));
    let (_, value) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?;
    Some(value.trim().trim_matches('"')).filter(|it| (1..=BOUNDARY).contains(&it.len()))
}

/// The first part that is a description. Each octet is looked at a few times, however the parts are made.
fn part(body: &[u8], delimiter: &[u8]) -> Option<Range<usize>> {
    let mut from = find(body, delimiter)? + delimiter.len();
    for _ in 0..PARTS {
        let next = from + find(&body[from..], delimiter)?;
        if let Some(place) = described(body, from..next) {
            return Some(place);
        }
        from = next + delimiter.len();
    }
    None
}

/// The description in a part, from the end of its delimiter to the next.
fn described(body: &[u8], part: Range<usize>) -> Option<Range<usize>> {
    let octets = &body[part.clone()];
    let head = find(octets, b"\r\n")?;
    let blank = head + find(&octets[head..], BLANK)?;
    let fields = std::str::from_utf8(&octets[head..blank]).ok()?;
    let fields = fields.split("\r\n").filter_map(|it| it.split_once(':'));
    let mut fields = fields.map(|(name, value)| (name.trim(), value));
    let is_sdp =
        fields.any(|(name, value)| name.eq_ignore_ascii_case("content-type") && is(value, SDP));
    let start = part.start + blank + BLANK.len();
    // The line end before a delimiter is the delimiter's.
    (is_sdp && start + 2 <= part.end).then(|| start..part.end - 2)
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
}
