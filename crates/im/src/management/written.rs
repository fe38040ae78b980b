//! A stanza that is written to a client, and what it is worth.

use bytes::Bytes;
use domain::MessageId;
use xmpp::{
    jid::Jid,
    ns,
    stanza::{IqType, MessageType, PresenceType, Stanza, Type},
    xml::Element,
};

/// See above.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) octets: Bytes,
    pub(crate) kind: Kind,
}

/// What becomes of a stanza that its client does not get.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A message that the hub keeps until it is acknowledged.
    Kept(MessageId),
    /// The same, but it went by another door of its device since: it is not sent again by this one.
    Withdrawn(MessageId),
    /// Presence of this sender: a later one says all that this one does.
    Presence(Box<str>),
    /// A chat state of this sender: worth something while somebody looks.
    State(Box<str>),
    /// Somebody asks: the question without what is in it, to be answered with an error.
    Question(Box<Element>),
    /// Nobody is told that it was lost: a copy, a message that is not to be kept.
    Passing,
    /// Without it the client does not know where it is: an answer, a change of the roster, a request.
    Needed,
}

impl Kind {
    /// The message of the hub's that it is.
    pub(crate) fn message(&self) -> Option<&MessageId> {
        match self {
            Self::Kept(id) | Self::Withdrawn(id) => Some(id),
            _ => None,
        }
    }

    /// Of a stanza for the client at this address.
    pub(crate) fn of(element: &Element, to: &Jid) -> Self {
        let Some(stanza) = Stanza::of(element) else {
            return Self::Needed;
        };
        let from = || element.attr("from").unwrap_or_default().into();
        match stanza.stanza_type() {
            Some(Type::Presence(PresenceType::Available | PresenceType::Unavailable)) => {
                Self::Presence(from())
            }
            Some(Type::Message(kind)) if is_state(kind, element) => Self::State(from()),
            Some(Type::Message(_) | Type::Presence(PresenceType::Error)) => Self::Passing,
            Some(Type::Iq(IqType::Get | IqType::Set)) if is_of_other(stanza, to) => {
                Self::Question(Box::new(head(element)))
            }
            _ => Self::Needed,
        }
    }
}

/// Whether it is from a client that waits for the answer, and not from us.
fn is_of_other(stanza: Stanza<'_>, to: &Jid) -> bool {
    let from = stanza.from().ok().flatten();
    from.is_some_and(|from| from.local().is_some() && from.as_str() != to.bare_str())
}

/// Whether a message says that somebody types, or types no more, and nothing else (XEP-0085 §5.1).
fn is_state(kind: MessageType, message: &Element) -> bool {
    const BESIDE: [(&str, &str); 1] = [(ns::CLIENT, "thread")];
    let beside = |it: &Element| {
        it.namespace() == ns::HINTS || BESIDE.contains(&(it.namespace(), it.local()))
    };
    let is_state = |it: &Element| it.namespace() == ns::CHAT_STATES;
    kind != MessageType::Error
        && message.children().any(is_state)
        && message.children().all(|it| is_state(it) || beside(it))
}

/// A stanza without what is in it: enough to answer it.
pub(crate) fn head(element: &Element) -> Element {
    let mut head = Element::new(element.namespace(), element.local());
    for name in ["from", "to", "id", "type"] {
        if let Some(value) = element.attr(name) {
            head.set_attr(name, value);
        }
    }
    head
}
