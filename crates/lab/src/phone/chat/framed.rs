//! How the client's stream is framed: as one document over TCP (RFC 6120 §4.2), or as a document a message over a WebSocket
//! (RFC 7395 §3.3).

use std::collections::VecDeque;

use bytes::Bytes;
use xmpp::ns;
use xmpp::stream::Framing;
use xmpp::xml::{Context, Element, Item, Limits, Reader, StreamError, document};

/// The client's header (RFC 6120 §4.7, RFC 7395 §3.4).
pub(super) fn header(framing: Framing, domain: &str) -> Bytes {
    let mut header = match framing {
        Framing::Tcp | Framing::Component => Element::prefixed("stream", ns::STREAM, "stream"),
        Framing::WebSocket => Element::new(ns::FRAMING, "open"),
    };
    header.set_attr("to", domain);
    header.set_attr("version", "1.0");
    if framing == Framing::WebSocket {
        return octets(framing, &header);
    }
    header.declare("", ns::CLIENT);
    let mut octets = b"<?xml version='1.0'?>".to_vec();
    header.write(&mut octets, Context::DOCUMENT);
    // A tag that stays open.
    octets.truncate(octets.len() - b"/>".len());
    octets.push(b'>');
    octets.into()
}

/// An element as it stands in the stream.
pub(super) fn octets(framing: Framing, element: &Element) -> Bytes {
    element.to_octets(framing.context()).into()
}

/// What is read of a connection.
pub(super) enum Incoming {
    /// Octets of one document, wherever they are cut.
    Stream(Box<Reader>),
    /// Messages that are whole.
    Messages(VecDeque<Bytes>),
}

impl Incoming {
    pub(super) fn of(framing: Framing) -> Self {
        match framing {
            Framing::Tcp | Framing::Component => {
                Self::Stream(Box::new(Reader::new(Limits::default())))
            }
            Framing::WebSocket => Self::Messages(VecDeque::new()),
        }
    }

    pub(super) fn push(&mut self, octets: Bytes) {
        match self {
            Self::Stream(reader) => reader.push(&octets),
            Self::Messages(messages) => messages.push_back(octets),
        }
    }

    /// The next item; `None` if more is needed.
    pub(super) fn next(&mut self) -> Result<Option<Item>, StreamError> {
        match self {
            Self::Stream(reader) => reader.next(),
            Self::Messages(messages) => {
                let message = messages.pop_front();
                let read = message.map(|octets| document(&octets, &Limits::default()));
                Ok(read.transpose()?.map(Framing::item))
            }
        }
    }

    /// The server's stream begins anew behind what was read. Messages stand by themselves.
    pub(super) fn restart(&mut self) {
        if let Self::Stream(reader) = self {
            reader.restart();
        }
    }
}
