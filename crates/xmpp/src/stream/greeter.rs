//! A stream up to the moment when a client begins to sign in.

use std::sync::Arc;

use super::answer::Answer;
use super::opening::{self, Domains, Opened};
use super::{Framing, Offer, offer};
use crate::ns;
use crate::xml::{Element, Header, Item, StreamCondition, StreamError};

/// What may be asked by who has no account yet, and was invited (XEP-0077, XEP-0445).
const OF_GUESTS: [&str; 2] = [ns::REGISTER, ns::PARS];
/// How often a client may try to sign in before there is TLS, until it is believed that it will not understand
/// (RFC 6120 §6.4.5).
const TRIES_IN_THE_CLEAR: u8 = 3;

/// Greets a client: answers its header, offers TLS and then ways to sign in, and hands over the first step of that.
/// If that fails, it goes on: the next element of the client is for it again.
#[derive(Debug)]
pub struct Greeter {
    framing: Framing,
    domains: Domains,
    /// Ways to sign in; none while the stream is in the clear.
    offer: Option<Arc<Offer>>,
    /// The client's header, once it was answered.
    opened: Option<Opened>,
    tries_in_the_clear: u8,
}

/// What is to be done when the answer is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// Read on.
    Read,
    /// Begin the negotiation of TLS, if [`Reader::restart_for_tls`](crate::xml::Reader::restart_for_tls), asked before
    /// anything is sent, has nothing against it; then [`secured`](Greeter::secured).
    StartTls,
    /// The client begins to sign in.
    Greeted(Box<Greeted>),
    /// A component has shown its secret: it speaks for this domain.
    Component(Box<str>),
    /// Close the connection.
    Close,
}

/// A client that begins to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeted {
    /// What it said in its header.
    pub opened: Opened,
    /// Is there TLS, ours or that of a proxy? It is always, so far.
    pub secure: bool,
    /// `<auth/>` of SASL (RFC 6120 §6.4.2), `<authenticate/>` of SASL2 (XEP-0388), or an `<iq/>` of who has no account yet
    /// (XEP-0445).
    pub element: Element,
}

/// Whether somebody who was invited shows that (XEP-0445), or asks for an account.
pub fn asks_for_account(element: &Element) -> bool {
    let mut children = element.children();
    element.is(ns::CLIENT, "iq") && children.any(|it| OF_GUESTS.contains(&it.namespace()))
}

impl Greeter {
    /// For a stream in the clear. Over WebSocket there is no way from there to TLS (RFC 7395 §3.9).
    pub fn new(framing: Framing, domains: Domains) -> Self {
        Self {
            framing,
            domains,
            offer: None,
            opened: None,
            tries_in_the_clear: 0,
        }
    }

    /// There is TLS now, be it from the start or by STARTTLS: the client opens a new stream, and is offered this.
    /// What it said before is forgotten (RFC 6120 §5.4.3.3).
    pub fn secured(&mut self, offer: Arc<Offer>) {
        self.offer = Some(offer);
        self.opened = None;
    }

    /// Takes what was read. `id` is the id of our side of the stream if this begins it: unique and not to be guessed
    /// (RFC 6120 §4.7.3).
    pub fn handle(&mut self, item: Item, id: &str) -> (Answer, Then) {
        let mut answer = Answer::new(self.framing);
        let then = match item {
            Item::Open(header) => self.opens(&header, id, &mut answer),
            Item::Element(element) => self.element(element, id, &mut answer),
            Item::KeepAlive => Then::Read,
            Item::Close => {
                answer.close();
                Then::Close
            }
        };
        (answer, then)
    }

    /// Ends the stream with this error, with a header before it if there was none (RFC 6120 §4.9.1.2).
    pub fn refuse(&mut self, error: &StreamError, id: &str) -> Answer {
        let mut answer = Answer::new(self.framing);
        self.ends(error, None, id, &mut answer);
        answer
    }

    fn opens(&mut self, header: &Header, id: &str, answer: &mut Answer) -> Then {
        if self.opened.is_some() {
            let text = "the stream is open already";
            let error = StreamError::new(StreamCondition::BadFormat, text);
            return self.ends(&error, None, id, answer);
        }
        let opened = match opening::read(header, self.framing, &self.domains) {
            Ok(opened) => opened,
            Err(error) => return self.ends(&error, Some(header), id, answer),
        };
        if self.offer.is_none() && self.framing == Framing::WebSocket {
            let error = StreamError::new(StreamCondition::PolicyViolation, "TLS is required");
            return self.ends(&error, Some(header), id, answer);
        }
        answer.open(&opened, id);
        let features = self.offer.as_ref().map(|offer| offer.features());
        answer.element(&features.unwrap_or_else(offer::of_tls));
        self.opened = Some(opened);
        Then::Read
    }

    fn element(&mut self, element: Element, id: &str, answer: &mut Answer) -> Then {
        let Some(opened) = &self.opened else {
            // Over WebSocket only: over TCP there is nothing without a header (RFC 7395 §3.3.2, §3.4).
            let condition = match element.local() {
                "open" | "close" => StreamCondition::InvalidNamespace,
                _ => StreamCondition::BadFormat,
            };
            let error = StreamError::new(condition, "the stream is not open");
            return self.ends(&error, None, id, answer);
        };
        let sasl = element.is(ns::SASL, "auth");
        let sasl2 = element.is(ns::SASL2, "authenticate");
        let asks = asks_for_account(&element);
        match &self.offer {
            _ if element.is(ns::TLS, "starttls") => self.starttls(answer),
            None if sasl || sasl2 => self.needs_tls(element.namespace(), id, answer),
            Some(offer)
                if sasl || (sasl2 && offer.sasl2.is_some()) || (asks && offer.invitations) =>
            {
                let opened = opened.clone();
                Then::Greeted(Box::new(Greeted {
                    opened,
                    secure: true,
                    element,
                }))
            }
            // RFC 6120 §4.9.3.12.
            _ => {
                let error = StreamError::new(StreamCondition::NotAuthorized, "sign in first");
                self.ends(&error, None, id, answer)
            }
        }
    }

    /// RFC 6120 §5.4.2.
    fn starttls(&self, answer: &mut Answer) -> Then {
        if self.offer.is_none() && self.framing == Framing::Tcp {
            answer.element(&Element::new(ns::TLS, "proceed"));
            return Then::StartTls;
        }
        answer.element(&Element::new(ns::TLS, "failure"));
        answer.close();
        Then::Close
    }

    /// RFC 6120 §6.5.4.
    fn needs_tls(&mut self, namespace: &str, id: &str, answer: &mut Answer) -> Then {
        self.tries_in_the_clear += 1;
        if self.tries_in_the_clear > TRIES_IN_THE_CLEAR {
            let error = StreamError::new(StreamCondition::PolicyViolation, "TLS is required");
            return self.ends(&error, None, id, answer);
        }
        let condition = Element::new(ns::SASL, "encryption-required");
        answer.element(&Element::new(namespace, "failure").with_child(condition));
        Then::Read
    }

    /// `refused` is the header that the error is about.
    fn ends(
        &mut self,
        error: &StreamError,
        refused: Option<&Header>,
        id: &str,
        answer: &mut Answer,
    ) -> Then {
        let (is_open, about) = (self.opened.is_some(), (&self.domains, refused));
        answer.end(error, is_open, about, id);
        Then::Close
    }
}
