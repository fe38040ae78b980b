//! Room for requests of the device API that come by edges: so many at once, of which one source has a part.

use domain::quota::{Allowance, Quota};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// One source has at most this part of it.
const PART_OF_ONE: usize = 4;

/// See above.
pub(super) struct Room(Mutex<Uses>);

struct Uses {
    left: usize,
    of_one: Quota<IpAddr>,
}

/// Counts as one of them until it is dropped.
pub(super) struct Place {
    of: Arc<Room>,
    source: IpAddr,
}

impl Room {
    /// For so many.
    pub(super) fn new(places: usize) -> Self {
        let of_one = (places / PART_OF_ONE).max(1);
        Self(Mutex::new(Uses {
            left: places,
            of_one: Quota::new(Allowance {
                at_once: u32::try_from(of_one).unwrap_or(u32::MAX),
                ..Allowance::ALL
            }),
        }))
    }

    /// A place for a request from there, if there is one.
    pub(super) fn place(self: &Arc<Self>, source: IpAddr) -> Option<Place> {
        let mut uses = self.uses();
        let left = uses.left.checked_sub(1)?;
        uses.of_one.take(Instant::now(), source).ok()?;
        uses.left = left;
        let of = self.clone();
        Some(Place { of, source })
    }

    /// Held for a look-up only.
    fn uses(&self) -> MutexGuard<'_, Uses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut uses = self.of.uses();
        uses.of_one.give_back(&self.source);
        uses.left += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_a_part_and_all_together_have_all() {
        let room = Arc::new(Room::new(8));
        let place = |source: u32| room.place(IpAddr::from(source.to_be_bytes()));
        let mut taken = vec![place(1).unwrap(), place(1).unwrap()];
        assert!(place(1).is_none());
        taken.extend((2..8).map(|source| place(source).unwrap()));
        assert!(place(9).is_none());
        drop(taken);
        assert!(place(1).is_some());
        assert_eq!(room.uses().left, 8);
    }
}
