//! A virtual push cloud: what it says to a push and when the device gets it is the fate of the token.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use domain::{Outcome, Timestamp};

use super::Queue;
use crate::rng::Rng;

/// How soon a cloud in a good mood answers, and delivers.
const PROMPT: Duration = Duration::from_millis(60);

/// What becomes of the pushes to one token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fate {
    /// What the cloud says.
    pub outcome: Outcome,
    /// How long it takes for that.
    pub answer_after: Duration,
    /// How long after the push the device gets it, each time that it does.
    pub deliver_after: Vec<Duration>,
}

impl Fate {
    /// Accepted, and delivered once, at once.
    pub fn prompt() -> Self {
        Self {
            outcome: Outcome::Accepted {
                provider_id: String::new(),
            },
            answer_after: PROMPT,
            deliver_after: vec![PROMPT],
        }
    }

    /// Accepted, and delivered after so long each.
    pub fn delivered(after: impl IntoIterator<Item = Duration>) -> Self {
        Self {
            deliver_after: after.into_iter().collect(),
            ..Self::prompt()
        }
    }

    /// Not accepted.
    pub fn refused(outcome: Outcome) -> Self {
        Self {
            outcome,
            deliver_after: Vec::new(),
            ..Self::prompt()
        }
    }

    /// The app was removed `since` then.
    pub fn dead(since: Option<Timestamp>) -> Self {
        Self::refused(Outcome::TokenDead {
            since,
            reason: "Unregistered".to_owned(),
        })
    }

    /// The same, said after so long.
    #[must_use]
    pub fn slow(mut self, answer_after: Duration) -> Self {
        self.answer_after = answer_after;
        self
    }

    /// Any fate, the good ones more often.
    pub fn drawn(rng: &mut Rng) -> Self {
        let seconds = |rng: &mut Rng, most| rng.between(PROMPT, Duration::from_secs(most));
        match rng.below(16) {
            0 => Self::dead(None),
            1 => Self::refused(Outcome::Refused {
                reason: "BadTopic".to_owned(),
            }),
            2 => Self::refused(Outcome::Unavailable {
                reason: "InternalServerError".to_owned(),
                retry_after: seconds(rng, 60),
            }),
            3 => Self::refused(Outcome::Throttled {
                reason: "TooManyRequests".to_owned(),
                retry_after: seconds(rng, 60),
            }),
            4 => Self::prompt().slow(seconds(rng, 10)),
            5 => Self::delivered([seconds(rng, 30)]),
            6 => Self::delivered([PROMPT, seconds(rng, 30)]),
            7 => Self::delivered([]),
            _ => Self::prompt(),
        }
    }
}

/// What a cloud says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Said<P> {
    /// To the server: what became of its push.
    Answered {
        /// The server's name for the push.
        id: u64,
        /// What.
        outcome: Outcome,
    },
    /// To the device.
    Delivered {
        /// Whose token it was sent to.
        token: String,
        /// What was pushed.
        push: P,
    },
}

/// The platforms' clouds, for pushes of the type `P`.
#[derive(Clone, Debug)]
pub struct Cloud<P> {
    fates: BTreeMap<String, Fate>,
    said: Queue<Said<P>>,
}

impl<P> Default for Cloud<P> {
    fn default() -> Self {
        Self {
            fates: BTreeMap::new(),
            said: Queue::default(),
        }
    }
}

impl<P: Clone> Cloud<P> {
    /// Decides what becomes of what is pushed to `token` from now on. Without this it is [`Fate::prompt`].
    pub fn decide(&mut self, token: &str, fate: Fate) {
        self.fates.insert(token.to_owned(), fate);
    }

    /// The server pushes. `id` is its own name for it.
    pub fn push(&mut self, now: Instant, id: u64, token: &str, push: &P) {
        let fate = self.fates.get(token).cloned().unwrap_or_else(Fate::prompt);
        for after in fate.deliver_after {
            let (token, push) = (token.to_owned(), push.clone());
            self.said.push(now + after, Said::Delivered { token, push });
        }
        let outcome = fate.outcome;
        self.said
            .push(now + fate.answer_after, Said::Answered { id, outcome });
    }

    /// When there is something to hear.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.said.next()
    }

    /// What there is to hear.
    pub fn poll(&mut self, now: Instant) -> Option<Said<P>> {
        self.said.pop(now)
    }
}
