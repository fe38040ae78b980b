//! Tokens that an inside has made and takes no more: the edge cannot tell that by itself, and need not ask twice.

use domain::Timestamp;
use ring::digest::{SHA256, digest};
use std::collections::HashMap;

/// So many are remembered. With more, those go that are too old, and then any: the inside tells of it again.
const MOST: usize = 10_000;

/// A token that somebody has shown: it cannot be told from this.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shown {
    hash: [u8; 32],
    until: Timestamp,
}

/// See above.
#[derive(Debug, Default)]
pub(super) struct Ended(HashMap<[u8; 32], Timestamp>);

impl Shown {
    /// One that nobody vouches for from `until` on.
    pub(super) fn new(token: &str, until: Timestamp) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self { hash, until }
    }

    /// Whether it is this token, which somebody vouches for still.
    pub(super) fn is(&self, token: &str, now: Timestamp) -> bool {
        now < self.until && Self::new(token, self.until) == *self
    }
}

impl Ended {
    /// Whether it is one of them.
    pub(super) fn has(&self, token: &Shown) -> bool {
        self.0.contains_key(&token.hash)
    }

    /// It is, from now on.
    pub(super) fn add(&mut self, token: &Shown, now: Timestamp) {
        if self.0.len() >= MOST {
            self.0.retain(|_, until| now < *until);
        }
        if self.0.len() >= MOST
            && let Some(any) = self.0.keys().next().copied()
        {
            self.0.remove(&any);
        }
        self.0.insert(token.hash, token.until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_have_ended_are_known_as_long_as_they_could_be_shown_and_are_never_too_many() {
        let mut ended = Ended::default();
        let old = Shown::new("old", Timestamp(10));
        ended.add(&old, Timestamp(0));
        assert!(ended.has(&old) && !ended.has(&Shown::new("other", Timestamp(10))));
        let new = |number: usize| Shown::new(&number.to_string(), Timestamp(20));
        (1..MOST).for_each(|number| ended.add(&new(number), Timestamp(0)));
        ended.add(&new(MOST), Timestamp(10));
        assert!(!ended.has(&old) && (1..=MOST).all(|number| ended.has(&new(number))));
        ended.add(&new(MOST + 1), Timestamp(10));
        assert!(ended.0.len() == MOST && ended.has(&new(MOST + 1)));
    }
}
