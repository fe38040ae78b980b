//! A client that says what it is told to, in text.

use std::sync::Arc;

use xmpp::ns;
use xmpp::stream::{Answer, Domains, Framing, Greeter, Offer, Sasl2Offer, Then};
use xmpp::xml::{Element, Item, Limits, Reader, document};

pub(crate) const HEADER: &str = "<?xml version='1.0'?><stream:stream from='juliet@im.example.com/x' \
    to='im.example.com' version='1.0' xml:lang='de' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

pub(crate) const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='im.example.com' version='1.0'/>";

/// What we answer to a good header, without the address of the client.
pub(crate) const ANSWER: &str = "<?xml version='1.0'?><stream:stream \
    xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client' from='im.example.com' id='i1' \
    version='1.0' xml:lang='en'>";

pub(crate) fn domains() -> Domains {
    Domains::new("im.example.com", &["other.example"]).expect("domains")
}

pub(crate) fn offer() -> Arc<Offer> {
    Arc::new(Offer {
        mechanisms: vec!["SCRAM-SHA-1-PLUS".into(), "PLAIN".into()],
        channel_bindings: vec!["tls-exporter".into()],
        sasl2: Some(Sasl2Offer {
            mechanisms: vec!["SCRAM-SHA-1".into()],
            inline: vec![Element::new(ns::SM, "sm")],
        }),
        invitations: false,
        others: Vec::new(),
    })
}

pub(crate) fn text(answer: &Answer) -> String {
    let pieces = answer.pieces().iter();
    pieces.map(|piece| String::from_utf8_lossy(piece)).collect()
}

/// A client over TCP.
pub(crate) struct Client {
    pub(crate) reader: Reader,
    pub(crate) greeter: Greeter,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self {
            reader: Reader::new(Limits::before_authentication()),
            greeter: Greeter::new(Framing::Tcp, domains()),
        }
    }

    /// One that speaks TLS from the start.
    pub(crate) fn secure() -> Self {
        let mut client = Self::new();
        client.greeter.secured(offer());
        client
    }

    /// What it is sent, and what is done last.
    pub(crate) fn says(&mut self, octets: &str) -> (String, Then) {
        self.reader.push(octets.as_bytes());
        let (mut sent, mut done) = (String::new(), Then::Read);
        loop {
            match self.reader.next() {
                Ok(None) => return (sent, done),
                Ok(Some(item)) => {
                    let (answer, then) = self.greeter.handle(item, "i1");
                    sent += &text(&answer);
                    done = then;
                }
                Err(error) => {
                    sent += &text(&self.greeter.refuse(&error, "i1"));
                    return (sent, Then::Close);
                }
            }
        }
    }
}

/// Sends one message of a WebSocket: what comes back, message by message.
pub(crate) fn message(greeter: &mut Greeter, octets: &str) -> (Vec<String>, Then) {
    let (answer, then) = greeter.handle(item(octets), "i1");
    let pieces = answer.pieces().iter();
    let pieces = pieces.map(|piece| String::from_utf8_lossy(piece).into_owned());
    (pieces.collect(), then)
}

pub(crate) fn item(octets: &str) -> Item {
    let limits = Limits::before_authentication();
    Framing::item(document(octets.as_bytes(), &limits).expect("an element"))
}
