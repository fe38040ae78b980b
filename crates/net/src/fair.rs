//! What waits, each in its turn: one who brings much waits behind itself and not before the others, and when there is no room
//! for all, who brings most loses most.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Waiting things by who brought them, of each the oldest first.
pub(crate) struct Fair<K, T> {
    /// The oldest of each, in the order of their turns.
    turns: VecDeque<(K, T)>,
    /// What is behind it: nothing for most, who have but one.
    behind: HashMap<K, VecDeque<T>>,
    count: usize,
}

impl<K, T> Default for Fair<K, T> {
    fn default() -> Self {
        Self {
            turns: VecDeque::new(),
            behind: HashMap::new(),
            count: 0,
        }
    }
}

impl<K: Copy + Eq + Hash, T> Fair<K, T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes one in, whose number somebody else limits.
    pub(crate) fn push(&mut self, who: K, one: T) {
        self.push_among(who, one, |_| true);
    }

    /// The same, where those that nobody wants any more take no room for long.
    pub(crate) fn push_among(&mut self, who: K, one: T, is_wanted: impl Fn(&T) -> bool) {
        match self.behind.entry(who) {
            Entry::Occupied(mut behind) => {
                let behind = behind.get_mut();
                if behind.len() == behind.capacity() {
                    let before = behind.len();
                    behind.retain(is_wanted);
                    self.count -= before - behind.len();
                }
                behind.push_back(one);
            }
            Entry::Vacant(none) => {
                none.insert(VecDeque::new());
                self.turns.push_back((who, one));
            }
        }
        self.count += 1;
    }

    /// Takes one in if there is room, of which there is so much for all together; `false`, and it is not so much as made, if whoever
    /// brings it has their share already, or there is none at all.
    pub(crate) fn offer(&mut self, who: K, most: usize, one: impl FnOnce() -> T) -> bool {
        let of_one = self.behind.get(&who).map_or(0, |behind| behind.len() + 1);
        let sources = self.turns.len() + usize::from(of_one == 0);
        // A share is what each would have if one more came: so there is room for one who has nothing yet, until there are so many of those.
        if of_one > 0 && of_one >= most / (sources + 1) || self.count >= most {
            return false;
        }
        self.push(who, one());
        true
    }

    /// The oldest of whose turn it is, and who that is.
    pub(crate) fn pop(&mut self) -> Option<(K, T)> {
        self.pop_wanted(|_| true)
    }

    /// The same; those that nobody wants any more are nobody's turn.
    pub(crate) fn pop_wanted(&mut self, is_wanted: impl Fn(&T) -> bool) -> Option<(K, T)> {
        loop {
            let (who, mut one) = self.turns.pop_front()?;
            self.count -= 1;
            // Whoever has a turn is there.
            let behind = self.behind.get_mut(&who)?;
            while !is_wanted(&one)
                && let Some(next) = behind.pop_front()
            {
                one = next;
                self.count -= 1;
            }
            match behind.pop_front() {
                Some(next) => self.turns.push_back((who, next)),
                None => {
                    self.behind.remove(&who);
                }
            }
            if is_wanted(&one) {
                return Some((who, one));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_turn_and_keeps_its_order() {
        let mut fair = Fair::default();
        for number in 0..10 {
            fair.push(1, number);
        }
        fair.push(2, 0);
        fair.push(3, 0);
        let first: Vec<_> = (0..4).filter_map(|_| fair.pop()).collect();
        assert_eq!(first, [(1, 0), (2, 0), (3, 0), (1, 1)]);
        while fair.pop().is_some() {}
        assert!(fair.is_empty() && fair.behind.is_empty());
    }

    #[test]
    fn who_floods_leaves_room_for_whoever_comes_late() {
        let mut fair = Fair::default();
        let taken = (0..1000).filter(|_| fair.offer(0, 100, || 0)).count();
        assert_eq!(taken, 50);
        for late in 1..=50 {
            assert!(fair.offer(late, 100, || late), "{late}");
        }
        assert_eq!(fair.count, 100);
        assert!(!fair.offer(51, 100, || 51), "there is an end");
    }

    #[test]
    fn what_nobody_wants_is_nobodys_turn_and_takes_no_room() {
        let is_wanted = |number: &u32| !number.is_multiple_of(2);
        let mut fair = Fair::default();
        for number in 0..5 {
            fair.push(1, number);
        }
        fair.push(2, 0);
        fair.push(3, 1);
        let wanted = std::iter::from_fn(|| fair.pop_wanted(is_wanted));
        assert_eq!(wanted.collect::<Vec<_>>(), [(1, 1), (3, 1), (1, 3)]);
        assert!(fair.is_empty() && fair.behind.is_empty());
        for _ in 0..1_000_000 {
            fair.push_among(1, 0, is_wanted);
        }
        assert!(fair.count < 100, "{}", fair.count);
    }
}
