//! The words of XEP-0353.

use xmpp::ns;
use xmpp::xml::Element;

/// What is said of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallWord {
    /// The caller calls (XEP-0353 §3.1).
    Propose,
    /// A client of the callee's rings (XEP-0353 §3.2).
    Ringing,
    /// The caller gives up (XEP-0353 §3.3).
    Retract,
    /// A client of the callee's takes it (XEP-0353 §3.4).
    Proceed,
    /// The same, for its user's other clients: versions before 0.4 have that, and it needs no copies (XEP-0280).
    Accept,
    /// The callee says no (XEP-0353 §3.5).
    Reject,
    /// It is over (XEP-0353 §3.7).
    Finish,
}

impl CallWord {
    const ALL: [(Self, &str); 7] = [
        (Self::Propose, "propose"),
        (Self::Ringing, "ringing"),
        (Self::Retract, "retract"),
        (Self::Proceed, "proceed"),
        (Self::Accept, "accept"),
        (Self::Reject, "reject"),
        (Self::Finish, "finish"),
    ];

    /// As it stands in the stanza.
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(word, _)| *word == self);
        found.map_or("", |(_, name)| name)
    }

    /// What a message says of a call, and of which.
    pub fn read(message: &Element) -> Option<(Self, &str)> {
        let is_it = |it: &&Element| it.namespace() == ns::JINGLE_MESSAGE;
        let said = message.children().find(is_it)?;
        let (word, _) = Self::ALL.iter().find(|(_, name)| *name == said.local())?;
        Some((*word, said.attr("id")?))
    }
}
