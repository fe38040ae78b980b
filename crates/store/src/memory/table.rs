//! A map that can take back what was done to it since the last [`Table::keep`]: what makes a step all or nothing in
//! memory.

use std::collections::{BTreeMap, btree_map::Range};
use std::ops::RangeBounds;

/// Rows by key, and how to undo the step that runs.
pub(super) struct Table<K, V> {
    rows: BTreeMap<K, V>,
    undo: Vec<(K, Option<V>)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            undo: Vec::new(),
        }
    }
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    pub(super) fn has(&self, key: &K) -> bool {
        self.rows.contains_key(key)
    }

    pub(super) fn put(&mut self, key: K, value: V) {
        let old = self.rows.insert(key.clone(), value);
        self.undo.push((key, old));
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let old = self.rows.remove(key)?;
        self.undo.push((key.clone(), Some(old.clone())));
        Some(old)
    }

    /// Says which rows it removed.
    pub(super) fn remove_range(&mut self, range: impl RangeBounds<K>) -> Vec<K> {
        let rows = self.take_range(range);
        rows.into_iter().map(|(key, _)| key).collect()
    }

    /// Removes rows, and says which.
    pub(super) fn take_range(&mut self, range: impl RangeBounds<K>) -> Vec<(K, V)> {
        let keys: Vec<K> = self.rows.range(range).map(|(key, _)| key.clone()).collect();
        let taken = keys.into_iter().filter_map(|key| {
            let value = self.remove(&key)?;
            Some((key, value))
        });
        taken.collect()
    }

    pub(super) fn range(&self, range: impl RangeBounds<K>) -> Range<'_, K, V> {
        self.rows.range(range)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.iter()
    }

    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.rows.values()
    }

    /// The step stands.
    pub(super) fn keep(&mut self) {
        self.undo.clear();
    }

    /// The step falls: the last change is undone first.
    pub(super) fn take_back(&mut self) {
        while let Some((key, old)) = self.undo.pop() {
            match old {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
    }
}
