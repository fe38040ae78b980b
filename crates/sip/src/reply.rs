//! The answer to a message that could not be read: made from whatever of its header fields can be found.

use bytes::Bytes;

use crate::assemble::Assembly;
use crate::header_name::code_of;
use crate::lex::trim;
use crate::{HeaderName, ParseError};

/// So many octets of a broken message are searched for header fields.
const SEARCHED_BYTES: usize = 8 * 1024;

/// So many Via fields are copied into the answer.
const COPIED_FIELDS: usize = 64;

impl ParseError {
    /// The response that says so, made of the Via, From, To, Call-ID and CSeq fields that can be found in the broken
    /// request. `None` if there is nobody to answer: it is a response, an ACK, nothing like SIP, or has no Via.
    pub fn reply(&self, bytes: &[u8]) -> Option<Bytes> {
        let searched = &bytes[..bytes.len().min(SEARCHED_BYTES)];
        let mut lines = logical_lines(searched).skip_while(|line| line.is_empty());
        let first = lines.next()?;
        if first.starts_with(b"SIP/") || first.starts_with(b"ACK ") || !first.contains(&b' ') {
            return None;
        }
        let mut assembly = Assembly::response(self.status, self.reason.as_bytes(), 512);
        let (mut vias, mut others) = (0, [false; SINGLE.len()]);
        for line in lines.take_while(|line| !line.is_empty()) {
            let Some(colon) = memchr::memchr(b':', line) else {
                continue;
            };
            let (code, value) = (code_of(trim(&line[..colon])), trim(&line[colon + 1..]));
            if code == HeaderName::Via.code() && vias < COPIED_FIELDS {
                assembly.field("Via", value);
                vias += 1;
            }
            if let Some(place) = SINGLE.iter().position(|name| name.code() == code)
                && !others[place]
            {
                assembly.field(SINGLE[place].as_str(), value);
                others[place] = true;
            }
        }
        if vias == 0 {
            return None;
        }
        assembly.field("Content-Length", b"0");
        Some(assembly.finish(&[]).bytes().clone())
    }
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
