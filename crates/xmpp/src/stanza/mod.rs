//! Stanzas: views of elements that say what kind they are, of which type, from whom and for whom; and the answers to
//! them (RFC 6120 §8).

mod condition;
mod error;
mod kind;

pub use condition::{ErrorType, StanzaCondition};
pub use error::StanzaError;
pub use kind::{IqType, Kind, MessageType, PresenceType, Type};

use crate::jid::{Jid, JidError};
use crate::ns;
use crate::xml::Element;

/// An element that is a stanza of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stanza<'a> {
    element: &'a Element,
    kind: Kind,
}

impl<'a> Stanza<'a> {
    /// A view of an element; `None` if it is no stanza of a client (RFC 6120 §4.1).
    pub fn of(element: &'a Element) -> Option<Self> {
        let kind = Kind::of(element.local()).filter(|_| element.namespace() == ns::CLIENT)?;
        Some(Self { element, kind })
    }

    /// The element.
    pub fn element(self) -> &'a Element {
        self.element
    }

    /// Message, presence or IQ.
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// Its `type`; `None` if it has one that its kind has not. Such a presence or IQ is to be answered with
    /// `bad-request` (RFC 6121 §4.7.1, RFC 6120 §8.2.3); such a message is a normal one (RFC 6121 §5.2.2).
    pub fn stanza_type(self) -> Option<Type> {
        Type::of(self.kind, self.element.attr("type"))
    }

    /// Is it an error, which nobody answers?
    pub fn is_error(self) -> bool {
        self.element.attr("type") == Some("error")
    }

    /// Its `id`.
    pub fn id(self) -> Option<&'a str> {
        self.element.attr("id")
    }

    /// Whom it is for.
    ///
    /// # Errors
    /// It says so, and that is no address: `jid-malformed` (RFC 7622 §4).
    pub fn to(self) -> Result<Option<Jid>, JidError> {
        self.element.attr("to").map(Jid::parse).transpose()
    }

    /// Whom it is from.
    ///
    /// # Errors
    /// It says so, and that is no address.
    pub fn from(self) -> Result<Option<Jid>, JidError> {
        self.element.attr("from").map(Jid::parse).transpose()
    }

    /// What an IQ asks or answers: its first child.
    pub fn payload(self) -> Option<&'a Element> {
        self.element.children().next()
    }

    /// What is wrong with the stanza by itself, whoever it is for: an IQ must have an id, a type that there is, and one
    /// child if it asks, at most one if it is a result (RFC 6120 §8.2.3); a presence a type that there is (RFC 6121 §4.7.1).
    /// A result or an error with a fault is to be dropped, since nobody answers it.
    pub fn fault(self) -> Option<StanzaError> {
        let bad = |text| Some(StanzaError::new(StanzaCondition::BadRequest).with_text(text));
        let Some(of_type) = self.stanza_type() else {
            return bad("unknown type");
        };
        let Type::Iq(of_type) = of_type else {
            return None;
        };
        if self.id().is_none() {
            return bad("an IQ needs an id");
        }
        // The third does not matter, so there may be any number.
        let children = self.element.children().take(2).count();
        match of_type {
            IqType::Get | IqType::Set if children != 1 => bad("a request has exactly one child"),
            IqType::Result if children > 1 => bad("a result has at most one child"),
            _ => None,
        }
    }

    /// An empty result for an IQ that asks: back to the sender under the same id (RFC 6120 §8.2.3).
    pub fn reply(self) -> Element {
        self.answer("result")
    }

    /// The answer that the stanza could not be dealt with, without what was in it (RFC 6120 §8.3.1); `None` to an
    /// error or a result, which nobody answers. An address that is none is not sent back.
    pub fn error(self, error: &StanzaError) -> Option<Element> {
        let of_type = self.element.attr("type");
        let is_answer = self.is_error() || (self.kind == Kind::Iq && of_type == Some("result"));
        let mut answer = (!is_answer).then(|| self.answer("error"))?;
        for name in ["from", "to"] {
            if answer
                .attr(name)
                .is_some_and(|text| Jid::parse(text).is_err())
            {
                answer.remove_attr(name);
            }
        }
        Some(answer.with_child(error.element()))
    }

    /// The empty stanza that goes the other way.
    fn answer(self, of_type: &str) -> Element {
        let mut answer = Element::new(ns::CLIENT, self.kind.name());
        for (name, mirrored) in [("from", "to"), ("to", "from"), ("id", "id")] {
            if let Some(value) = self.element.attr(mirrored) {
                answer.set_attr(name, value);
            }
        }
        answer.set_attr("type", of_type);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Context, Limits, document};

    fn element(text: &str) -> Element {
        let text = text.replacen("iq", "iq xmlns='jabber:client'", 1);
        let text = text.replacen("presence", "presence xmlns='jabber:client'", 1);
        let text = text.replacen("message", "message xmlns='jabber:client'", 1);
        document(text.as_bytes(), &Limits::default()).unwrap()
    }

    fn written(element: &Element) -> String {
        String::from_utf8(element.to_octets(Context::CLIENT)).unwrap()
    }

    #[test]
    fn only_three_elements_of_one_namespace_are_stanzas() {
        assert!(Stanza::of(&Element::new(ns::CLIENT, "message")).is_some());
        assert!(Stanza::of(&Element::new(ns::SERVER, "message")).is_none());
        assert!(Stanza::of(&Element::new(ns::CLIENT, "query")).is_none());
    }

    #[test]
    fn types_and_their_defaults_are_those_of_the_rfcs() {
        use {IqType::*, MessageType::*, PresenceType::*};
        for (text, expected) in [
            ("<message/>", Some(Type::Message(Normal))),
            ("<message type='chat'/>", Some(Type::Message(Chat))),
            ("<message type='unheard-of'/>", Some(Type::Message(Normal))),
            (
                "<message type='error'/>",
                Some(Type::Message(MessageType::Error)),
            ),
            ("<presence/>", Some(Type::Presence(Available))),
            ("<presence type='available'/>", None),
            ("<presence type='probe'/>", Some(Type::Presence(Probe))),
            ("<iq type='get'/>", Some(Type::Iq(Get))),
            ("<iq/>", None),
            ("<iq type='subscribe'/>", None),
        ] {
            let element = element(text);
            assert_eq!(
                Stanza::of(&element).unwrap().stanza_type(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn an_iq_has_an_id_a_type_and_one_child() {
        for (text, is_fault) in [
            ("<iq type='get' id='1'><a xmlns='b'/></iq>", false),
            ("<iq type='get' id='1'> <a xmlns='b'/> </iq>", false),
            ("<iq type='get'><a xmlns='b'/></iq>", true),
            ("<iq id='1'><a xmlns='b'/></iq>", true),
            ("<iq type='set' id='1'/>", true),
            (
                "<iq type='set' id='1'><a xmlns='b'/><c xmlns='b'/></iq>",
                true,
            ),
            ("<iq type='result' id='1'/>", false),
            (
                "<iq type='result' id='1'><a xmlns='b'/><c xmlns='b'/></iq>",
                true,
            ),
            ("<iq type='error' id='1'><a xmlns='b'/><error/></iq>", false),
            ("<presence/>", false),
            ("<presence type='available'/>", true),
            ("<message type='unheard-of'/>", false),
        ] {
            let element = element(text);
            assert_eq!(
                Stanza::of(&element).unwrap().fault().is_some(),
                is_fault,
                "{text}"
            );
        }
    }

    #[test]
    fn an_error_goes_back_under_the_same_id() {
        let message =
            element("<message from='a@x/1' to='b@y' id='7' type='chat'><body>hi</body></message>");
        let error = StanzaError::new(StanzaCondition::ServiceUnavailable);
        let answer = Stanza::of(&message).unwrap().error(&error).unwrap();
        assert_eq!(
            written(&answer),
            "<message from='b@y' to='a@x/1' id='7' type='error'><error type='cancel'>\
             <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        );
        assert_eq!(Stanza::of(&answer).unwrap().error(&error), None);
        let result = element("<iq type='result' id='1'/>");
        assert_eq!(Stanza::of(&result).unwrap().error(&error), None);
        let malformed = element("<presence from='a@x/1' to='@'/>");
        let answer = Stanza::of(&malformed).unwrap().error(&error).unwrap();
        assert_eq!(
            (answer.attr("from"), answer.attr("to")),
            (None, Some("a@x/1"))
        );
        let silent = element("<iq type='get'/>");
        let answer = Stanza::of(&silent).unwrap().reply();
        assert_eq!(written(&answer), "<iq type='result'/>");
    }
}
