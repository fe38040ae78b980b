//! Requests other than INVITE that have been answered over datagrams. All that is left to do is to give the same
//! answer to a repetition for `64*T1` (RFC 3261 §17.2.2, timer J), so all that is kept is the answer. As the time is
//! the same for all, they stand in one queue, and none has a timer of its own.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Wire;
use super::matching::AlreadyHashed;
use crate::Flow;

/// What is over is looked for so often; until then it is kept, which harms nobody.
const SWEEP: Duration = Duration::from_secs(1);

/// Room for so many is not given back.
const ROOM: usize = 1024;

/// What one of them takes beside its answer.
const OVERHEAD: usize = size_of::<Entry>() + 2 * size_of::<(u64, u64)>();

#[derive(Debug)]
struct Entry {
    /// Under which the request is matched.
    index: u64,
    until: Instant,
    flow: Flow,
    response: Box<[u8]>,
}

/// The queue, oldest first, and where in it each request stands.
#[derive(Debug)]
pub(crate) struct Answered {
    queue: VecDeque<Entry>,
    /// Number of the first entry: numbers count up, so a place in the queue is told by a number that stays.
    first: u64,
    numbers: HashMap<u64, u64, BuildHasherDefault<AlreadyHashed>>,
    octets: usize,
    most_octets: usize,
}

impl Answered {
    pub(crate) fn new(most_octets: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            first: 0,
            numbers: HashMap::default(),
            octets: 0,
            most_octets,
        }
    }

    /// Keeps an answer; when there is no room, the oldest ones go before their time.
    pub(crate) fn keep(&mut self, until: Instant, index: u64, flow: Flow, response: &[u8]) {
        self.octets += response.len() + OVERHEAD;
        self.numbers
            .insert(index, self.first + self.queue.len() as u64);
        self.queue.push_back(Entry {
            index,
            until,
            flow,
            response: response.into(),
        });
        while self.octets > self.most_octets {
            self.forget_first();
        }
    }

    /// If the request is one of these, it came again: it gets the same answer.
    pub(crate) fn repeat(&self, index: u64, wire: &mut Wire) -> bool {
        let Some(number) = self.numbers.get(&index) else {
            return false;
        };
        let place = usize::try_from(number - self.first).ok();
        if let Some(entry) = place.and_then(|place| self.queue.get(place)) {
            wire.send(entry.flow, &Bytes::copy_from_slice(&entry.response));
        }
        true
    }

    /// When there is something to forget.
    pub(crate) fn next(&self) -> Option<Instant> {
        Some(self.queue.front()?.until + SWEEP)
    }

    pub(crate) fn forget(&mut self, now: Instant) {
        while self.queue.front().is_some_and(|entry| entry.until <= now) {
            self.forget_first();
        }
        // Nor is room kept for a rush that is over.
        let room = 2 * self.queue.len().max(ROOM);
        if self.queue.capacity() > 2 * room {
            self.queue.shrink_to(room);
            self.numbers.shrink_to(room);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    fn forget_first(&mut self) {
        let Some(entry) = self.queue.pop_front() else {
            return;
        };
        self.octets -= entry.response.len() + OVERHEAD;
        if self.numbers.get(&entry.index) == Some(&self.first) {
            self.numbers.remove(&entry.index);
        }
        self.first += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Transport;

    #[test]
    fn room_for_a_rush_is_given_back_and_what_came_after_it_is_still_answered() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let start = Instant::now();
        let flow = Flow {
            transport: Transport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "192.0.2.2:5060".parse().unwrap(),
            id: 0,
        };
        let mut answered = Answered::new(usize::MAX);
        let later = start + Duration::from_secs(32);
        for index in 0..10_000 {
            answered.keep(start, index, flow, b"early");
        }
        answered.keep(later, 10_000, flow, b"late");
        answered.forget(start);
        assert_eq!(answered.len(), 1);
        assert!(answered.queue.capacity() <= 4 * ROOM);
        assert!(answered.numbers.capacity() <= 4 * ROOM);
        let mut wire = Wire::new(&super::super::Timers::default());
        assert!(!answered.repeat(7, &mut wire));
        assert!(answered.repeat(10_000, &mut wire));
        assert_eq!(&wire.out[0].bytes[..], b"late");
    }
}
