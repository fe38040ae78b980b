//! Places of strangers, each of which may be lost to somebody else while it is held. Whose is lost, [`Unproven`] says; how many there
//! are to be, whoever gives them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::unproven::{Unproven, Yields};

/// Those that are held.
#[derive(Debug, Default)]
pub struct Losable {
    unproven: Unproven,
    /// By their number, which grows from one to the next.
    held: BTreeMap<u64, Held>,
    next: u64,
}

#[derive(Debug)]
struct Held {
    source: IpAddr,
    since: Instant,
    /// Dropped when the place is somebody else's.
    _holds: oneshot::Sender<Infallible>,
}

/// What the holder of a place has of it, to be given back by [`Losable::end`].
#[derive(Debug)]
pub struct Hold {
    number: u64,
    lost: oneshot::Receiver<Infallible>,
}

impl Losable {
    /// How many there are, but for those whose source was found to be known by now ([`Losable::make_room`]).
    pub fn count(&self) -> usize {
        self.unproven.count()
    }

    /// One more, for a stranger from there.
    pub fn take(&mut self, source: IpAddr) -> Hold {
        let number = self.next;
        self.next += 1;
        let (holds, lost) = oneshot::channel();
        self.unproven.add(source, number);
        let held = Held {
            source,
            since: Instant::now(),
            _holds: holds,
        };
        self.held.insert(number, held);
        Hold { number, lost }
    }

    /// Makes room for one more from there, and says whose place is lost by that; `None` if nobody's is ([`Unproven::yields`]).
    pub fn make_room(&mut self, to: IpAddr, is_known: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        match self.unproven.yields(to, is_known) {
            Yields::Other(number) => self.lose(number),
            Yields::Nobody | Yields::Itself => None,
        }
    }

    /// Makes room, whoever it is for: at the cost of whoever has most ([`Unproven::first`]), if that one has been there since before then,
    /// and otherwise of the one that has been there longest.
    pub fn make_room_for_any(&mut self, before: Instant) {
        let is_old = |number: &u64| self.held.get(number).is_some_and(|it| it.since < before);
        let oldest = || self.held.first_key_value().map(|(number, _)| *number);
        if let Some(number) = self.unproven.first().filter(is_old).or_else(oldest) {
            self.lose(number);
        }
    }

    /// Its holder gives it back; says whose it was, or `None` if it is lost already.
    pub fn end(&mut self, hold: &Hold) -> Option<IpAddr> {
        self.lose(hold.number)
    }

    fn lose(&mut self, number: u64) -> Option<IpAddr> {
        let held = self.held.remove(&number)?;
        self.unproven.remove(held.source, number);
        Some(held.source)
    }
}

impl Hold {
    /// Waits until the place is somebody else's, which it may never be.
    pub async fn is_lost(&mut self) {
        // Nobody says anything by it.
        let _ = (&mut self.lost).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Waker};

    fn is_lost(hold: &mut Hold) -> bool {
        let lost = pin!(hold.is_lost());
        lost.poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn a_place_is_lost_once_and_its_holder_hears_of_it() {
        let [one, other, third] = [1, 2, 3].map(|source| IpAddr::from([192, 0, 2, source]));
        let mut all = Losable::default();
        let mut holds = [one, one, other].map(|source| all.take(source));
        assert_eq!(all.make_room(one, |_| false), None, "it has most itself");
        assert_eq!(all.make_room(third, |_| false), Some(one));
        assert_eq!(all.count(), 2);
        let lost: Vec<_> = holds.iter_mut().map(is_lost).collect();
        assert_eq!(lost, [true, false, false]);
        assert_eq!(all.end(&holds[0]), None);
        assert_eq!(all.end(&holds[1]), Some(one));
        all.make_room_for_any(Instant::now());
        assert!(is_lost(&mut holds[2]));
        assert_eq!(all.end(&holds[2]), None);
        all.make_room_for_any(Instant::now());
        assert!(all.held.is_empty() && all.count() == 0);
    }
}
