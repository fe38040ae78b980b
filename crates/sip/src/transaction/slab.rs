//! A table of slots. A key is a slot and its generation, so that a key that outlived its entry finds nothing; our
//! Via branch carries exactly that, which is why a response is matched without a hash look-up.

/// Names one entry of a [`Slab`] for as long as it lives; afterwards it names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// Slots that are used again, at most `limit` of them.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    limit: usize,
}

impl<T> Slab<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            limit: limit.min(u32::MAX as usize),
        }
    }

    /// The key that the next [`Slab::insert`] will give; `None` when the table is full.
    pub(crate) fn vacant(&self) -> Option<Key> {
        if let Some(&slot) = self.free.last() {
            let generation = self.slots[slot as usize].generation;
            return Some(Key { slot, generation });
        }
        let slot = u32::try_from(self.slots.len()).ok()?;
        (self.slots.len() < self.limit).then_some(Key {
            slot,
            generation: 0,
        })
    }

    /// Puts a value in; `None`, and the value is lost, when the table is full.
    pub(crate) fn insert(&mut self, value: T) -> Option<Key> {
        let key = self.vacant()?;
        if self.free.pop().is_some() {
            self.slots[key.slot as usize].value = Some(value);
        } else {
            self.slots.push(Slot {
                generation: key.generation,
                value: Some(value),
            });
        }
        Some(key)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.slot as usize)?;
        slot.value
            .as_ref()
            .filter(|_| slot.generation == key.generation)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        slot.value
            .as_mut()
            .filter(|_| slot.generation == key.generation)
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.slot);
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_nothing_once_its_slot_is_used_again() {
        let mut slab = Slab::new(2);
        let first = slab.insert("first").unwrap();
        assert_eq!(slab.vacant().map(|key| key.slot), Some(1));
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second").unwrap();
        assert_eq!(first.slot, second.slot);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(second), Some(&"second"));
    }

    #[test]
    fn a_full_table_takes_no_more() {
        let mut slab = Slab::new(1);
        let only = slab.insert(1).unwrap();
        assert_eq!(slab.insert(2), None);
        slab.remove(only);
        assert_eq!(slab.len(), 0);
        assert!(slab.insert(3).is_some());
    }
}
