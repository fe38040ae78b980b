//! A stream from the moment when the client has signed in to the moment when it has an address (RFC 6120 §7).

use std::sync::Arc;

use super::answer::Answer;
use super::opening::{self, Domains, Opened};
use super::{BoundOffer, Framing};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{ErrorType, IqType, Stanza, StanzaCondition, StanzaError, Type};
use crate::xml::{Element, Header, Item, StreamCondition, StreamError};

/// How often a client may ask for an address and be refused, until the stream ends.
const TRIES: u8 = 5;

/// Opens the stream of a client that has signed in, and hands over what it asks for: an address, or one that it had
/// before, by stream management.
#[derive(Debug)]
pub struct Binder {
    framing: Framing,
    domains: Domains,
    user: Jid,
    offer: Arc<BoundOffer>,
    opened: Option<Opened>,
    tries: u8,
}

/// What is to be done when the answer is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BinderThen {
    /// Read on.
    Read,
    /// The client wants an address: [`bound`](Binder::bound) or [`refused`](Binder::refused) answers it.
    Bind(BindRequest),
    /// An element of stream management (XEP-0198): the client wants to go on where it was.
    StreamManagement(Element),
    /// Close the connection.
    Close,
}

/// A client wants an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindRequest {
    /// With the resource that it would like; without one, it is ours to choose (RFC 6120 §7.6).
    pub wanted: Option<Jid>,
    /// What it asked by.
    stanza: Element,
}

/// What is done with a resource that is in use already (RFC 6120 §7.7.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConflictPolicy {
    /// The new client gets another: what the RFC encourages.
    Override,
    /// The new client is refused.
    Refuse,
    /// The old client's stream ends with `conflict`.
    Replace,
}

/// Which address a client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// This one, which nobody has.
    Free(Jid),
    /// This one, and whoever has it is closed with the stream error `conflict`.
    Replaces(Jid),
    /// None.
    Refused(StanzaError),
}

impl BindRequest {
    /// Settles on an address. `generated` is one with a resource of our making, not to be guessed (RFC 6120 §7.6).
    pub fn settle(
        &self,
        policy: ConflictPolicy,
        is_taken: impl Fn(&Jid) -> bool,
        generated: Jid,
    ) -> Settled {
        match &self.wanted {
            None => Settled::Free(generated),
            Some(wanted) if !is_taken(wanted) => Settled::Free(wanted.clone()),
            Some(wanted) => match policy {
                ConflictPolicy::Override => Settled::Free(generated),
                ConflictPolicy::Replace => Settled::Replaces(wanted.clone()),
                // The type that the RFC shows for it, since another resource will do.
                ConflictPolicy::Refuse => Settled::Refused(
                    StanzaError::new(StanzaCondition::Conflict).with_type(ErrorType::Modify),
                ),
            },
        }
    }
}

impl Binder {
    /// For a user, by the bare address, who signed in by SASL: a new stream begins (RFC 6120 §6.3.2).
    pub fn new(framing: Framing, domains: Domains, user: Jid, offer: Arc<BoundOffer>) -> Self {
        Self {
            framing,
            domains,
            user,
            offer,
            opened: None,
            tries: 0,
        }
    }

    /// For a user who signed in by SASL2 without an address: the same stream goes on, with these features (XEP-0388).
    pub fn in_the_same_stream(
        framing: Framing,
        domains: Domains,
        user: Jid,
        offer: Arc<BoundOffer>,
        opened: Opened,
    ) -> (Self, Answer) {
        let mut answer = Answer::new(framing);
        answer.element(&offer.features());
        let new = Self::new(framing, domains, user, offer);
        let opened = Some(opened);
        (Self { opened, ..new }, answer)
    }

    /// What the client said in its last header.
    pub fn opened(&self) -> Option<&Opened> {
        self.opened.as_ref()
    }

    /// Takes what was read. `id` is the id of our side of the stream if this begins it, as for
    /// [`Greeter::handle`](super::Greeter::handle).
    pub fn handle(&mut self, item: Item, id: &str) -> (Answer, BinderThen) {
        let mut answer = Answer::new(self.framing);
        let then = match item {
            Item::Open(header) => self.opens(&header, id, &mut answer),
            Item::Element(element) => self.element(element, id, &mut answer),
            Item::KeepAlive => BinderThen::Read,
            Item::Close => {
                answer.close();
                BinderThen::Close
            }
        };
        (answer, then)
    }

