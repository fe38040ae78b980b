//! Which daemon has which leg.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
};

/// Legs of which that is remembered; of one more the oldest is forgotten, and is looked for by its rank.
const REMEMBERED: usize = 100_000;

/// The order in which daemons are asked about a leg of which nothing is known: the same each time, before a restart and
/// after it.
pub(super) fn rank(leg: &str, daemon: SocketAddr) -> u64 {
    let mut hasher = DefaultHasher::new();
    (leg, daemon).hash(&mut hasher);
    hasher.finish()
}

/// See above.
#[derive(Debug, Default)]
pub(super) struct Legs {
    daemons: HashMap<Arc<str>, usize>,
    in_order: VecDeque<Arc<str>>,
}

impl Legs {
    pub(super) fn get(&self, leg: &str) -> Option<usize> {
        self.daemons.get(leg).copied()
    }

    /// This daemon has a leg from now on.
    pub(super) fn put(&mut self, leg: &Arc<str>, daemon: usize) {
        if self.daemons.insert(leg.clone(), daemon).is_some() {
            return;
        }
        self.in_order.push_back(leg.clone());
        while self.in_order.len() > REMEMBERED
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.daemons.remove(&oldest);
        }
    }

    /// Nobody has it any more; says who had.
    pub(super) fn take(&mut self, leg: &str) -> Option<usize> {
        let daemon = self.daemons.remove(leg);
        // What is gone goes from the front of the order as it comes up.
        while let Some(oldest) = self.in_order.front()
            && !self.daemons.contains_key(oldest)
        {
            self.in_order.pop_front();
        }
        daemon
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_what_is_over_takes_no_room() {
        let mut legs = Legs::default();
        let name = |number: usize| Arc::from(number.to_string());
        for number in 0..=REMEMBERED {
            legs.put(&name(number), 1);
        }
        assert_eq!((legs.get("0"), legs.get("1")), (None, Some(1)));
        for number in 1..=REMEMBERED {
            assert_eq!(legs.take(&name(number)), Some(1));
        }
        assert!(legs.daemons.is_empty() && legs.in_order.is_empty());
    }
}
