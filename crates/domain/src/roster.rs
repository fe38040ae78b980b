//! Rosters: whom a user knows, and who of the two may see the other's presence (RFC 6121 §2, §3, appendix A).
//!
//! A subscription has two directions that know nothing of each other, each in one of three states: together the nine of
//! RFC 6121 appendix A.1. Each of the two users' servers keeps its own view.

use crate::Address;
use bytes::Bytes;

/// One direction of a subscription.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub enum Direction {
    /// No subscription.
    #[default]
    None,
    /// Asked for, and not answered.
    Pending,
    /// Subscribed.
    Subscribed,
}

/// What is said about a subscription (RFC 6121 §3).
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq)]
pub enum Request {
    /// May I see your presence?
    Subscribe,
    /// I do not want to see your presence any more.
    Unsubscribe,
    /// You may see mine.
    Subscribed,
    /// You may not, or not any more.
    Unsubscribed,
}

/// Somebody whom a user knows, by the user's view of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Contact {
    /// Whose roster this is in.
    pub user: Address,
    /// Who it is.
    pub peer: Address,
    /// What the user calls them; may be empty.
    pub name: String,
    /// The groups that the user put them in.
    pub groups: Vec<String>,
    /// Whether the user sees their presence.
    pub to: Direction,
    /// Whether they see the user's.
    pub from: Direction,
    /// They may, as soon as they ask (RFC 6121 §3.4).
    pub approved: bool,
    /// The user has put them on the list, or said something of the subscription: who has only asked is not on it.
    pub is_listed: bool,
    /// With what they asked, for as long as it is not answered: shown to each client that comes (RFC 6121 §3.1.3).
    pub asked: Bytes,
}

/// What follows from a [`Request`].
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// The contact is another than before, and is to be kept.
    pub changed: bool,
    /// The user's request goes to the contact; the contact's is shown to the user's clients.
    pub passes: bool,
    /// The contact is answered so on the user's behalf.
    pub answer: Option<Request>,
    /// The contact may see the user's presence from now on, or not any more: tell them what it is, or that there is none.
    pub shows: Option<bool>,
}

impl Contact {
    /// Somebody of whom nothing is known yet.
    pub fn new(user: Address, peer: Address) -> Self {
        Self {
            user,
            peer,
            name: String::new(),
            groups: Vec::new(),
            to: Direction::None,
            from: Direction::None,
            approved: false,
            is_listed: false,
            asked: Bytes::new(),
        }
    }

