//! The last of many names, to tell one that comes again.

use std::collections::{BTreeSet, VecDeque};

/// A bounded set; the oldest name makes room.
pub(in crate::phone) struct Recent<T> {
    limit: usize,
    order: VecDeque<T>,
    names: BTreeSet<T>,
}

impl<T: Clone + Ord> Recent<T> {
    pub(in crate::phone) fn new(limit: usize) -> Self {
        Self {
            limit,
            order: VecDeque::new(),
            names: BTreeSet::new(),
        }
    }

    pub(in crate::phone) fn contains<Q: Ord + ?Sized>(&self, name: &Q) -> bool
    where
        T: std::borrow::Borrow<Q>,
    {
        self.names.contains(name)
    }

    /// Notes a name; false if it was noted before.
    pub(in crate::phone) fn insert(&mut self, name: T) -> bool {
        if !self.names.insert(name.clone()) {
            return false;
        }
        self.order.push_back(name);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_name_makes_room() {
        let mut recent = Recent::new(2);
        assert!(recent.insert(1) && recent.insert(2) && !recent.insert(2));
        assert!(recent.insert(3));
        assert!(!recent.contains(&1) && recent.contains(&2) && recent.contains(&3));
    }
}
