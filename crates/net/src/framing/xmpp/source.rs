//! Where the items of a stream come from: out of one document, or each out of a message of its own.

use xmpp::stream::Framing;
use xmpp::xml::{self, Item, Limits, Reader, StreamError};

/// See above.
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one")]
pub(super) enum Source {
    /// What is pushed goes on where the last push ended (RFC 6120 §4.2).
    Stream(Reader),
    /// Each push is a document (RFC 7395 §3.3.3), which is here until it is read.
    Messages(Option<Box<[u8]>>, Limits),
}

impl Source {
    pub(super) fn new(framing: Framing, limits: Limits) -> Self {
        match framing {
            Framing::Tcp | Framing::Component => Self::Stream(Reader::new(limits)),
            Framing::WebSocket => Self::Messages(None, limits),
        }
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        match self {
            Self::Stream(reader) => reader.push(octets),
            Self::Messages(message, _) => *message = Some(octets.into()),
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Item>, StreamError> {
        match self {
            Self::Stream(reader) => reader.next(),
            Self::Messages(message, limits) => match message.take() {
                Some(octets) => xml::document(&octets, limits).map(|it| Some(Framing::item(it))),
                None => Ok(None),
            },
        }
    }

    /// Octets of the longest message that is taken now.
    pub(super) fn most(&self) -> usize {
        match self {
            // It counts by itself.
            Self::Stream(_) => usize::MAX,
            Self::Messages(_, limits) => limits.bytes,
        }
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        match self {
            Self::Stream(reader) => reader.set_limits(limits),
            Self::Messages(_, known) => *known = limits,
        }
    }

    /// A new stream takes the place of this one. A message was whole, so there is nothing to forget.
    pub(super) fn restart(&mut self) {
        if let Self::Stream(reader) = self {
            reader.restart();
        }
    }

    /// The same inside of TLS. There is no way to that over a WebSocket (RFC 7395 §3.9), and nobody is let to it.
    pub(super) fn restart_for_tls(&mut self) -> Result<(), StreamError> {
        match self {
            Self::Stream(reader) => reader.restart_for_tls(),
            Self::Messages(..) => Ok(()),
        }
    }

    pub(super) fn is_midway(&self) -> bool {
        match self {
            Self::Stream(reader) => reader.is_midway(),
            Self::Messages(message, _) => message.is_some(),
        }
    }
}
