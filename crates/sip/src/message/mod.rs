//! A SIP message: its octets, and where in them the parts stand. What a header field means is read on demand
//! (`typed`); what changes on the way is written by [`Edit`](crate::Edit). Nothing here copies.

mod assemble;
mod build;
mod edit;
mod equivalence;
mod error;
mod frame;
mod header_name;
mod index;
pub(crate) mod lex;
mod limits;
mod method;
mod name_addr;
mod params;
mod parse;
mod reply;
mod scan;
mod splice;
mod status;
mod typed;
pub(crate) mod uri;
mod validate;
mod via;
pub(crate) mod write;

pub use build::{RequestBuilder, ResponseBuilder};
pub use edit::Edit;
pub use error::{HeaderError, ParseError};
pub use frame::{Frame, FrameError, Framer};
pub use header_name::HeaderName;
pub use limits::Limits;
pub use method::Method;
pub use name_addr::NameAddr;
pub use params::{Param, Params};
pub use status::reason_phrase;
pub use typed::{CSeq, Contacts};
pub use uri::Uri;
pub use via::{MAGIC_COOKIE, Via};
pub use write::push_address;

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;

use index::Index;
use scan::Line;

/// One whole SIP message. Cloning it copies no octets.
#[derive(Clone)]
pub struct Message {
    pub(crate) bytes: Bytes,
    pub(crate) start: StartLine,
    pub(crate) lines: Arc<[Line]>,
    index: Index,
    /// First octet of the body; the two before it end the head.
    pub(crate) body: u32,
}

/// The parts of the start line, as offsets.
#[derive(Debug, Clone)]
pub(crate) enum StartLine {
    Request { method: Range<u32>, uri: Range<u32> },
    Response { status: u16, reason: Range<u32> },
}

impl Message {
    pub(crate) fn new(bytes: Bytes, start: StartLine, lines: &[Line], body: u32) -> Self {
        Self {
            bytes,
            start,
            lines: lines.into(),
            index: Index::of(lines),
            body,
        }
    }

    /// The message as it is on the wire.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Is it a request (and not a response)?
    pub fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// The method of the request line; `None` for a response.
    pub fn method(&self) -> Option<Method<'_>> {
        match &self.start {
            StartLine::Request { method, .. } => Some(Method::new(self.ascii(method))),
            StartLine::Response { .. } => None,
        }
    }

    /// The Request-URI as it is written; empty for a response.
    pub fn request_uri(&self) -> &str {
        match &self.start {
            StartLine::Request { uri, .. } => self.ascii(uri),
            StartLine::Response { .. } => "",
        }
    }

    /// The status code; `None` for a request.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            StartLine::Response { status, .. } => Some(status),
            StartLine::Request { .. } => None,
        }
    }

    /// The reason phrase as it is written, which may be empty and need not be UTF-8; empty for a request.
    pub fn reason(&self) -> &[u8] {
        match &self.start {
            StartLine::Response { reason, .. } => &self.bytes[range(reason)],
            StartLine::Request { .. } => &[],
        }
    }

    /// The first value of a header field, as it is written: trimmed, with line ends if it is folded, a comma list
    /// in one piece, not necessarily UTF-8.
    pub fn header(&self, name: HeaderName<'_>) -> Option<&[u8]> {
        let code = name.code();
        let lines = self.index.from(code, &self.lines);
        lines
            .iter()
            .find(|line| self.is_named(**line, code, name))
            .map(|line| line.value(&self.bytes))
    }

    /// The same as text; `None` also if it is not UTF-8.
    pub fn header_text(&self, name: HeaderName<'_>) -> Option<&str> {
        std::str::from_utf8(self.header(name)?).ok()
    }

    /// The values of all fields of one name, in order, each like [`Message::header`].
    pub fn headers<'m>(&'m self, name: HeaderName<'m>) -> impl Iterator<Item = &'m [u8]> {
        let code = name.code();
        let lines = self.index.from(code, &self.lines);
        lines
            .iter()
            .filter(move |line| self.is_named(**line, code, name))
            .map(|line| line.value(&self.bytes))
    }

    /// Is there such a header field?
    pub fn has(&self, name: HeaderName<'_>) -> bool {
        self.header(name).is_some()
    }

    /// All header fields in order: the name as it is spelled, and the value like [`Message::header`].
    pub fn all_headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines.iter().map(|line| {
            let name = std::str::from_utf8(line.name(&self.bytes)).unwrap_or_default();
            (name, line.value(&self.bytes))
        })
    }

    /// The body; empty if there is none.
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.body as usize..]
    }

    /// The body, sharing the message's memory.
    pub fn body_bytes(&self) -> Bytes {
        self.bytes.slice(self.body as usize..)
    }

    pub(crate) fn is_named(&self, line: Line, code: u8, name: HeaderName<'_>) -> bool {
        line.code == code
            && (code != header_name::UNKNOWN
                || line
                    .name(&self.bytes)
                    .eq_ignore_ascii_case(name.as_str().as_bytes()))
    }

    /// Where a line ends, its CRLF included: where the next one starts, or the head ends.
    pub(crate) fn line_end(&self, line: usize) -> u32 {
        self.lines
            .get(line + 1)
            .map_or(self.body - 2, |next| next.start)
    }

    /// A part of the request line, which the parser lets be of ASCII only.
    fn ascii(&self, part: &Range<u32>) -> &str {
        std::str::from_utf8(&self.bytes[range(part)]).unwrap_or_default()
    }
}

/// A range of offsets as slices take it.
pub(crate) fn range(part: &Range<u32>) -> Range<usize> {
    part.start as usize..part.end as usize
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}

impl PartialEq for Message {
    /// The same octets.
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Message {}
