//! Room for so many at once, of which one source has a part: connections of an API, and requests that come by edges.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// One source has at most this part of it.
const PART_OF_ONE: usize = 4;

/// What one source has at most, of room for so many.
pub(crate) fn part_of_one(room: usize) -> usize {
    (room / PART_OF_ONE).max(1)
}

/// Who has a place.
#[derive(Debug, Default)]
pub(crate) struct Room(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

/// Counts as one of them until it is dropped.
pub(crate) struct Place {
    room: Arc<Room>,
    source: IpAddr,
}

impl Room {
    /// A place for one from there, if fewer than so many have one, and fewer than so many from there.
    pub(crate) fn take(
        self: &Arc<Self>,
        source: IpAddr,
        (all, of_one): (usize, usize),
    ) -> Option<Place> {
        let mut taken = self.taken();
        let theirs = taken.of.get(&source).copied().unwrap_or_default();
        if taken.all >= all || theirs >= of_one {
            return None;
        }
        taken.all += 1;
        taken.of.insert(source, theirs + 1);
        let room = self.clone();
        Some(Place { room, source })
    }

    /// Held for a look-up only.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.all -= 1;
        if let Some(theirs) = taken.of.get_mut(&self.source) {
            *theirs -= 1;
            if *theirs == 0 {
                taken.of.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_a_part_and_all_together_have_all() {
        let room = Arc::new(Room::default());
        let most = (8, part_of_one(8));
        let place = |source: u32| room.take(IpAddr::from(source.to_be_bytes()), most);
        let mut taken = vec![place(1).unwrap(), place(1).unwrap()];
        assert!(place(1).is_none());
        taken.extend((2..8).map(|source| place(source).unwrap()));
        assert!(place(9).is_none());
        drop(taken);
        assert!(place(1).is_some());
        let left = room.taken();
        assert!(left.all == 0 && left.of.is_empty());
    }
}
