//! A stream of XML as it comes from a connection, cut into what means something by itself.

use rxml::{Parse, RawParser};

use super::parse::{Parsed, parse};
use super::tree::{Tree, Whole};
use super::{Element, Header, Limits, StreamCondition, StreamError};

/// What comes out of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The stream begins.
    Open(Header),
    /// A first-level element, whole.
    Element(Element),
    /// White space between first-level elements: the peer is there (RFC 6120 §4.6.1).
    KeepAlive,
    /// The peer has closed its side of the stream (RFC 6120 §4.4).
    Close,
}

/// Reads one stream. It holds what was pushed and not yet taken: take items until there is none before the next push,
/// and it never holds more than one element within its [`Limits`] and one push.
pub struct Reader {
    limits: Limits,
    parser: RawParser,
    tree: Tree,
    place: Place,
    /// Octets that were pushed; those before `at` are read.
    buffer: Vec<u8>,
    at: usize,
    /// Octets of the header or element under way that are read.
    spent: usize,
    /// The header declares more than every header does.
    has_prefixes: bool,
    broken: Option<StreamError>,
}

/// Where in the stream the next octet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the header.
    Before,
    /// In the header, its XML declaration included.
    Header,
    /// Between first-level elements.
    Between,
    /// In a first-level element, or the end of the stream.
    Element,
    /// Behind the stream.
    Behind,
}

impl Reader {
    /// For a connection that was accepted, or made.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            parser: super::parse::parser(),
            tree: Tree::new(true),
            place: Place::Before,
            buffer: Vec::new(),
            at: 0,
            spent: 0,
            has_prefixes: false,
            broken: None,
        }
    }

    /// Other limits from the next octet on: the peer has signed in.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Adds octets that were received.
    pub fn push(&mut self, octets: &[u8]) {
        if self.broken.is_none() {
            self.buffer.drain(..self.at);
            self.at = 0;
            self.buffer.extend_from_slice(octets);
        }
    }

    /// Is the peer in the midst of a header or an element?
    pub fn is_midway(&self) -> bool {
        matches!(self.place, Place::Header | Place::Element)
    }

    /// Octets that were pushed and not read: none once there is no next item.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.at
    }

    /// A new stream takes the place of this one, in the same connection (RFC 6120 §4.3.3). Octets behind the element
    /// that led to it belong to the new one.
    pub fn restart(&mut self) {
        self.parser = super::parse::parser();
        self.tree = Tree::new(true);
        self.place = Place::Before;
        self.spent = 0;
    }

    /// A new stream takes the place of this one, inside of TLS. To be asked before `<proceed/>` is sent: nothing may
    /// follow `<starttls/>` in the clear, since it would be taken for part of what TLS protects (RFC 6120 §5.4.3.1, §5.4.3.3).
    /// White space means nothing, and is dropped: it is forbidden too, but there are clients that end a line there.
    ///
    /// # Errors
    /// There are other octets behind the element. They are discarded.
    pub fn restart_for_tls(&mut self) -> Result<(), StreamError> {
        let behind = self.buffer[self.at..]
            .iter()
            .any(|octet| !b" \t\r\n".contains(octet));
        self.buffer.clear();
        self.at = 0;
        self.restart();
        if behind {
            let text = "nothing may follow starttls before the negotiation of TLS";
            return Err(StreamError::new(StreamCondition::PolicyViolation, text));
        }
        Ok(())
    }

    /// The next item; `None` if more octets are needed.
    ///
    /// # Errors
    /// The stream is broken, and stays so.
    #[expect(
        clippy::should_implement_trait,
        reason = "a reader is no iterator: after `None` it goes on"
    )]
    pub fn next(&mut self) -> Result<Option<Item>, StreamError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        self.item().inspect_err(|error| {
            self.broken = Some(error.clone());
            self.release();
        })
    }

    fn item(&mut self) -> Result<Option<Item>, StreamError> {
        if let Some(keep_alive) = self.between()? {
            return Ok(Some(keep_alive));
        }
        while self.is_midway() {
            match self.step()? {
                None => {
                    self.buffer.clear();
                    self.at = 0;
                    return Ok(None);
                }
                Some(None) => {}
                Some(Some(item)) => return Ok(Some(item)),
            }
        }
        self.release();
        Ok(None)
    }

    /// Takes white space, and finds the place of what follows.
    fn between(&mut self) -> Result<Option<Item>, StreamError> {
        let rest = &self.buffer[self.at..];
        let space = rest
            .iter()
            .take_while(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\n'))
            .count();
        match (self.place, rest.first()) {
            (Place::Header | Place::Element, _) => return Ok(None),
            // Nothing can follow (RFC 6120 §4.4), so nothing is looked at.
            (Place::Behind, _) => self.at = self.buffer.len(),
            _ if space > 0 => {
                self.at += space;
                return Ok(Some(Item::KeepAlive));
            }
            (_, None) => {}
            (Place::Before, Some(b'<')) => self.place = Place::Header,
            (Place::Between, Some(b'<')) => self.place = Place::Element,
            (Place::Before, Some(_)) => {
                let text = "a stream begins with <";
                return Err(StreamError::new(StreamCondition::NotWellFormed, text));
            }
            (Place::Between, Some(_)) => {
                let text = "text between first-level elements";
                return Err(StreamError::new(StreamCondition::BadFormat, text));
            }
        }
        self.spent = 0;
        Ok(None)
    }

    /// Lets the parser read up to its next event: `None` if it needs more octets, else what is complete with it.
    #[expect(
        clippy::option_option,
        reason = "no event, an event, an event that completes something"
    )]
    fn step(&mut self) -> Result<Option<Option<Item>>, StreamError> {
        let limit = match self.place {
            Place::Header => self.limits.header_bytes,
            _ => self.limits.bytes,
        };
        let rest = &self.buffer[self.at..];
        let window = &rest[..rest.len().min(limit.saturating_sub(self.spent))];
        let (taken, parsed) = parse(&mut self.parser, window, false);
        self.at += taken;
        self.spent += taken;
        match parsed? {
            Parsed::Event(event) => {
                let whole = self.tree.event(event, &self.limits)?;
                Ok(Some(whole.map(|whole| self.complete(whole)).transpose()?))
            }
            Parsed::NeedsMore if self.at < self.buffer.len() => {
                let text = format!("longer than {limit} octets");
                Err(StreamError::new(StreamCondition::PolicyViolation, text))
            }
            Parsed::NeedsMore => Ok(None),
        }
    }

    fn complete(&mut self, whole: Whole) -> Result<Item, StreamError> {
        let spent = std::mem::take(&mut self.spent);
        self.place = Place::Between;
        Ok(match whole {
            Whole::Head(root) => {
                let usual = [root.prefix().unwrap_or_default(), ""];
                let is_usual = |(prefix, _): (&str, _)| usual.contains(&prefix);
                self.has_prefixes = !root.declarations().all(is_usual);
                Item::Open(Header::new(root))
            }
            Whole::Element(element) => {
                let octets = if self.has_prefixes { usize::MAX } else { spent };
                self.limits.bear(&element, octets)?;
                Item::Element(element)
            }
            Whole::End => {
                self.place = Place::Behind;
                Item::Close
            }
        })
    }

    /// Gives back what a quiet stream need not hold: most streams are quiet most of the time.
    fn release(&mut self) {
        self.buffer = Vec::new();
        self.at = 0;
        self.parser.release_temporaries();
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("place", &self.place)
            .field("pending", &self.pending())
            .field("spent", &self.spent)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}