    /// The name of the state as a roster has it (RFC 6121 §2.1.2.5).
    pub fn subscription(&self) -> &'static str {
        let is = |direction| direction == Direction::Subscribed;
        match (is(self.to), is(self.from)) {
            (false, false) => "none",
            (true, false) => "to",
            (false, true) => "from",
            (true, true) => "both",
        }
    }

    /// What the user's clients see of it.
    fn seen(&self) -> (&Address, &str, &[String], &'static str, bool, bool) {
        let asks = self.to == Direction::Pending;
        let (groups, state) = (self.groups.as_slice(), self.subscription());
        (&self.peer, &self.name, groups, state, asks, self.approved)
    }

    /// Whether the user's clients see the same of both (RFC 6121 §2.1.6: what they see changes, they are told).
    pub fn looks_like(&self, other: &Self) -> bool {
        self.is_listed == other.is_listed && self.seen() == other.seen()
    }

    /// Whether there is anything left to keep of it.
    pub fn is_worth_keeping(&self) -> bool {
        self.is_listed
            || self.approved
            || (self.to, self.from) != (Direction::None, Direction::None)
    }

    /// The user says something to the contact (RFC 6121 appendix A.2).
    pub fn says(&mut self, request: Request) -> Outcome {
        use Direction::{None as Not, Pending, Subscribed};
        let before = self.clone();
        let mut outcome = Outcome::default();
        match (request, self.to, self.from) {
            (Request::Subscribe, to, _) => {
                if to == Not {
                    self.to = Pending;
                }
                self.is_listed = true;
                outcome.passes = true;
            }
            (Request::Unsubscribe, ..) => {
                self.to = Not;
                outcome.passes = true;
            }
            (Request::Subscribed, _, Pending) => {
                self.from = Subscribed;
                self.is_listed = true;
                self.asked.clear();
                outcome.passes = true;
                outcome.shows = Some(true);
            }
            (Request::Subscribed, _, Not) => {
                self.approved = true;
                self.is_listed = true;
            }
            (Request::Subscribed, _, Subscribed) => {}
            (Request::Unsubscribed, _, from) => {
                self.approved = false;
                if from != Not {
                    self.from = Not;
                    self.asked.clear();
                    outcome.passes = true;
                    outcome.shows = Some(false).filter(|_| from == Subscribed);
                }
            }
        }
        outcome.changed = *self != before;
        outcome
    }

    /// The contact says something to the user (RFC 6121 appendix A.3); `with` these words, which are kept while it waits
    /// for an answer.
    ///
    /// Words may cross. So who is told that they may not see the contact's presence confirms it, and who is let in without
    /// having asked says that they do not want it: both sides then come to the same view. For the same reason we leave out
    /// the `unsubscribed` with which a server should answer `unsubscribe` (RFC 6121 §A.3.2; §3.3.3 does not have it): it
    /// would arrive as the refusal of a request that was made just after.
    pub fn hears(&mut self, request: Request, with: Bytes) -> Outcome {
        use Direction::{None as Not, Pending, Subscribed};
        let before = (self.to, self.from);
        let mut outcome = Outcome::default();
        match (request, self.to, self.from) {
            (Request::Subscribe, _, Not) if self.approved => {
                self.from = Subscribed;
                outcome.answer = Some(Request::Subscribed);
                outcome.shows = Some(true);
            }
            (Request::Subscribe, _, Not) => {
                self.from = Pending;
                self.asked = with;
                outcome.passes = true;
            }
            (Request::Subscribe, _, Subscribed) => outcome.answer = Some(Request::Subscribed),
            (Request::Unsubscribe, _, from @ (Pending | Subscribed)) => {
                self.from = Not;
                self.asked.clear();
                outcome.passes = true;
                outcome.shows = Some(false).filter(|_| from == Subscribed);
            }
            (Request::Subscribed, Pending, _) => {
                self.to = Subscribed;
                outcome.passes = true;
            }
            (Request::Subscribed, Not, _) => outcome.answer = Some(Request::Unsubscribe),
            (Request::Unsubscribed, Pending | Subscribed, _) => {
                self.to = Not;
                outcome.passes = true;
                outcome.answer = Some(Request::Unsubscribe);
            }
            _ => {}
        }
        outcome.changed = (self.to, self.from) != before;
        outcome
    }

    /// What the contact is told when the user takes them off the list (RFC 6121 §2.5.2).
    pub fn removed(&self) -> impl Iterator<Item = Request> + use<> {
        let ends = [
            (self.to, Request::Unsubscribe),
            (self.from, Request::Unsubscribed),
        ];
        ends.into_iter()
            .filter(|(direction, _)| *direction != Direction::None)
            .map(|(_, request)| request)
    }
}

/// Names what the clients of a user see of a roster (RFC 6121 §2.6): the same name, the same roster. Computed from the
/// contacts themselves, by address, so that nothing is to be kept beside them.
pub fn version<'a>(contacts: impl IntoIterator<Item = &'a Contact>) -> u64 {
    // FNV-1a: whoever finds two rosters of one name deceives only their own clients.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |text: &str| {
        // No text holds the octet that ends it.
        for octet in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for contact in contacts.into_iter().filter(|it| it.is_listed) {
        let (peer, name, groups, state, asks, approved) = contact.seen();
        let yes = |is: bool| if is { "1" } else { "" };
        for text in [peer.as_str(), name, state, yes(asks), yes(approved)] {
            add(text);
        }
        for group in groups {
            add(group);
        }
        add("");
    }
    hash
}

#[cfg(test)]
mod tests;
