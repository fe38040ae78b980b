//! First packets at an edge: whoever sends one is a stranger until its key is seen, and each is work for keys, also where all that comes of it
//! is a Retry. So they have a pace before QUIC sees them; addresses from which an inside has come have as much for themselves.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::handshakes::source;
use crate::limits::{FIRST_PACKET_EVERY, FIRST_PACKETS};

/// What may be used ahead of the pace after a pause.
const AHEAD: Duration = FIRST_PACKET_EVERY.saturating_mul(FIRST_PACKETS);

/// Addresses that are remembered since an inside came from there. One more takes the place of the one from which none has come for
/// longest.
const REMEMBERED: usize = 64;

/// What an edge knows of those who dial it, before QUIC knows anything.
#[derive(Debug)]
pub(crate) struct FirstPackets {
    state: Mutex<State>,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct State {
    of_insides: Pace,
    of_strangers: Pace,
    /// The one from which an inside came last is last.
    insides: VecDeque<IpAddr>,
}

/// Those that were let through would take until then at the pace that there is.
#[derive(Debug)]
struct Pace(Instant);

impl FirstPackets {
    pub(crate) fn new(now: Instant) -> Self {
        let state = State {
            of_insides: Pace(now),
            of_strangers: Pace(now),
            insides: VecDeque::new(),
        };
        Self {
            state: Mutex::new(state),
            dropped: AtomicU64::new(0),
        }
    }

    /// Whether so many packets that came from there, all like this one, go on to QUIC. What is no first packet does: a connection that is
    /// there sends short headers (RFC 9000 §17.3), and long ones (§17.2) before that.
    pub(crate) fn lets_in(&self, packet: &[u8], count: u32, from: IpAddr, now: Instant) -> bool {
        let has_long_header = packet.first().is_some_and(|first| first & 0x80 != 0);
        if !has_long_header {
            return true;
        }
        let mut state = self.state();
        let pace = if state.insides.contains(&source(from)) {
            &mut state.of_insides
        } else {
            &mut state.of_strangers
        };
        let goes_on = pace.takes(count, now);
        drop(state);
        if !goes_on {
            self.dropped.fetch_add(count.into(), Ordering::Relaxed);
        }
        goes_on
    }

    /// How many did not go on, since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// An inside has come from there.
    pub(crate) fn is_of_inside(&self, from: IpAddr) {
        let (from, mut state) = (source(from), self.state());
        state.insides.retain(|known| *known != from);
        if state.insides.len() >= REMEMBERED {
            state.insides.pop_front();
        }
        state.insides.push_back(from);
    }

    /// Whether one has come from there.
    pub(crate) fn knows(&self, from: IpAddr) -> bool {
        self.state().insides.contains(&source(from))
    }

    /// Held for a look-up only.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    fn takes(&mut self, count: u32, now: Instant) -> bool {
        let goes_on = self.0 <= now + AHEAD;
        if goes_on {
            self.0 = self.0.max(now) + FIRST_PACKET_EVERY * count;
        }
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &[u8] = &[0xc0, 0, 0, 0, 1];
    const SHORT: &[u8] = &[0x40];

    fn at(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn first_packets_have_a_pace_and_what_tunnels_say_has_none() {
        let begun = Instant::now();
        let first = FirstPackets::new(begun);
        first.is_of_inside(at(1_000));
        let at_once = FIRST_PACKETS as usize + 1;
        let come = |from, now| {
            (0..1_000)
                .filter(|_| first.lets_in(LONG, 1, at(from), now))
                .count()
        };
        assert_eq!(come(1, begun), at_once);
        assert_eq!(first.dropped(), 1_000 - u64::from(FIRST_PACKETS) - 1);
        assert_eq!(
            come(1_000, begun),
            at_once,
            "an inside waits behind none of them"
        );
        assert!(first.lets_in(SHORT, 1, at(1), begun));
        assert!(first.lets_in(&[], 1, at(1), begun));
        let each = |ms| come(1, begun + Duration::from_millis(ms));
        assert_eq!((1..=1_000).map(each).sum::<usize>(), 20_000);
        let later = begun + Duration::from_secs(2);
        assert!(first.lets_in(LONG, 64, at(1), later), "what came together");
        assert!(first.lets_in(LONG, 64, at(2), later));
        assert!(first.lets_in(LONG, 1, at(2), later));
        assert!(!first.lets_in(LONG, 1, at(2), later));
    }

    #[test]
    fn of_too_many_insides_the_one_that_came_longest_ago_is_a_stranger() {
        let first = FirstPackets::new(Instant::now());
        let most = u32::try_from(REMEMBERED).unwrap();
        for number in 0..most {
            first.is_of_inside(at(number));
        }
        first.is_of_inside(at(0));
        first.is_of_inside(at(most));
        assert_eq!(first.state().insides.len(), REMEMBERED);
        let known = [0, 1, 2, most].map(|number| first.knows(at(number)));
        assert_eq!(known, [true, false, true, true]);
    }
}
