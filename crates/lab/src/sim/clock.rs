//! Virtual time, and who wants to be woken in it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use domain::Timestamp;

/// The time of day when a virtual world begins.
const BEGINNING: Timestamp = Timestamp(1_800_000_000_000);

/// Virtual time: it stands still until it is moved.
#[derive(Clone, Debug)]
pub struct Clock {
    start: Instant,
    now: Instant,
}

impl Clock {
    /// A clock that counts from `start`. Which instant that is changes nothing.
    pub fn new(start: Instant) -> Self {
        Self { start, now: start }
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// The time of day.
    pub fn timestamp(&self) -> Timestamp {
        BEGINNING.plus(self.elapsed())
    }

    /// Moves on to `at`; never back.
    pub fn advance_to(&mut self, at: Instant) {
        self.now = self.now.max(at);
    }
}

/// When each of many machines wants to be woken. Setting one again costs no more than the first time, so the time of a
/// machine is simply set after every step of it.
#[derive(Clone, Debug)]
pub struct Alarms<K> {
    due: BTreeSet<(Instant, K)>,
    set: BTreeMap<K, Instant>,
}

impl<K> Default for Alarms<K> {
    fn default() -> Self {
        Self {
            due: BTreeSet::new(),
            set: BTreeMap::new(),
        }
    }
}

impl<K: Copy + Ord> Alarms<K> {
    /// Wakes `who` at `at`, instead of when it was to be woken before; `None`: not at all.
    pub fn set(&mut self, who: K, at: Option<Instant>) {
        let before = match at {
            Some(at) => self.set.insert(who, at),
            None => self.set.remove(&who),
        };
        if let Some(before) = before.filter(|before| Some(*before) != at) {
            self.due.remove(&(before, who));
        }
        self.due.extend(at.map(|at| (at, who)));
    }

    /// The time of the next one.
    pub fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next one whose time has come; the lowest first among several of one time.
    pub fn pop(&mut self, now: Instant) -> Option<K> {
        let (_, who) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
        self.set(who, None);
        Some(who)
    }
}
