//! Room for so many at once, of which one source has a part: connections of an API, and requests that come by edges.

use net::{Hold, Losable};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// One source has at most this part of it.
const PART_OF_ONE: usize = 4;

/// Strangers who have proven nothing make room for others if they have at least this part of it: where others have it, they would make
/// room for nobody but each other.
const PART_OF_UNPROVEN: usize = 10;

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
    /// Strangers who may lose their place to others.
    unproven: Losable,
}

/// Counts as one of them until it is dropped.
pub(crate) struct Place {
    room: Arc<Room>,
    source: IpAddr,
    /// Of one who may lose it.
    unproven: Option<Hold>,
}

impl Room {
    /// A place for one from there, if fewer than so many have one, and fewer than so many from there.
    pub(crate) fn take(
        self: &Arc<Self>,
        source: IpAddr,
        (all, of_one): (usize, usize),
    ) -> Option<Place> {
        self.taken().take(source, (all, of_one)).then(|| Place {
            room: self.clone(),
            source,
            unproven: None,
        })
    }

    /// The same for a stranger, who gets the place of another one when there is none left, and may lose it so.
    pub(crate) fn take_unproven(
        self: &Arc<Self>,
        source: IpAddr,
        (all, of_one): (usize, usize),
        is_known: impl Fn(IpAddr) -> bool,
    ) -> Option<Place> {
        let mut taken = self.taken();
        if taken.has(source) < of_one {
            taken.make_room(source, all, is_known);
        }
        if !taken.take(source, (all, of_one)) {
            return None;
        }
        let hold = taken.unproven.take(source);
        drop(taken);
        Some(Place {
            room: self.clone(),
            source,
            unproven: Some(hold),
        })
    }

    /// Held for a look-up only.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// How many one source has.
    fn has(&self, source: IpAddr) -> usize {
        self.of.get(&source).copied().unwrap_or_default()
    }

    fn take(&mut self, source: IpAddr, (all, of_one): (usize, usize)) -> bool {
        let theirs = self.has(source);
        let is_room = self.all < all && theirs < of_one;
        if is_room {
            self.all += 1;
            self.of.insert(source, theirs + 1);
        }
        is_room
    }

    fn give_back(&mut self, source: IpAddr) {
        self.all -= 1;
        if let Some(theirs) = self.of.get_mut(&source) {
            *theirs -= 1;
            if *theirs == 0 {
                self.of.remove(&source);
            }
        }
    }

    /// Ends one for one more from there, where that gives it a place.
    fn make_room(&mut self, to: IpAddr, all: usize, is_known: impl Fn(IpAddr) -> bool) {
        let are_many = self.unproven.count() >= all.div_ceil(PART_OF_UNPROVEN);
        if self.all == all
            && are_many
            && let Some(source) = self.unproven.make_room(to, is_known)
        {
            self.give_back(source);
        }
    }
}

impl Place {
    /// Waits until it is somebody else's, which it may never be.
    pub(crate) async fn is_lost(&mut self) {
        match &mut self.unproven {
            Some(hold) => hold.is_lost().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        let held = match &self.unproven {
            Some(hold) => taken.unproven.end(hold),
            None => Some(self.source),
        };
        if let Some(source) = held {
            taken.give_back(source);
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

    #[tokio::test]
    async fn a_stranger_gets_the_place_of_who_has_most_and_that_is_lost_once() {
        let room = Arc::new(Room::default());
        let most = (4, 4);
        let at = |source: u32| IpAddr::from(source.to_be_bytes());
        let place = |source| room.take_unproven(at(source), most, |it| it == at(9));
        let mut first = place(1).unwrap();
        let others = [1, 1].map(|source| place(source).unwrap());
        let known = place(9).unwrap();
        assert!(place(1).is_none(), "its own would be the next to go");
        let second = place(2).unwrap();
        first.is_lost().await;
        assert_eq!(room.taken().all, 4);
        drop(first);
        assert_eq!(room.taken().all, 4, "it is somebody else's");
        // Of who is known none is taken.
        drop(others);
        let third = place(3).unwrap();
        let fourth = room.take(at(4), most).unwrap();
        let mut of_known = known;
        let lost = tokio::time::timeout(std::time::Duration::ZERO, of_known.is_lost());
        assert!(lost.await.is_err());
        drop((second, third, of_known, fourth));
        let left = room.taken();
        assert!(left.all == 0 && left.of.is_empty());
        assert_eq!(left.unproven.count(), 0);
    }
}
