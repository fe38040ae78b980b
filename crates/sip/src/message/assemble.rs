//! Writes a message and its table of offsets at once, so that what we write need not be read again.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;

use super::header_name::code_of;
use super::lex::{is_token, is_token_octet, is_uri_octet, on_one_line, trim};
use super::scan::{Line, Lines};
use super::{Message, StartLine};
use crate::Uri;

/// A message in the making.
pub(crate) struct Assembly {
    out: Vec<u8>,
    start: StartLine,
    lines: Lines,
}

impl Assembly {
    /// A request line. What cannot stand in it is left out.
    pub(crate) fn request(method: &str, uri: &str, capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        let method = push(&mut out, method.as_bytes(), |octet| is_token_octet(*octet));
        out.push(b' ');
        let fit = Uri::parse(uri).map_or(Cow::Borrowed(uri), |uri| uri.as_request_uri());
        let uri = push(&mut out, fit.as_bytes(), |octet| is_uri_octet(*octet));
        out.extend_from_slice(b" SIP/2.0\r\n");
        let start = StartLine::Request { method, uri };
        Self {
            out,
            start,
            lines: Lines::new(),
        }
    }

    /// A status line.
    pub(crate) fn response(status: u16, reason: &[u8], capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        out.extend_from_slice(b"SIP/2.0 ");
        out.extend_from_slice(status.clamp(100, 699).to_string().as_bytes());
        out.push(b' ');
        let reason = push(&mut out, reason, |octet| !matches!(octet, b'\r' | b'\n'));
        out.extend_from_slice(b"\r\n");
        let start = StartLine::Response {
            status: status.clamp(100, 699),
            reason,
        };
        Self {
            out,
            start,
            lines: Lines::new(),
        }
    }

    /// The start line of another message, as it is.
    pub(crate) fn same_start(message: &Message, capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        let head_start = message
            .lines
            .first()
            .map_or(message.body - 2, |line| line.start);
        out.extend_from_slice(&message.bytes[..head_start as usize]);
        Self {
            out,
            start: message.start.clone(),
            lines: Lines::new(),
        }
    }

    /// A header field with our own text, in one line: nobody may smuggle in a header field.
    pub(crate) fn field(&mut self, name: &str, value: &[u8]) {
        debug_assert!(is_token(name.as_bytes()), "no header field name: {name}");
        let start = self.out.len();
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        let value_start = self.out.len();
        self.out.extend(on_one_line(trim(value)));
        self.end_field(start, name.len(), code_of(name.as_bytes()), value_start);
    }

    /// A header field of another message with another value, given in parts: name and blanks around it stay as they
    /// are.
    pub(crate) fn changed_field(&mut self, bytes: &[u8], line: Line, value: &[&[u8]]) {
        let start = self.out.len();
        self.out
            .extend_from_slice(&bytes[line.start as usize..line.value_start as usize]);
        let value_start = self.out.len();
        for part in value {
            self.out.extend_from_slice(trim(part));
        }
        self.end_field(start, usize::from(line.name_len), line.code, value_start);
    }

    fn end_field(&mut self, start: usize, name_len: usize, code: u8, value_start: usize) {
        let value_end = self.out.len();
        self.out.extend_from_slice(b"\r\n");
        self.lines.push(Line {
            start: at(start),
            name_len: u16::try_from(name_len).unwrap_or(u16::MAX),
            code,
            value_start: at(value_start),
            value_end: at(value_end),
        });
    }

    /// A run of header fields of another message, octet for octet. `lines` stand one after the other in `bytes`,
    /// and `end` is where the last of them ends, its CRLF included.
    pub(crate) fn copied_fields(&mut self, bytes: &[u8], lines: &[Line], end: u32) {
        let Some(first) = lines.first() else { return };
        let shift = at(self.out.len()).wrapping_sub(first.start);
        self.out
            .extend_from_slice(&bytes[first.start as usize..end as usize]);
        self.lines.extend(lines.iter().map(|line| Line {
            start: line.start.wrapping_add(shift),
            value_start: line.value_start.wrapping_add(shift),
            value_end: line.value_end.wrapping_add(shift),
            ..*line
        }));
    }

    /// The end of the head, and the body.
    pub(crate) fn finish(mut self, body: &[u8]) -> Message {
        self.out.extend_from_slice(b"\r\n");
        let body_start = at(self.out.len());
        self.out.extend_from_slice(body);
        Message::new(Bytes::from(self.out), self.start, &self.lines, body_start)
    }
}

fn push(out: &mut Vec<u8>, text: &[u8], keep: impl Fn(&u8) -> bool) -> Range<u32> {
    let start = at(out.len());
    out.extend(text.iter().copied().filter(|octet| keep(octet)));
    start..at(out.len())
}

/// Messages are far below 4 GiB; one that were not would get offsets that its readers find empty.
fn at(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}
