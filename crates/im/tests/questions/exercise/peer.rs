//! Whoever has a stream: what they say, as the task of their connection reads it, and what they read of the server.

use std::{collections::BTreeMap, sync::Arc};
use xmpp::{
    ns,
    stream::{Domains, Framing, Greeter, Offer, Opened},
    xml::{Element, Item, Limits, Reader},
};

pub(super) const DOMAIN: &str = "here";

/// What the header of a stream is in this namespace.
pub(super) fn header(namespace: &str) -> String {
    format!(
        "<stream:stream xmlns='{namespace}' xmlns:stream='{}' to='{DOMAIN}' version='1.0'>",
        ns::STREAM
    )
}

/// See above.
pub(super) struct Peer {
    /// Greets it until it has begun to sign in.
    pub(super) greeter: Option<Greeter>,
    /// What it said in its header.
    pub(super) opened: Option<Opened>,
    /// What is read of it.
    pub(super) says: Reader,
    /// What it reads.
    reads: Reader,
    got: Vec<Element>,
    /// The server has closed its connection.
    pub(super) has_ended: bool,
}

impl Peer {
    /// A client over TLS.
    pub(super) fn new() -> Self {
        let domains = Domains::new(DOMAIN, &[]).expect("a domain");
        let mut greeter = Greeter::new(Framing::Tcp, domains);
        greeter.secured(Arc::new(Offer {
            invitations: true,
            ..im::offer(&[], true)
        }));
        Self {
            greeter: Some(greeter),
            opened: None,
            says: Reader::new(Limits::before_authentication()),
            reads: Reader::new(Limits::default()),
            got: Vec::new(),
            has_ended: false,
        }
    }

    /// A component that has shown its secret. What it reads is in the namespace of its stream; it stands here as clients read it.
    pub(super) fn component() -> Self {
        let mut peer = Self::new();
        peer.greeter = None;
        peer.says = Reader::new(Limits::default());
        peer.says.push(header(ns::COMPONENT).as_bytes());
        peer.says.next().expect("a header").expect("all of it");
        peer.reads.push(header(ns::CLIENT).as_bytes());
        peer
    }

    /// What it got.
    pub(super) fn got(&self) -> impl Iterator<Item = &Element> {
        self.got.iter()
    }

    /// What it got so far does not matter any more.
    pub(super) fn forgets(&mut self) {
        self.got.clear();
    }

    /// It has signed in; its stream may begin `anew`.
    pub(super) fn has_signed_in(&mut self, anew: bool) {
        self.greeter = None;
        self.says.set_limits(Limits::default());
        if anew {
            self.says.restart();
        }
    }

    /// It reads what the server wrote: all of it can be read. What may be said again is noted.
    pub(super) fn reads(&mut self, octets: &[u8], noted: &mut BTreeMap<&'static str, String>) {
        self.reads.push(octets);
        while let Some(item) = self.reads.next().expect("what the server writes is read") {
            if let Item::Element(element) = item {
                if element.is(ns::SASL, "success") {
                    self.reads.restart();
                }
                note(&element, noted);
                self.got.push(element);
            }
        }
    }
}

/// Notes by which a session is taken up again, a token, and which publication is to be answered.
fn note(element: &Element, noted: &mut BTreeMap<&'static str, String>) {
    let mut notes = |name, value: Option<&str>| {
        if let Some(value) = value {
            noted.insert(name, value.to_owned());
        }
    };
    if element.is(ns::SM, "enabled") {
        notes("{id}", element.attr("id"));
    } else if element.is(ns::FAST, "token") {
        notes("{token}", element.attr("token"));
    } else if element.is(ns::CLIENT, "iq") && element.attr("type") == Some("set") {
        notes("{iq}", element.attr("id"));
    }
    element.children().for_each(|it| note(it, noted));
}
