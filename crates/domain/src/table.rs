//! Tables of very many large values. A map that holds such values by themselves keeps up to half of its room empty, and
//! moves all of them when it grows. Here each value has a place in pieces of memory that stay where they are, and what
//! is hashed are the places: values know their own names.

use crate::id_map::IdHash;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hash};

/// Values in one piece of memory.
const PIECE: usize = 256;

/// Where a value stands, for as long as it does; then another one may stand there.
pub type Place = u32;

/// Values by their places.
#[derive(Debug)]
pub struct Rows<T> {
    pieces: Vec<Vec<Option<T>>>,
    free: Vec<Place>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Rows<T> {
    /// The value there.
    pub fn get(&self, place: Place) -> Option<&T> {
        let (piece, at) = split(place);
        self.pieces.get(piece)?.get(at)?.as_ref()
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, place: Place) -> Option<&mut T> {
        let (piece, at) = split(place);
        self.pieces.get_mut(piece)?.get_mut(at)?.as_mut()
    }

    /// Finds a place for a value.
    pub fn insert(&mut self, value: T) -> Place {
        if let Some(place) = self.free.pop() {
            let (piece, at) = split(place);
            self.pieces[piece][at] = Some(value);
            return place;
        }
        if self.pieces.last().is_none_or(|piece| piece.len() == PIECE) {
            self.pieces.push(Vec::new());
        }
        let before = PIECE * (self.pieces.len() - 1);
        let piece = &mut self.pieces[before / PIECE];
        // No memory holds four billion of them.
        let place = Place::try_from(before + piece.len()).unwrap_or(Place::MAX);
        piece.push(Some(value));
        place
    }

    /// Takes a value away.
    pub fn remove(&mut self, place: Place) -> Option<T> {
        let (piece, at) = split(place);
        let value = self.pieces.get_mut(piece)?.get_mut(at)?.take()?;
        self.free.push(place);
        Some(value)
    }

    /// All of them, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flatten().flatten()
    }
}

fn split(place: Place) -> (usize, usize) {
    let place = place as usize;
    (place / PIECE, place % PIECE)
}

/// Places by the names of the values there. A name may have several.
#[derive(Debug, Default)]
pub struct Index {
    slots: HashTable<Slot>,
    hasher: IdHash,
}

/// Half of a name's hash, so that no value need be looked at when the table grows, and hardly one in vain.
#[derive(Copy, Clone, Debug)]
struct Slot {
    hash: u32,
    place: Place,
}

impl Slot {
    /// Spread over all bits, of which the table takes the highest and the lowest.
    fn whole(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Index {
    /// The places of a name, in no order; by an accident that nobody can arrange there may be others among them.
    pub fn places(&self, name: &impl Hash) -> impl Iterator<Item = Place> {
        let hash = self.hash(name);
        let alike = self.slots.iter_hash(Slot::whole(hash));
        alike
            .filter(move |slot| slot.hash == hash)
            .map(|slot| slot.place)
    }

    /// The value there has this name from now on.
    pub fn insert(&mut self, name: &impl Hash, place: Place) {
        let hash = self.hash(name);
        let rehash = |slot: &Slot| Slot::whole(slot.hash);
        self.slots
            .insert_unique(Slot::whole(hash), Slot { hash, place }, rehash);
    }

    /// It has it no more.
    pub fn remove(&mut self, name: &impl Hash, place: Place) {
        let hash = Slot::whole(self.hash(name));
        if let Ok(slot) = self.slots.find_entry(hash, |slot| slot.place == place) {
            slot.remove();
        }
    }

    fn hash(&self, name: &impl Hash) -> u32 {
        let [_, _, _, _, half @ ..] = self.hasher.hash_one(name).to_be_bytes();
        u32::from_be_bytes(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_and_none_moves() {
        let mut rows = Rows::default();
        let count = u32::try_from(PIECE).unwrap() * 2 + 1;
        for number in 0..count {
            assert_eq!(rows.insert(number), number);
        }
        assert_eq!(rows.remove(7), Some(7));
        assert_eq!((rows.remove(7), rows.get(7)), (None, None));
        assert_eq!(rows.insert(1000), 7);
        assert_eq!(rows.insert(1001), count);
        assert_eq!(rows.get(count - 1), Some(&(count - 1)));
        *rows.get_mut(7).unwrap() += 1;
        assert_eq!(rows.get(7), Some(&1001));
        assert_eq!(rows.get(count + 1), None);
        assert_eq!(rows.iter().count(), count as usize + 1);
    }

    #[test]
    fn a_name_has_the_places_that_it_was_given() {
        let mut index = Index::default();
        for place in 0..10_000 {
            index.insert(&(place / 2), place);
        }
        for name in 0..5_000_u32 {
            let mut places: Vec<_> = index.places(&name).collect();
            places.sort_unstable();
            assert!(places.contains(&(2 * name)) && places.contains(&(2 * name + 1)));
            index.remove(&name, 2 * name);
            assert!(!index.places(&name).any(|place| place == 2 * name));
            assert!(index.places(&name).any(|place| place == 2 * name + 1));
        }
        assert_eq!(index.places(&5_000_u32).count(), 0);
    }
}
