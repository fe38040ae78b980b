//! Handshakes at an edge: who dials it is a stranger until its key is seen, and each costs a key exchange and a signature. So they have a
//! pace, each source has its turn, and who takes long makes room for who comes next; addresses from which an inside has come have all that
//! for themselves. When no more can wait, the site that has most of them loses one: so a network of many sources keeps nobody else out.
//! Whoever is turned away hears nothing, and asks again by itself. Pure.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::limits::{HANDSHAKE_EVERY, HANDSHAKES, HANDSHAKES_AFTER_PAUSE, HANDSHAKES_WAITING};

/// What may be used ahead of the pace after a pause.
const AHEAD: Duration = HANDSHAKE_EVERY.saturating_mul(HANDSHAKES_AFTER_PAUSE);

/// All that want to begin, and those that have.
pub(crate) struct Handshakes<T> {
    of_insides: Line<T>,
    of_strangers: Line<T>,
}

/// Those of one kind.
struct Line<T> {
    /// In the order of their turns, one of a source.
    waiting: VecDeque<(IpAddr, T)>,
    /// The oldest first. Some of them are over.
    under_way: VecDeque<oneshot::Sender<Infallible>>,
    /// Those that have begun would take until then at the pace that there is.
    used: Instant,
}

/// That of a handshake among those that are under way, until it is dropped.
pub(crate) struct Place(oneshot::Receiver<Infallible>);

impl<T> Handshakes<T> {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            of_insides: Line::new(now),
            of_strangers: Line::new(now),
        }
    }

    /// One more wants to begin, from there, where an inside has come from or none. Whoever is not to wait, or not any more, is given back.
    pub(crate) fn comes(&mut self, from: IpAddr, is_of_inside: bool, one: T) -> Option<T> {
        let line = if is_of_inside {
            &mut self.of_insides
        } else {
            &mut self.of_strangers
        };
        line.comes(source(from), one)
    }

    /// Whose turn it is now.
    pub(crate) fn next(&mut self, now: Instant) -> Option<(T, Place)> {
        let lines = [&mut self.of_insides, &mut self.of_strangers];
        lines.into_iter().find_map(|line| line.next(now))
    }

    /// When it is somebody's turn, if anybody waits.
    pub(crate) fn due(&self) -> Option<Instant> {
        let lines = [&self.of_insides, &self.of_strangers];
        lines.into_iter().filter_map(Line::due).min()
    }
}

impl<T> Line<T> {
    fn new(now: Instant) -> Self {
        Self {
            waiting: VecDeque::new(),
            under_way: VecDeque::new(),
            used: now,
        }
    }

    fn comes(&mut self, from: IpAddr, one: T) -> Option<T> {
        let has_turn = self.waiting.iter().any(|(source, _)| *source == from);
        if has_turn {
            return Some(one);
        }
        let mut turned_away = None;
        if self.waiting.len() >= HANDSHAKES_WAITING {
            let Some(place) = self.makes_room(from) else {
                return Some(one);
            };
            turned_away = self.waiting.remove(place);
        }
        self.waiting.push_back((from, one));
        turned_away.map(|(_, one)| one)
    }

    /// The place of who makes room for one from there: the last that came from the site that has most. None, if that site would have no
    /// more than this one then.
    fn makes_room(&self, from: IpAddr) -> Option<usize> {
        let mut sites: HashMap<IpAddr, (usize, usize)> = HashMap::new();
        for (place, (source, _)) in self.waiting.iter().enumerate() {
            let (count, last) = sites.entry(site(*source)).or_default();
            (*count, *last) = (*count + 1, place);
        }
        let own = sites.get(&site(from)).map_or(0, |(count, _)| *count);
        let (most, last) = sites.into_values().max()?;
        (most > own + 1).then_some(last)
    }

    fn next(&mut self, now: Instant) -> Option<(T, Place)> {
        if self.used > now + AHEAD {
            return None;
        }
        let (_, next) = self.waiting.pop_front()?;
        self.used = self.used.max(now) + HANDSHAKE_EVERY;
        if self.under_way.len() >= HANDSHAKES {
            self.under_way.retain(|it| !it.is_closed());
        }
        if self.under_way.len() >= HANDSHAKES {
            // Dropped, it is given up.
            self.under_way.pop_front();
        }
        let (under_way, place) = oneshot::channel();
        self.under_way.push_back(under_way);
        Some((next, Place(place)))
    }

    fn due(&self) -> Option<Instant> {
        let any = !self.waiting.is_empty();
        any.then(|| self.used.checked_sub(AHEAD).unwrap_or(self.used))
    }
}

impl Place {
    /// Waits until it is needed for somebody else.
    pub(crate) async fn is_taken_away(&mut self) {
        // Nobody says anything by it.
        let _ = (&mut self.0).await;
    }
}

/// What is counted as one address: of IPv6 the /64, which is one customer's.
pub(crate) fn source(from: IpAddr) -> IpAddr {
    network(from.to_canonical(), 64)
}

/// What one customer may have of such: of IPv6 a /48, which is what larger ones have.
fn site(source: IpAddr) -> IpAddr {
    network(source, 48)
}

