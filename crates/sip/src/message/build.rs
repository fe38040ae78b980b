//! Messages from scratch: our own requests, and responses to a request (RFC 3261 §8.2.6). Content-Length is always
//! written. Values are the caller's; only line ends in them are taken out.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::assemble::Assembly;
use crate::{HeaderName, Message, Method, NameAddr};

/// Max-Forwards of a request that states none (RFC 3261 §8.1.1.6).
const MAX_FORWARDS: &str = "70";

/// Writes a request.
#[derive(Debug, Clone)]
pub struct RequestBuilder {
    method: String,
    uri: String,
    rest: Rest,
}

/// Writes a response to one request.
#[derive(Debug, Clone)]
pub struct ResponseBuilder {
    request: Message,
    status: u16,
    reason: Short,
    to_tag: Option<Short>,
    rest: Rest,
}

/// A text that is mostly short enough to take no memory of its own.
type Short = SmallVec<[u8; 24]>;

/// Header fields in order, and the body.
#[derive(Debug, Clone, Default)]
struct Rest {
    /// Their names, and where their values end in `values`.
    headers: SmallVec<[(Cow<'static, str>, usize); 4]>,
    values: Vec<u8>,
    body: Vec<u8>,
}

impl RequestBuilder {
    /// A request of this method to this URI.
    pub fn new(method: Method<'_>, uri: &str) -> Self {
        Self {
            method: method.as_str().to_owned(),
            uri: uri.to_owned(),
            rest: Rest::default(),
        }
    }

    /// Adds a header field below those added before.
    #[must_use]
    pub fn header(mut self, name: HeaderName<'_>, value: impl AsRef<[u8]>) -> Self {
        self.rest.header(name, value.as_ref());
        self
    }

    /// Sets the body and adds its Content-Type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: &[u8]) -> Self {
        self.rest.body(content_type, body);
        self
    }

    /// The request. Max-Forwards is 70 if none was added.
    pub fn build(mut self) -> Message {
        if !self.rest.has(HeaderName::MaxForwards) {
            self.rest
                .header(HeaderName::MaxForwards, MAX_FORWARDS.as_bytes());
        }
        let assembly = Assembly::request(&self.method, &self.uri, self.rest.capacity());
        self.rest.finish(assembly)
    }
}

impl ResponseBuilder {
    /// A response to this request: all Via, From, To, Call-ID and CSeq are copied octet for octet, and into a `100`
    /// (RFC 3261 §8.2.6.1) the Timestamp.
    pub fn to(request: &Message, status: u16, reason: &str) -> Self {
        Self {
            request: request.clone(),
            status,
            reason: reason.as_bytes().into(),
            to_tag: None,
            rest: Rest::default(),
        }
    }

    /// Adds a tag to To, unless the request had one there.
    #[must_use]
    pub fn to_tag(mut self, tag: &str) -> Self {
        let octets = tag.bytes().filter(|octet| !matches!(octet, b'\r' | b'\n'));
        self.to_tag = Some(octets.collect());
        self
    }

    /// Adds a header field below those added before.
    #[must_use]
    pub fn header(mut self, name: HeaderName<'_>, value: impl AsRef<[u8]>) -> Self {
        self.rest.header(name, value.as_ref());
        self
    }

    /// Sets the body and adds its Content-Type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: &[u8]) -> Self {
        self.rest.body(content_type, body);
        self
    }

    /// The response.
    pub fn build(self) -> Message {
        let capacity = self.rest.capacity() + self.request.bytes.len();
        let mut assembly = Assembly::response(self.status, &self.reason, capacity);
        for name in COPIED {
            self.copy(name, &mut assembly);
        }
        if self.status == 100 {
            self.copy(HeaderName::Timestamp, &mut assembly);
        }
        self.rest.finish(assembly)
    }

    fn copy(&self, name: HeaderName<'static>, assembly: &mut Assembly) {
        let request = &self.request;
        for (place, line) in request
            .lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.code == name.code())
        {
            match &self.to_tag {
                Some(tag) if name == HeaderName::To && is_untagged(line.value(&request.bytes)) => {
                    let value = [line.value(&request.bytes), b";tag=", tag];
                    assembly.changed_field(&request.bytes, *line, &value);
                }
                _ => assembly.copied_fields(&request.bytes, &[*line], request.line_end(place)),
            }
        }
    }
}

/// Has this value of To no tag yet?
fn is_untagged(value: &[u8]) -> bool {
    NameAddr::params_of(value).is_some_and(|params| !params.has("tag"))
}

/// What a response takes from its request (RFC 3261 §8.2.6.2), in the order in which it is written.
const COPIED: [HeaderName<'static>; 5] = [
    HeaderName::Via,
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
];

impl Rest {
    fn header(&mut self, name: HeaderName<'_>, value: &[u8]) {
        self.values.extend_from_slice(value);
        self.headers.push((name.spelling(), self.values.len()));
    }

    fn body(&mut self, content_type: &str, body: &[u8]) {
        self.header(HeaderName::ContentType, content_type.as_bytes());
        self.body = body.to_vec();
    }

    fn has(&self, wanted: HeaderName<'_>) -> bool {
        self.headers
            .iter()
            .any(|(name, _)| HeaderName::new(name) == wanted)
    }

    fn capacity(&self) -> usize {
        let names: usize = self.headers.iter().map(|(name, _)| name.len() + 4).sum();
        names + self.values.len() + self.body.len() + 128
    }

    fn finish(self, mut assembly: Assembly) -> Message {
        let mut start = 0;
        for (name, end) in &self.headers {
            let value = &self.values[start..*end];
            start = *end;
            if HeaderName::new(name) != HeaderName::ContentLength {
                assembly.field(name, value);
            }
        }
        if self.body.is_empty() {
            assembly.field("Content-Length", b"0");
        } else {
            assembly.field("Content-Length", self.body.len().to_string().as_bytes());
        }
        assembly.finish(&self.body)
    }
}
