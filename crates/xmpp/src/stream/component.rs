//! The stream of a component (XEP-0114), up to the moment when it has shown its secret.

use std::fmt;
use std::sync::Arc;

use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

use super::answer::Answer;
use super::{Framing, Then};
use crate::jid::{Jid, JidError};
use crate::ns;
use crate::xml::{Element, Header, Item, StreamCondition, StreamError};

/// The components that may connect: the domain of each, with its secret. `Debug` shows no secret.
#[derive(Clone, Default)]
pub struct Components(Arc<[(Jid, Box<str>)]>);

impl Components {
    /// Of domains and their secrets.
    ///
    /// # Errors
    /// One of them is no domain.
    pub fn new(all: impl IntoIterator<Item = (String, String)>) -> Result<Self, JidError> {
        let known = |(domain, secret): (String, String)| {
            Ok((Jid::new(None, &domain, None)?, secret.into_boxed_str()))
        };
        all.into_iter()
            .map(known)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn find(&self, name: Option<&str>) -> Option<&(Jid, Box<str>)> {
        let name = Jid::parse(name?).ok()?;
        self.0.iter().find(|(domain, _)| *domain == name)
    }
}

impl fmt::Debug for Components {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(domain, _)| domain))
            .finish()
    }
}

/// What a component shows of its secret in the stream of this id (XEP-0114 §3).
pub fn handshake(id: &str, secret: &str) -> String {
    let hash = Sha1::new().chain_update(id).chain_update(secret).finalize();
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16);
    let digits = hash
        .iter()
        .flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]);
    digits.flatten().collect()
}

/// Greets a component: answers its header, and reads what it shows of its secret. Whether there is room for it is for whoever has
/// the others of its name to say, and so is the answer.
#[derive(Debug)]
pub struct ComponentGreeter {
    components: Components,
    /// Speaks where a component names nothing that we know.
    fallback: Jid,
    /// Who it says it is, once its header was answered.
    opened: Option<Jid>,
}

impl ComponentGreeter {
    /// For those; `fallback` is a domain of ours.
    pub fn new(components: Components, fallback: Jid) -> Self {
        Self {
            components,
            fallback,
            opened: None,
        }
    }

    /// Takes what was read, as [`Greeter::handle`](super::Greeter::handle) does. `id` is what the secret is hashed with: it must be
    /// unlike any before, and not to be guessed.
    pub fn handle(&mut self, item: &Item, id: &str) -> (Answer, Then) {
        let mut answer = Answer::new(Framing::Component);
        let then = match item {
            Item::Open(header) => self.opens(header, id, &mut answer),
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
        let mut answer = Answer::new(Framing::Component);
        self.ends(error, id, &mut answer);
        answer
    }

    fn opens(&mut self, header: &Header, id: &str, answer: &mut Answer) -> Then {
        let refused = |condition, text| Err(StreamError::new(condition, text));
        let element = header.element();
        let named = if self.opened.is_some() {
            refused(StreamCondition::BadFormat, "the stream is open already")
        } else if !element.is(ns::STREAM, "stream")
            || header.default_namespace() != Some(ns::COMPONENT)
        {
            let text = "only streams of components are served here";
            refused(StreamCondition::InvalidNamespace, text)
        } else {
            match self.components.find(header.to()) {
                Some((domain, _)) => Ok(domain.clone()),
                None => refused(StreamCondition::HostUnknown, "no such component"),
            }
        };
        match named {
            Err(error) => self.ends(&error, id, answer),
            Ok(domain) => {
                answer.open_component(domain.as_str(), id);
                self.opened = Some(domain);
                Then::Read
            }
        }
    }

    fn element(&mut self, element: &Element, id: &str, answer: &mut Answer) -> Then {
        let opened = self.opened.as_ref().map(Jid::as_str);
        let known = self.components.find(opened);
        let known = known.filter(|_| element.is(ns::COMPONENT, "handshake"));
        let shows = |(_, secret): &&(Jid, Box<str>)| {
            let (right, shown) = (handshake(id, secret), element.text());
            // An empty secret is nobody's.
            !secret.is_empty() && bool::from(right.as_bytes().ct_eq(shown.trim().as_bytes()))
        };
        if let Some((domain, _)) = known.filter(shows) {
            return Then::Component(domain.as_str().into());
        }
        let error = StreamError::new(StreamCondition::NotAuthorized, "show the secret");
        self.ends(&error, id, answer)
    }

    fn ends(&mut self, error: &StreamError, id: &str, answer: &mut Answer) -> Then {
        if self.opened.is_none() {
            answer.open_component(self.fallback.as_str(), id);
        }
        answer.error(error);
        answer.close();
        Then::Close
    }
}
