//! The stream of a component from its own side (XEP-0114 §3): what is said to the server until it has taken the secret.

use super::component::handshake;
use super::framing::Framing;
use crate::jid::Jid;
use crate::ns;
use crate::xml::{Context, Element, Item};

/// What a server wants before it lets a component in.
#[derive(Debug)]
pub struct ComponentDialer {
    domain: Jid,
    secret: Box<str>,
    has_opened: bool,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialed {
    /// Send this, and read on.
    Send(Vec<u8>),
    /// Read on.
    Read,
    /// The server has taken the secret.
    Ready,
}

/// Why a server does not let a component in. The operator must act, at one of the two ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotLetIn {
    /// What answers is no server of components.
    #[error("what answers is no port for components: see the server's own configuration")]
    NoServer,
    /// It says what is wrong.
    #[error("the server says {0}: compare domain and secret with its own configuration")]
    Refused(String),
    /// It says nothing, and closes the stream.
    #[error("the server closes the stream")]
    Closed,
}

impl ComponentDialer {
    /// For the component of this domain.
    pub fn new(domain: Jid, secret: &str) -> Self {
        Self {
            domain,
            secret: secret.into(),
            has_opened: false,
        }
    }

    /// What is sent first.
    pub fn header(&self) -> Vec<u8> {
        let mut header = Element::prefixed("stream", ns::STREAM, "stream");
        header.set_attr("to", self.domain.as_str());
        header.declare("", ns::COMPONENT);
        Framing::open_tag(&header)
    }

    /// Takes what was read.
    ///
    /// # Errors
    /// The server does not let the component in.
    pub fn handle(&mut self, item: &Item) -> Result<Dialed, NotLetIn> {
        match item {
            Item::Open(header) => {
                let is_server = header.default_namespace() == Some(ns::COMPONENT);
                let id = header.id().filter(|_| is_server && !self.has_opened);
                let id = id.ok_or(NotLetIn::NoServer)?;
                self.has_opened = true;
                let shown =
                    Element::new(ns::CLIENT, "handshake").with_text(&handshake(id, &self.secret));
                Ok(Dialed::Send(shown.to_octets(Context::CLIENT)))
            }
            Item::Element(element) if element.is(ns::COMPONENT, "handshake") => Ok(Dialed::Ready),
            Item::Element(element) => Err(refused(element)),
            Item::KeepAlive => Ok(Dialed::Read),
            Item::Close => Err(NotLetIn::Closed),
        }
    }
}

fn refused(element: &Element) -> NotLetIn {
    if !element.is(ns::STREAM, "error") {
        return NotLetIn::NoServer;
    }
    let condition = element.children().next().map_or("error", Element::local);
    NotLetIn::Refused(condition.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{ComponentGreeter, Components, Then};
    use crate::xml::{Limits, Reader};

    fn read(reader: &mut Reader, octets: &[u8]) -> Vec<Item> {
        reader.push(octets);
        std::iter::from_fn(|| reader.next().expect("a good stream")).collect()
    }

    /// Both ends against one another, with these secrets.
    fn meet(ours: &str, theirs: &str) -> Result<Dialed, NotLetIn> {
        let domain = Jid::parse("push.example.org").unwrap();
        let known = [(domain.as_str().to_owned(), theirs.to_owned())];
        let known = Components::new(known).unwrap();
        let mut greeter = ComponentGreeter::new(known, Jid::parse("example.org").unwrap());
        let mut dialer = ComponentDialer::new(domain, ours);
        let (mut there, mut here) = (
            Reader::new(Limits::default()),
            Reader::new(Limits::default()),
        );
        let mut sent = dialer.header();
        loop {
            let mut answers = Vec::new();
            for item in read(&mut there, &sent) {
                let (answer, then) = greeter.handle(&item, "id");
                answers.extend(answer.pieces().concat());
                if matches!(then, Then::Component(_)) {
                    answers.extend(b"<handshake/>");
                }
            }
            sent.clear();
            for item in read(&mut here, &answers) {
                match dialer.handle(&item)? {
                    Dialed::Send(octets) => sent.extend(octets),
                    Dialed::Read => {}
                    Dialed::Ready => return Ok(Dialed::Ready),
                }
            }
        }
    }

    #[test]
    fn the_secret_lets_in_and_another_does_not() {
        assert_eq!(meet("secret", "secret"), Ok(Dialed::Ready));
        let refused = NotLetIn::Refused("not-authorized".to_owned());
        assert_eq!(meet("guess", "secret"), Err(refused));
    }

    #[test]
    fn what_is_no_port_for_components_is_said_to_be_none() {
        let client = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='a'>";
        let mut dialer = ComponentDialer::new(Jid::parse("push.example.org").unwrap(), "s");
        let items = read(&mut Reader::new(Limits::default()), client);
        assert_eq!(dialer.handle(&items[0]), Err(NotLetIn::NoServer));
        assert_eq!(dialer.handle(&Item::Close), Err(NotLetIn::Closed));
    }
}
