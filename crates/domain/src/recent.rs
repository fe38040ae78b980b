//! Who was seen lately, of very many: a set with a bound that forgets those who were not seen for longest, in two halves
//! instead of a list in order.

use crate::id_map::IdHash;
use std::{collections::HashSet, hash::Hash};

/// See above.
#[derive(Debug)]
pub(crate) struct Recent<K> {
    fresh: HashSet<K, IdHash>,
    /// Those who were not seen since `fresh` was begun.
    older: HashSet<K, IdHash>,
    most: usize,
}

impl<K: Eq + Hash> Recent<K> {
    /// At least half of `most` are remembered, and never more than that many.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            fresh: HashSet::default(),
            older: HashSet::default(),
            most,
        }
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.fresh.contains(key) || self.older.contains(key)
    }

    /// Whether it need not be said that this one was seen.
    pub(crate) fn is_fresh(&self, key: &K) -> bool {
        self.fresh.contains(key)
    }

    /// This one was seen.
    pub(crate) fn saw(&mut self, key: K) {
        if self.fresh.len() >= self.most / 2 && !self.fresh.contains(&key) {
            self.older = std::mem::take(&mut self.fresh);
        }
        self.fresh.insert(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_seen_now_and_then_is_never_forgotten_for_others() {
        let mut recent = Recent::new(20);
        for stranger in 1..1000 {
            recent.saw(0);
            recent.saw(stranger);
            assert!(recent.contains(&0) && recent.is_fresh(&stranger));
            assert!(recent.fresh.len() + recent.older.len() <= 20);
        }
        assert!(!recent.contains(&1));
    }
}
