//! From octets to a [`Message`]. Refused is what makes it unclear where a message or a field ends, or whom the
//! request is for; everything else passes, understood or not (RFC 3261 §16.3, RFC 4475).

use bytes::Bytes;

use super::error::ParseError;
use super::lex::{all, is_token, is_uri_octet};
use super::scan::{self, Head};
use super::{Message, StartLine};
use crate::Limits;

impl Message {
    /// Reads one whole datagram or one frame from a stream. Octets after the stated body are dropped (RFC 3261
    /// §18.3); without a Content-Length the body runs to the end.
    ///
    /// # Errors
    /// What to answer; [`ParseError::reply`] writes the answer from the same octets.
    pub fn parse(bytes: Bytes, limits: &Limits) -> Result<Self, ParseError> {
        let mut bytes = bytes;
        let skip = scan::leading_line_ends(&bytes);
        if skip > 0 {
            bytes = bytes.slice(skip..);
        }
        if bytes.len() > limits.message_bytes {
            return Err(ParseError::new(513, "Message Too Large"));
        }
        let end = scan::start_line_end(&bytes, limits)?;
        let start = start_line(&bytes[..end])?;
        let head = scan::head(&bytes, end, limits)?;
        Self::of(bytes, start, &head)
    }

    /// The same of octets whose head is known.
    pub(super) fn read(bytes: Bytes, head: &Head) -> Result<Self, ParseError> {
        let start = start_line(&bytes[..head.start_line])?;
        Self::of(bytes, start, head)
    }

    fn of(mut bytes: Bytes, start: StartLine, head: &Head) -> Result<Self, ParseError> {
        if let Some(fault) = &head.fault {
            return Err(*fault);
        }
        if let Some(length) = scan::stated_length(&bytes, &head.lines)? {
            if length > bytes.len() - head.body {
                return Err(ParseError::bad("Content-Length Beyond Message"));
            }
            bytes.truncate(head.body + length);
        }
        Ok(Self::new(bytes, start, &head.lines, offset(head.body)?))
    }
}

/// Reads `Method SP Request-URI SP SIP/2.0` or `SIP/2.0 SP status SP reason` (RFC 3261 §7.1, §7.2).
fn start_line(line: &[u8]) -> Result<StartLine, ParseError> {
    let first = memchr::memchr(b' ', line).ok_or(ParseError::bad("Malformed Start Line"))?;
    if line[..first].contains(&b'/') {
        return status_line(line, first);
    }
    let last = memchr::memrchr(b' ', line).unwrap_or(first);
    let (method, version) = (&line[..first], &line[last + 1..]);
    if last == first || !is_token(method) {
        return Err(ParseError::bad("Malformed Request Line"));
    }
    check_version(version)?;
    let uri = &line[first + 1..last];
    if uri.is_empty() || !all(uri, is_uri_octet) {
        return Err(ParseError::bad("Malformed Request-URI"));
    }
    Ok(StartLine::Request {
        method: 0..offset(first)?,
        uri: offset(first + 1)?..offset(last)?,
    })
}

fn status_line(line: &[u8], first: usize) -> Result<StartLine, ParseError> {
    check_version(&line[..first])?;
    let rest = &line[first + 1..];
    let status = match rest {
        [_, _, _] => rest,
        [a, b, c, b' ', ..] => &[*a, *b, *c],
        _ => return Err(ParseError::bad("Malformed Status Code")),
    };
    let status = super::lex::number(status)
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| (100..700).contains(status))
        .ok_or(ParseError::bad("Malformed Status Code"))?;
    let reason = line.len().min(first + 5);
    Ok(StartLine::Response {
        status,
        reason: offset(reason)?..offset(line.len())?,
    })
}

/// Only version 2.0 is spoken (RFC 3261 §21.5.6).
fn check_version(version: &[u8]) -> Result<(), ParseError> {
    if version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Ok(());
    }
    let other = version
        .get(..4)
        .is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"))
        && version[4..]
            .iter()
            .all(|octet| octet.is_ascii_digit() || *octet == b'.');
    Err(if other && version.len() > 4 {
        ParseError::new(505, "Version Not Supported")
    } else {
        ParseError::bad("Malformed SIP Version")
    })
}

fn offset(at: usize) -> Result<u32, ParseError> {
    u32::try_from(at).map_err(|_| ParseError::new(513, "Message Too Large"))
}
