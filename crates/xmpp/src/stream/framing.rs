//! How a stream is framed: as one document over TCP (RFC 6120 §4.2), or a document a message over WebSocket (RFC 7395 §3.3).

use crate::ns;
use crate::xml::{Context, Element, Header, Item};

/// How the elements of a stream follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// One document, which both sides write on.
    Tcp,
    /// A document a message.
    WebSocket,
    /// One document, of a component's namespace (XEP-0114 §3).
    Component,
}

/// What we say of ourselves in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OurHeader<'a> {
    pub(super) from: &'a str,
    pub(super) to: Option<&'a str>,
    pub(super) id: &'a str,
}

/// The language of our texts (RFC 6120 §4.7.4).
const LANG: &str = "en";

impl Framing {
    /// What a message of a WebSocket is in the stream.
    pub fn item(message: Element) -> Item {
        if let Some(header) = Header::of_websocket(&message) {
            Item::Open(header)
        } else if message.is(ns::FRAMING, "close") {
            Item::Close
        } else {
            Item::Element(message)
        }
    }

    /// What is in force where a first-level element stands.
    pub fn context(self) -> Context<'static> {
        match self {
            // What stands in the namespace of clients here stands in the stream's own there, whichever that is.
            Self::Tcp | Self::Component => Context::CLIENT,
            Self::WebSocket => Context::DOCUMENT,
        }
    }

    /// The end of our side of the stream.
    pub fn close(self) -> &'static [u8] {
        match self {
            Self::Tcp | Self::Component => b"</stream:stream>",
            Self::WebSocket => b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
        }
    }

    /// Our header.
    pub(super) fn open(self, ours: &OurHeader<'_>) -> Vec<u8> {
        let mut header = match self {
            Self::Tcp | Self::Component => Element::prefixed("stream", ns::STREAM, "stream"),
            Self::WebSocket => Element::new(ns::FRAMING, "open"),
        };
        header.set_attr("from", ours.from);
        header.set_attr("id", ours.id);
        if let Some(to) = ours.to {
            header.set_attr("to", to);
        }
        if self != Self::Component {
            header.set_attr("version", "1.0");
            header.set_lang(LANG);
        }
        match self {
            Self::WebSocket => return header.to_octets(Context::DOCUMENT),
            Self::Tcp => header.declare("", ns::CLIENT),
            Self::Component => header.declare("", ns::COMPONENT),
        }
        Self::open_tag(&header)
    }

    /// A header as a tag that stays open.
    pub(super) fn open_tag(header: &Element) -> Vec<u8> {
        let mut octets = b"<?xml version='1.0'?>".to_vec();
        header.write(&mut octets, Context::DOCUMENT);
        octets.truncate(octets.len() - b"/>".len());
        octets.push(b'>');
        octets
    }
}
