//! The answer to a message that could not be read: made from whatever of its header fields can be found.

use std::hash::{DefaultHasher, Hasher};

use bytes::Bytes;

use super::assemble::Assembly;
use super::header_name::code_of;
use super::lex::trim;
use crate::{HeaderName, NameAddr, ParseError};

/// So many octets of a broken message are searched for header fields.
const SEARCHED_BYTES: usize = 8 * 1024;

/// So many Via fields are copied into the answer.
const COPIED_VIAS: usize = 64;

impl ParseError {
    /// The response that says so, made of the Via, From, To, Call-ID and CSeq fields that can be found in the broken
    /// request. `None` if there is nobody to answer: it is a response, an ACK, nothing like SIP, or has no Via.
    /// Repeated, a request gets the same answer (RFC 3261 §8.2.7).
    pub fn reply(&self, bytes: &[u8]) -> Option<Bytes> {
        let mut lines = logical_lines(searched(bytes)).skip_while(|line| line.is_empty());
        if !is_answerable(lines.next()?) {
            return None;
        }
        let mut assembly = Assembly::response(self.status, self.reason.as_bytes(), 512);
        let (mut vias, mut taken) = (0, [false; SINGLE.len()]);
        for line in lines.take_while(|line| !line.is_empty()) {
            let Some((code, value)) = split_field(line) else {
                continue;
            };
            if code == HeaderName::Via.code() && vias < COPIED_VIAS {
                assembly.field("Via", value);
                vias += 1;
            }
            let Some(place) = SINGLE.iter().position(|name| name.code() == code) else {
                continue;
            };
            if !std::mem::replace(&mut taken[place], true) {
                match SINGLE[place] {
                    HeaderName::To => assembly.field("To", &tagged(value)),
                    name => assembly.field(name.as_str(), value),
                }
            }
        }
        if vias == 0 {
            return None;
        }
        assembly.field("Content-Length", b"0");
        Some(assembly.finish(&[]).bytes().clone())
    }
}

/// The part that is searched; a line that it cuts does not count.
fn searched(bytes: &[u8]) -> &[u8] {
    if bytes.len() <= SEARCHED_BYTES {
        return bytes;
    }
    let start = &bytes[..SEARCHED_BYTES];
    &start[..memchr::memrchr(b'\n', start).map_or(0, |end| end + 1)]
}

/// Is this the start of a request that wants an answer? A method holds no slash, a version does.
fn is_answerable(start_line: &[u8]) -> bool {
    memchr::memchr(b' ', start_line)
        .map(|space| &start_line[..space])
        .is_some_and(|first| first != b"ACK" && !first.contains(&b'/'))
}

fn split_field(line: &[u8]) -> Option<(u8, &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    Some((code_of(trim(&line[..colon])), trim(&line[colon + 1..])))
}

/// To with a tag, made of what it says, if it can be read and has none.
fn tagged(to: &[u8]) -> Vec<u8> {
    if NameAddr::parse(to).is_none_or(|to| to.tag().is_some()) {
        return to.to_vec();
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(to);
    let tag = format!(";tag=unread-{:x}", hasher.finish());
    [to, tag.as_bytes()].concat()
}

/// What an answer takes once.
const SINGLE: [HeaderName<'static>; 4] = [
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
];

/// Lines with their continuation lines; any line end will do here.
fn logical_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        loop {
            end += memchr::memchr(b'\n', &rest[end..]).map_or(rest.len() - end, |at| at + 1);
            if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let line = &rest[..end];
        rest = &rest[end..];
        Some(trim(line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROKEN: ParseError = ParseError::bad("Broken");

    fn reply(request: &str) -> Option<String> {
        let reply = BROKEN.reply(request.as_bytes())?;
        Some(String::from_utf8(reply.to_vec()).unwrap())
    }

    #[test]
    fn the_answer_has_what_can_be_found() {
        let request = "\r\nINVITE x\r\nv: SIP/2.0/UDP a;branch=1\r\nnonsense\r\nVIA:\r\n SIP/2.0/UDP b\r\n\
            t: <sip:a@r.example>\r\nt: <sip:other@r.example>\r\nCSeq: 1 INVITE\r\nX: y\r\n\r\nFrom: body";
        let answer = reply(request).unwrap();
        let (to_tag, rest) = answer.split_once(";tag=unread-").unwrap();
        assert_eq!(
            to_tag,
            "SIP/2.0 400 Broken\r\nVia: SIP/2.0/UDP a;branch=1\r\nVia: SIP/2.0/UDP b\r\nTo: <sip:a@r.example>"
        );
        assert!(rest.ends_with("\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(reply(request).unwrap(), answer, "the same again");
    }

    #[test]
    fn nobody_is_answered_who_did_not_ask() {
        for message in [
            "SIP/2.0 999 What\r\nVia: SIP/2.0/UDP a\r\n\r\n",
            "sip/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\n\r\n",
            "ACK sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\r\n",
            "INVITE sip:a SIP/2.0\r\nTo: a\r\n\r\n",
            "hello\r\nVia: SIP/2.0/UDP a\r\n\r\n",
            "\r\n\r\n",
            "",
        ] {
            assert_eq!(reply(message), None, "{message:?}");
        }
    }

    #[test]
    fn a_field_cut_by_the_end_of_the_search_is_not_half_copied() {
        let start = "INVITE x\r\nVia: SIP/2.0/UDP a\r\nX: ";
        let filler = "x".repeat(SEARCHED_BYTES - start.len() - 12);
        let answer = reply(&format!(
            "{start}{filler}\r\nVia: SIP/2.0/UDP long-host\r\n\r\n"
        ))
        .unwrap();
        assert_eq!(answer.matches("Via").count(), 1);
    }
}