    /// Tells the client its address.
    pub fn bound(&self, request: &BindRequest, address: &Jid) -> Answer {
        let mut answer = Answer::new(self.framing);
        let jid = Element::new(ns::BIND, "jid").with_text(address.as_str());
        let bind = Element::new(ns::BIND, "bind").with_child(jid);
        if let Some(stanza) = Stanza::of(&request.stanza) {
            answer.element(&without_addresses(stanza.reply()).with_child(bind));
        }
        answer
    }

    /// Tells the client that it gets none. It may ask again.
    pub fn refused(&self, request: &BindRequest, error: &StanzaError) -> Answer {
        let mut answer = Answer::new(self.framing);
        refuse(&request.stanza, error, &mut answer);
        answer
    }

    /// Ends the stream with this error, with a header before it if there was none (RFC 6120 §4.9.1.2).
    pub fn end(&mut self, error: &StreamError, id: &str) -> Answer {
        let mut answer = Answer::new(self.framing);
        self.ends(error, None, id, &mut answer);
        answer
    }

    fn opens(&mut self, header: &Header, id: &str, answer: &mut Answer) -> BinderThen {
        let read = opening::read(header, self.framing, &self.domains);
        let opened = match read {
            Ok(_) if self.opened.is_some() => {
                let text = "the stream is open already";
                Err(StreamError::new(StreamCondition::BadFormat, text))
            }
            Ok(opened) if opened.to.domain() != self.user.domain() => {
                let text = "signed in at another domain";
                Err(StreamError::new(StreamCondition::NotAuthorized, text))
            }
            read => read,
        };
        match opened {
            Err(error) => self.ends(&error, Some(header), id, answer),
            Ok(opened) => {
                answer.open(&opened, id);
                answer.element(&self.offer.features());
                self.opened = Some(opened);
                BinderThen::Read
            }
        }
    }

    fn element(&mut self, element: Element, id: &str, answer: &mut Answer) -> BinderThen {
        if self.opened.is_some() && element.namespace() == ns::SM {
            return BinderThen::StreamManagement(element);
        }
        let stanza = Stanza::of(&element).filter(|_| self.opened.is_some());
        let bind = stanza
            .filter(|stanza| stanza.stanza_type() == Some(Type::Iq(IqType::Set)))
            .and_then(Stanza::payload)
            .filter(|payload| payload.is(ns::BIND, "bind"));
        let (Some(stanza), Some(bind)) = (stanza, bind) else {
            // RFC 6120 §7.1.
            let error = StreamError::new(StreamCondition::NotAuthorized, "bind a resource first");
            return self.ends(&error, None, id, answer);
        };
        self.tries += 1;
        if self.tries > TRIES {
            let text = "too many requests for an address";
            let error = StreamError::new(StreamCondition::PolicyViolation, text);
            return self.ends(&error, None, id, answer);
        }
        if let Some(error) = stanza.fault() {
            refuse(&element, &error, answer);
            return BinderThen::Read;
        }
        let resource = bind.child(ns::BIND, "resource").map(Element::text);
        let resource = resource.filter(|text| !text.is_empty());
        let wanted = resource.map(|text| self.user.with_resource(&text));
        let Ok(wanted) = wanted.transpose() else {
            // RFC 6120 §7.7.2.1.
            refuse(&element, &StanzaCondition::BadRequest.into(), answer);
            return BinderThen::Read;
        };
        BinderThen::Bind(BindRequest {
            wanted,
            stanza: element,
        })
    }

    fn ends(
        &mut self,
        error: &StreamError,
        refused: Option<&Header>,
        id: &str,
        answer: &mut Answer,
    ) -> BinderThen {
        let (is_open, about) = (self.opened.is_some(), (&self.domains, refused));
        answer.end(error, is_open, about, id);
        BinderThen::Close
    }
}

/// There is no address yet that an answer could go to or come from.
fn without_addresses(mut answer: Element) -> Element {
    answer.remove_attr("from");
    answer.remove_attr("to");
    answer
}

fn refuse(stanza: &Element, error: &StanzaError, answer: &mut Answer) {
    let refusal = Stanza::of(stanza).and_then(|stanza| stanza.error(error));
    if let Some(refusal) = refusal {
        answer.element(&without_addresses(refusal));
    }
}
