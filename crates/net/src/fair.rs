//! Datagrams of strangers that wait: each source has its turn, and when there is no room for all, who sends most loses most.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Waiting things by source, of each the oldest first.
pub(crate) struct Fair<T> {
    waiting: HashMap<IpAddr, VecDeque<T>>,
    /// The sources that have any, in the order of their turns.
    turns: VecDeque<IpAddr>,
    count: usize,
    most: usize,
}

impl<T> Fair<T> {
    /// At most so many wait.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            count: 0,
            most,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes one in; `false`, and it is lost, if its source has its share of the room already, or there is none at all.
    pub(crate) fn push(&mut self, source: IpAddr, one: T) -> bool {
        let sources = self.turns.len();
        let of_source = self.waiting.get(&source).map_or(0, VecDeque::len);
        let sources = sources + usize::from(of_source == 0);
        // A share is what each would have if one more came: so there is always room for a source that has nothing yet.
        if of_source > 0 && of_source >= self.most / (sources + 1) || self.count >= self.most {
            return false;
        }
        if of_source == 0 {
            self.turns.push_back(source);
        }
        self.waiting.entry(source).or_default().push_back(one);
        self.count += 1;
        true
    }

    /// The oldest of the source whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let source = self.turns.pop_front()?;
        let queue = self.waiting.get_mut(&source)?;
        let one = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        self.count -= usize::from(one.is_some());
        one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn each_source_has_its_turn_and_keeps_its_order() {
        let mut fair = Fair::new(100);
        for number in 0..10 {
            assert!(fair.push(source(1), (1, number)));
        }
        assert!(fair.push(source(2), (2, 0)));
        assert!(fair.push(source(3), (3, 0)));
        let first: Vec<_> = (0..4).filter_map(|_| fair.pop()).collect();
        assert_eq!(first, [(1, 0), (2, 0), (3, 0), (1, 1)]);
        while fair.pop().is_some() {}
        assert!(fair.is_empty() && fair.waiting.is_empty());
    }

    #[test]
    fn who_floods_leaves_room_for_whoever_comes_late() {
        let mut fair = Fair::new(100);
        let taken = (0..1000).filter(|_| fair.push(source(0), 0)).count();
        assert_eq!(taken, 50);
        for late in 1..=50 {
            assert!(fair.push(source(late), late), "{late}");
        }
        assert_eq!(fair.count, 100);
        assert!(!fair.push(source(51), 51), "there is an end");
    }
}