/// The network of an IPv6 address that has such a prefix.
fn network(from: IpAddr, prefix: u32) -> IpAddr {
    match from {
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) & (u128::MAX << (128 - prefix))).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    /// All whose turn it is now.
    fn all(handshakes: &mut Handshakes<u32>, now: Instant) -> Vec<(u32, Place)> {
        std::iter::from_fn(|| handshakes.next(now)).collect()
    }

    fn numbers(begun: &[(u32, Place)]) -> Vec<u32> {
        begun.iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn strangers_have_a_pace_each_source_its_turn_and_insides_wait_behind_none_of_them() {
        let begun = Instant::now();
        let mut handshakes = Handshakes::new(begun);
        assert_eq!(handshakes.due(), None);
        for number in 0..100 {
            assert_eq!(handshakes.comes(at(number), false, number), None);
        }
        assert_eq!(
            handshakes.comes(at(99), false, 100),
            Some(100),
            "it has a turn already"
        );
        let at_once = all(&mut handshakes, begun);
        let burst = HANDSHAKES_AFTER_PAUSE + 1;
        assert_eq!(numbers(&at_once), (0..burst).collect::<Vec<_>>());
        // Source 0 comes again, and has its turn behind the others that wait.
        assert_eq!(handshakes.comes(at(0), false, 100), None);
        assert_eq!(handshakes.comes(at(1_000), true, 1_000), None);
        assert!(handshakes.due().is_some_and(|due| due <= begun));
        assert_eq!(numbers(&all(&mut handshakes, begun)), [1_000]);
        let (mut now, mut order) = (begun, Vec::new());
        while let Some(due) = handshakes.due() {
            now = due;
            order.extend(numbers(&all(&mut handshakes, now)));
        }
        assert_eq!(order, (burst..=100).collect::<Vec<_>>());
        let took = now - begun;
        assert_eq!(took, HANDSHAKE_EVERY * (101 - burst));
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let mut handshakes = Handshakes::new(Instant::now());
        let most = u32::try_from(HANDSHAKES_WAITING).unwrap();
        let back = (0..most + 10).filter_map(|number| handshakes.comes(at(number), false, number));
        assert_eq!(back.count(), 10);
    }

    #[test]
    fn a_network_of_many_sources_keeps_nobody_else_out() {
        let mut handshakes = Handshakes::new(Instant::now());
        let of_network = |number: u32| {
            let source = (0x2001_0db8_0000_u128 << 80) | (u128::from(number) << 64);
            IpAddr::from(Ipv6Addr::from(source))
        };
        let most = u32::try_from(HANDSHAKES_WAITING).unwrap();
        for number in 0..most {
            assert_eq!(handshakes.comes(of_network(number), false, number), None);
        }
        let from = |number| handshakes.of_strangers.makes_room(of_network(number));
        assert_eq!(from(most), None);
        for number in 1..=3 {
            let turned_away = handshakes.comes(at(number), false, 1_000 + number);
            assert_eq!(turned_away, Some(most - number), "the last that came");
        }
        assert_eq!(handshakes.of_strangers.waiting.len(), HANDSHAKES_WAITING);
        let last: Vec<_> = handshakes
            .of_strangers
            .waiting
            .iter()
            .rev()
            .take(3)
            .collect();
        assert!(last.iter().all(|(_, number)| *number > 1_000));
    }

    #[tokio::test]
    async fn who_takes_long_makes_room_and_whose_handshake_is_over_has_no_place() {
        let mut now = Instant::now();
        let mut handshakes = Handshakes::new(now);
        let mut begin = |handshakes: &mut Handshakes<u32>| {
            now += HANDSHAKE_EVERY;
            assert_eq!(handshakes.comes(at(1), false, 1), None);
            handshakes.next(now).unwrap().1
        };
        let mut places: VecDeque<_> = (0..HANDSHAKES).map(|_| begin(&mut handshakes)).collect();
        drop(places.remove(1));
        places.push_back(begin(&mut handshakes));
        assert!(
            places
                .iter_mut()
                .all(|place| place.0.try_recv() == Err(oneshot::error::TryRecvError::Empty))
        );
        places.push_back(begin(&mut handshakes));
        places.pop_front().unwrap().is_taken_away().await;
        assert_eq!(places.len(), HANDSHAKES);
        assert!(
            places
                .iter_mut()
                .all(|place| place.0.try_recv() == Err(oneshot::error::TryRecvError::Empty))
        );
        assert_eq!(handshakes.of_strangers.under_way.len(), HANDSHAKES);
    }

    #[test]
    fn the_addresses_of_one_customer_are_one() {
        let mut handshakes = Handshakes::new(Instant::now());
        let mut waits = |from: &str| handshakes.comes(from.parse().unwrap(), false, ()).is_none();
        assert!(waits("2001:db8::1"));
        assert!(!waits("2001:db8::ffff:0:0:1"));
        assert!(waits("2001:db8:0:1::1"));
        assert!(waits("192.0.2.1"));
        assert!(!waits("::ffff:192.0.2.1"));
        assert!(waits("192.0.2.2"));
    }
}
