//! Finds the header fields of a message in one pass. Parser and framer both use this scan, so that they can never
//! disagree about where a field, the head or a message ends.

use memchr::{memchr, memchr2};
use smallvec::SmallVec;

use super::error::ParseError;
use super::header_name::{UNKNOWN, code_of};
use super::lex::{is_token, trim};
use crate::Limits;

/// One header field: offsets into the message. The value includes line ends of folded lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// First octet of the name.
    pub(crate) start: u32,
    pub(crate) name_len: u16,
    /// What `header_name::code_of` says of the name.
    pub(crate) code: u8,
    pub(crate) value_start: u32,
    pub(crate) value_end: u32,
}

impl Line {
    pub(crate) fn name(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.start as usize + usize::from(self.name_len)]
    }

    pub(crate) fn value(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.value_start as usize..self.value_end as usize]
    }
}

/// The fields of one message; so many fit without allocation.
pub(crate) type Lines = SmallVec<[Line; 24]>;

/// Octets of empty lines before a start line, which are not part of the message (RFC 3261 §7.5).
pub(crate) fn leading_line_ends(bytes: &[u8]) -> usize {
    let mut at = 0;
    while bytes[at..].starts_with(b"\r\n") {
        at += 2;
    }
    at
}

/// The end of the start line (without its CRLF).
pub(crate) fn start_line_end(bytes: &[u8], limits: &Limits) -> Result<usize, ParseError> {
    let within = &bytes[..bytes.len().min(limits.start_line_bytes + 1)];
    let Some(at) = memchr2(b'\r', b'\n', within) else {
        return Err(if within.len() < bytes.len() {
            ParseError::new(414, "Request-URI Too Long")
        } else {
            ParseError::bad("Start Line Has No End")
        });
    };
    if bytes[at..].starts_with(b"\r\n") {
        Ok(at)
    } else {
        Err(ParseError::bad("Bare CR or LF in Start Line"))
    }
}

/// A head, as it was found at the start of a message.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// Octets of the start line, without its CRLF.
    pub(crate) start_line: usize,
    pub(crate) lines: Lines,
    /// First octet of the body.
    pub(crate) body: usize,
    /// A field without a name: the message is refused, but where it ends is not in doubt.
    pub(crate) fault: Option<ParseError>,
}

/// Reads the head that has this start line ([`start_line_end`]).
pub(crate) fn head(bytes: &[u8], start_line: usize, limits: &Limits) -> Result<Head, ParseError> {
    let mut lines = Lines::new();
    let (body, fault) = header_lines(bytes, start_line + 2, limits, &mut lines)?;
    Ok(Head {
        start_line,
        lines,
        body,
        fault,
    })
}

/// Reads the header fields that start at `at`. Gives the first octet of the body, and what is wrong with the first field that is none.
fn header_lines(
    bytes: &[u8],
    mut at: usize,
    limits: &Limits,
    lines: &mut Lines,
) -> Result<(usize, Option<ParseError>), ParseError> {
    let mut fault = None;
    loop {
        if bytes[at..].starts_with(b"\r\n") {
            return Ok((at + 2, fault));
        }
        let end = field_end(bytes, at)?;
        if end - at > limits.header_bytes {
            return Err(ParseError::bad("Header Field Too Long"));
        }
        if lines.len() == limits.header_count {
            return Err(ParseError::bad("Too Many Header Fields"));
        }
        match split_field(bytes, at, end) {
            Ok(line) => lines.push(line),
            Err(error) => fault = fault.or(Some(error)),
        }
        at = end + 2;
    }
}

/// The end of the field that starts at `at`, continuation lines included, without its last CRLF.
fn field_end(bytes: &[u8], at: usize) -> Result<usize, ParseError> {
    let mut from = at;
    loop {
        let Some(found) = memchr2(b'\r', b'\n', &bytes[from..]) else {
            return Err(ParseError::bad("Head Has No End"));
        };
        let end = from + found;
        match bytes[end..] {
            [b'\r', b'\n', b' ' | b'\t', ..] => from = end + 3,
            [b'\r', b'\n', ..] => return Ok(end),
            [b'\r'] => return Err(ParseError::bad("Head Has No End")),
            // Another element might take it for a line end, and so see other header fields than we do.
            _ => return Err(ParseError::bad("Bare CR or LF in Header Field")),
        }
    }
}

/// Splits `Name : value`.
fn split_field(bytes: &[u8], start: usize, end: usize) -> Result<Line, ParseError> {
    let field = &bytes[start..end];
    let colon = memchr(b':', field).ok_or(ParseError::bad("Header Field Without Colon"))?;
    let name = field[..colon].trim_ascii_end();
    let code = code_of(name);
    if code == UNKNOWN && !is_token(name) {
        return Err(ParseError::bad("Malformed Header Field Name"));
    }
    let after = &field[colon + 1..];
    let value = trim(after);
    let value_start = if value.is_empty() {
        start + colon + 1
    } else {
        start + colon + 1 + (value.as_ptr().addr() - after.as_ptr().addr())
    };
    let too_long = |_| ParseError::bad("Header Field Too Long");
    Ok(Line {
        start: u32::try_from(start).map_err(too_long)?,
        name_len: u16::try_from(name.len()).map_err(too_long)?,
        code,
        value_start: u32::try_from(value_start).map_err(too_long)?,
        value_end: u32::try_from(value_start + value.len()).map_err(too_long)?,
    })
}

/// The message's own statement of its body's length: `None` if there is none. Two that differ are an error, since
/// each of two elements might believe another one of them.
pub(crate) fn stated_length(bytes: &[u8], lines: &[Line]) -> Result<Option<usize>, ParseError> {
    let code = crate::HeaderName::ContentLength.code();
    let mut stated = None;
    for line in lines.iter().filter(|line| line.code == code) {
        let length = super::lex::number(line.value(bytes))
            .ok_or(ParseError::bad("Malformed Content-Length"))?;
        if stated.is_some_and(|earlier| earlier != length) {
            return Err(ParseError::bad("Different Content-Length Values"));
        }
        stated = Some(length);
    }
    Ok(stated.map(|length| length as usize))
}
