//! Who may begin a tunnel now. Whoever dials has shown that packets reach it, and nothing else yet.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::{HANDSHAKES, HANDSHAKES_OF_KNOWN, HANDSHAKES_OF_ONE};

/// Addresses that are remembered since an inside came from there. Insides have few; with more, all are forgotten, and each is known
/// again when it comes.
const REMEMBERED: usize = 64;

/// Handshakes under way. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Handshakes(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    all: usize,
    of_one: HashMap<IpAddr, usize>,
    known: HashSet<IpAddr>,
}

/// One of them, until it is dropped.
pub(crate) struct Place {
    of: Handshakes,
    from: IpAddr,
}

impl Handshakes {
    /// A place for who dials from there, if there is one.
    pub(crate) fn place(&self, from: IpAddr) -> Option<Place> {
        let from = source(from);
        let mut counts = self.counts();
        let counts = &mut *counts;
        let kept = if counts.known.contains(&from) {
            0
        } else {
            HANDSHAKES_OF_KNOWN
        };
        let of_one = counts.of_one.get(&from).copied().unwrap_or_default();
        if counts.all >= HANDSHAKES - kept || of_one >= HANDSHAKES_OF_ONE {
            return None;
        }
        counts.all += 1;
        counts.of_one.insert(from, of_one + 1);
        let of = self.clone();
        Some(Place { of, from })
    }

    /// Held for a look-up only.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// An inside has come by it.
    pub(crate) fn proves_good(self) {
        let mut counts = self.of.counts();
        if counts.known.len() >= REMEMBERED {
            counts.known.clear();
        }
        counts.known.insert(self.from);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.of.counts();
        counts.all -= 1;
        if let Some(count) = counts.of_one.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                counts.of_one.remove(&self.from);
            }
        }
    }
}

/// What is counted as one address: of IPv6 the /64, which is one customer's.
fn source(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_few_places_and_some_are_for_those_that_insides_had() {
        let handshakes = Handshakes::default();
        let place = |from: u32| handshakes.place(IpAddr::from(from.to_be_bytes()));
        place(1).unwrap().proves_good();
        let mut taken: Vec<_> = (0..HANDSHAKES_OF_ONE).map(|_| place(2).unwrap()).collect();
        assert!(place(2).is_none());
        let mut others = 3..;
        taken.extend(std::iter::from_fn(|| place(others.next()?)));
        assert_eq!(taken.len(), HANDSHAKES - HANDSHAKES_OF_KNOWN);
        assert!(place(1).is_some(), "an inside that comes again");
        drop(taken);
        assert!(place(2).is_some());
        assert_eq!(handshakes.counts().all, 0);
    }

    #[test]
    fn the_addresses_of_one_customer_are_one() {
        let handshakes = Handshakes::default();
        let place = |from: String| handshakes.place(from.parse().unwrap());
        let taken: Vec<_> = (0..HANDSHAKES_OF_ONE)
            .map(|number| place(format!("2001:db8::{number}")).unwrap())
            .collect();
        assert!(place("2001:db8::ffff:0:0:1".to_owned()).is_none());
        assert!(place("2001:db8:0:1::1".to_owned()).is_some());
        drop(taken);
        let _v4: Vec<_> = (0..HANDSHAKES_OF_ONE)
            .map(|number| place(format!("192.0.2.{number}")).unwrap())
            .collect();
        assert!(place("::ffff:192.0.2.9".to_owned()).is_some());
    }
}
