//! What arrived and was handled. Handled is what is durably kept or otherwise settled: until then it is the peer's, and
//! after a crash it is sent again. Several may be under way at once and be settled in any order; what is told is the count
//! of those before which nothing is open.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// When to answer, and how much may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answering {
    /// Answer unasked once so many were handled that the peer does not know of. Zero: never.
    pub unasked_after: u32,
    /// An answer waits so long at most for what arrived before the question (XEP-0198 §4 allows for a timeout): as a rule it
    /// is kept within milliseconds, and one answer then does for all.
    pub patience: Duration,
    /// So many may be under way; further ones are not read before some are settled.
    pub max_open: usize,
}

impl Default for Answering {
    /// Unasked after twenty-five, a second of patience, two hundred and fifty-six under way.
    fn default() -> Self {
        Self {
            unasked_after: 25,
            patience: Duration::from_secs(1),
            max_open: 256,
        }
    }
}

/// The place of an item that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seq(u32);

/// Too many are under way: read on when some are settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many stanzas under way")]
pub struct TooMany;

/// A question that has no full answer yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Question {
    /// It has one when so many are handled.
    upto: u32,
    /// What there is by then is told at this time; `None`: it was told, the rest follows.
    until: Option<Instant>,
}

/// Counts what was handled, modulo 2^32 (XEP-0198 §4).
#[derive(Debug, Clone)]
pub struct Inbound {
    answering: Answering,
    handled: u32,
    /// Those behind `handled`, in the order of their arrival: settled or not. The first is not.
    open: VecDeque<bool>,
    /// What the peer was told last.
    told: u32,
    question: Option<Question>,
}

impl Inbound {
    /// So many were handled so far: none, or what was kept with a session that is taken over.
    pub fn new(answering: Answering, handled: u32) -> Self {
        Self {
            answering,
            handled,
            open: VecDeque::new(),
            told: handled,
            question: None,
        }
    }

    /// An item has arrived.
    ///
    /// # Errors
    /// [`TooMany`]: it has not been counted.
    pub fn arrived(&mut self) -> Result<Seq, TooMany> {
        if self.open.len() >= self.answering.max_open {
            return Err(TooMany);
        }
        let seq = Seq(self.arrivals());
        self.open.push_back(false);
        Ok(seq)
    }

    /// It is settled: durably kept, or refused with an error that is. Whatever comes of an item, this is said of it; twice
    /// is as good as once.
    pub fn kept(&mut self, Seq(seq): Seq) {
        let place = usize::try_from(seq.wrapping_sub(self.handled)).ok();
        if let Some(open) = place.and_then(|place| self.open.get_mut(place)) {
            *open = true;
        }
        while self.open.front() == Some(&true) {
            self.open.pop_front();
            self.handled = self.handled.wrapping_add(1);
        }
    }

    /// The peer asks: an `<r/>`.
    pub fn asked(&mut self, now: Instant) {
        let until = self.question.and_then(|question| question.until);
        self.question = Some(Question {
            upto: self.arrivals(),
            until: Some(until.unwrap_or(now + self.answering.patience)),
        });
    }

    /// The count for an `<a/>` that is to be sent now; it counts as sent.
    pub fn poll(&mut self, now: Instant) -> Option<u32> {
        if let Some(question) = &mut self.question {
            let answered = self.handled.wrapping_sub(question.upto) <= u32::MAX / 2;
            let impatient = question.until.is_some_and(|until| until <= now);
            if answered {
                self.question = None;
            } else if impatient {
                question.until = None;
            }
            if answered || impatient {
                return Some(self.tell());
            }
        }
        let unknown = self.handled.wrapping_sub(self.told);
        let due = self.answering.unasked_after;
        (due > 0 && unknown >= due).then(|| self.tell())
    }

    /// When to [poll](Self::poll) next, if nothing happens before.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.question.and_then(|question| question.until)
    }

    /// So many are handled: what is kept of this end, in the same step as the items themselves.
    pub fn handled(&self) -> u32 {
        self.handled
    }

    /// Is everything settled that arrived? Before a session is resumed it must be, or an item that is still on its way into
    /// the store would arrive a second time.
    pub fn is_settled(&self) -> bool {
        self.open.is_empty()
    }

    /// The count to tell, at a resumption or at the end of a stream; what was asked before is forgotten.
    pub(super) fn tell_anew(&mut self) -> u32 {
        self.question = None;
        self.tell()
    }

    fn tell(&mut self) -> u32 {
        self.told = self.handled;
        self.handled
    }

    fn arrivals(&self) -> u32 {
        let open = u32::try_from(self.open.len()).unwrap_or(u32::MAX);
        self.handled.wrapping_add(open)
    }
}
