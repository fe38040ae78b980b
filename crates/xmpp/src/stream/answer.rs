//! What is to be sent.

use super::framing::{Framing, OurHeader};
use super::opening::{self, Domains, Opened};
use crate::jid::Jid;
use crate::xml::{Element, Header, StreamError};

/// What is to be sent, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    framing: Framing,
    /// Over WebSocket each is a message; over TCP there is at most one.
    pieces: Vec<Vec<u8>>,
}

impl Answer {
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            pieces: Vec::new(),
        }
    }

    /// The messages of a WebSocket; what is to be written to a connection, in one piece if there is anything.
    pub fn pieces(&self) -> &[Vec<u8>] {
        &self.pieces
    }

    fn push(&mut self, octets: &[u8]) {
        match self.pieces.last_mut() {
            Some(piece) if self.framing != Framing::WebSocket => piece.extend_from_slice(octets),
            _ => self.pieces.push(octets.to_vec()),
        }
    }

    /// Our header for one that is as it should be.
    pub(super) fn open(&mut self, opened: &Opened, id: &str) {
        let header = self.framing.open(&OurHeader {
            from: opened.to.as_str(),
            to: opened.from.as_ref().map(Jid::as_str),
            id,
        });
        self.push(&header);
    }

    /// Our header in the stream of a component, by its own name.
    pub(super) fn open_component(&mut self, name: &str, id: &str) {
        let header = self.framing.open(&OurHeader {
            from: name,
            to: None,
            id,
        });
        self.push(&header);
    }

    /// Our header before an error, for one that is not, or for none at all (RFC 6120 §4.9.1.2, §4.9.1.3).
    pub(super) fn open_refusal(&mut self, domains: &Domains, refused: Option<&Header>, id: &str) {
        let named = refused.and_then(|header| domains.served(header.to()));
        let to = refused.and_then(opening::sender);
        let header = self.framing.open(&OurHeader {
            from: named.as_ref().unwrap_or(domains.first()).as_str(),
            to: to.as_ref().map(Jid::as_str),
            id,
        });
        self.push(&header);
    }

    pub(super) fn element(&mut self, element: &Element) {
        self.push(&element.to_octets(self.framing.context()));
    }

    pub(super) fn error(&mut self, error: &StreamError) {
        self.element(&error.element());
    }

    /// The end of a stream by an error, with a header before it if there was none (RFC 6120 §4.9.1.2): for one that was `refused`, if
    /// it is about that.
    pub(super) fn end(
        &mut self,
        error: &StreamError,
        is_open: bool,
        (domains, refused): (&Domains, Option<&Header>),
        id: &str,
    ) {
        if !is_open {
            self.open_refusal(domains, refused, id);
        }
        self.error(error);
        self.close();
    }

    pub(super) fn close(&mut self) {
        self.push(self.framing.close());
    }
}
