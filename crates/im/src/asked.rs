//! What a client has asked others and has no answer to yet: that reaches it, whoever sees whom, and no other answer of somebody
//! who may not see it does (RFC 6121 §8.5.3.1).

use std::collections::VecDeque;
use xmpp::{
    jid::Jid,
    stanza::{IqType, Stanza, Type},
};

/// So many of a client's questions are remembered, the latest ones; an answer to an older one comes as any answer does.
const QUESTIONS: usize = 64;
/// Longest id of those.
const ID_BYTES: usize = 256;

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Asked(VecDeque<(Jid, Box<str>)>);

impl Asked {
    /// The client asks somebody, if this is a question.
    pub(crate) fn asks(&mut self, stanza: Stanza<'_>) {
        let asks = matches!(
            stanza.stanza_type(),
            Some(Type::Iq(IqType::Get | IqType::Set))
        );
        let id = stanza.id().filter(|id| asks && id.len() <= ID_BYTES);
        let to = stanza.to().ok().flatten();
        if let Some((to, id)) = to.zip(id) {
            self.0.truncate(QUESTIONS - 1);
            self.0.push_front((to, id.into()));
        }
    }

    /// Whether this answers one of its questions, which then waits for no other answer.
    pub(crate) fn is_answered(&mut self, stanza: Stanza<'_>) -> bool {
        let from = stanza.from().ok().flatten();
        let Some((from, id)) = from.zip(stanza.id()) else {
            return false;
        };
        let is_it = |(of, asked): &(Jid, Box<str>)| *of == from && **asked == *id;
        let place = self.0.iter().position(is_it);
        place.is_some_and(|place| self.0.remove(place).is_some())
    }
}
