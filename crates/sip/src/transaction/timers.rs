//! Timers. Every timer of SIP runs for one of a dozen constant times, so each of these times has its own queue, in
//! which the first in is the first due: starting, stopping and expiring cost the same whatever the number of calls.

use std::time::{Duration, Instant};

use super::slab::{Key, Slab};

/// The times that the protocol's timers are made of (RFC 3261 §17, Table 4). All are adjustable, so that a test or a
/// network with other delays can be served; the defaults are the RFC's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip estimate, 500 ms: first retransmission after it; 64 of them are the patience with a silent peer.
    pub t1: Duration,
    /// Longest interval between retransmissions of a non-INVITE request or an INVITE response, 4 s.
    pub t2: Duration,
    /// Longest time that a message stays in the network, 5 s.
    pub t4: Duration,
    /// How long a completed INVITE client transaction absorbs responses over UDP, 32 s at least (timer D).
    pub d: Duration,
    /// How long a proxied INVITE may ring without a further provisional answer: more than 3 minutes (timer C, §16.6
    /// item 11). A response context that its owner forgot is let go after the same time.
    pub c: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            d: Duration::from_secs(32),
            c: Duration::from_secs(185),
        }
    }
}

/// No timer is shorter.
const SHORTEST: Duration = Duration::from_millis(1);

/// One of the constant times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// `T1` doubled so many times, at most [`Span::LAST_DOUBLING`].
    Doubled(u8),
    T2,
    T4,
    /// `64*T1`: timers B, F, H, J, L, M.
    Patience,
    D,
    C,
    /// `7*T1`: by then timer E of the client has reached T2, and a `100` is owed (RFC 4320 §4.1).
    Trying,
}

impl Span {
    /// `32*T1`; the next one would lie beyond `64*T1` in all.
    pub(crate) const LAST_DOUBLING: u8 = 5;
    const COUNT: usize = 12;

    fn index(self) -> usize {
        match self {
            Self::Doubled(times) => usize::from(times.min(Self::LAST_DOUBLING)),
            Self::T2 => 6,
            Self::T4 => 7,
            Self::Patience => 8,
            Self::D => 9,
            Self::C => 10,
            Self::Trying => 11,
        }
    }

    fn lasts(index: usize, timers: &Timers) -> Duration {
        match index {
            6 => timers.t2,
            7 => timers.t4,
            8 => timers.t1 * 64,
            9 => timers.d,
            10 => timers.c,
            11 => timers.t1 * 7,
            doubled => timers.t1 * (1 << doubled),
        }
    }
}

/// Names a running timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimerId(Key);

#[derive(Debug)]
struct Node<O> {
    at: Instant,
    owner: O,
    queue: usize,
    before: Option<Key>,
    after: Option<Key>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Queue {
    first: Option<Key>,
    last: Option<Key>,
    lasts: Duration,
}

/// All running timers; `O` says whom each belongs to. Their number is bound by that of the transactions and
/// contexts, each of which has a few at most.
#[derive(Debug)]
pub(crate) struct TimerQueues<O> {
    queues: [Queue; Span::COUNT],
    nodes: Slab<Node<O>>,
    t1: Duration,
    t2: Duration,
}

impl<O: Copy> TimerQueues<O> {
    pub(crate) fn new(timers: &Timers) -> Self {
        let mut queues = [Queue::default(); Span::COUNT];
        for (index, queue) in queues.iter_mut().enumerate() {
            // A timer of no time would be due again as often as it is started.
            queue.lasts = Span::lasts(index, timers).max(SHORTEST);
        }
        Self {
            queues,
            nodes: Slab::new(usize::MAX),
            t1: timers.t1,
            t2: timers.t2,
        }
    }

    /// The interval before the next retransmission where T2 is the longest: `MIN(T1 doubled, T2)`.
    pub(crate) fn capped(&self, doubled: u8) -> Span {
        if doubled > Span::LAST_DOUBLING || self.t1 * (1 << doubled) >= self.t2 {
            Span::T2
        } else {
            Span::Doubled(doubled)
        }
    }

    /// How long a timer runs.
    pub(crate) fn lasts(&self, span: Span) -> Duration {
        self.queues[span.index()].lasts
    }

    /// Starts a timer. `None` only if four billion of them run.
    pub(crate) fn start(&mut self, now: Instant, span: Span, owner: O) -> Option<TimerId> {
        let index = span.index();
        let Queue { last, lasts, .. } = self.queues[index];
        let key = self.nodes.insert(Node {
            at: now + lasts,
            owner,
            queue: index,
            before: last,
            after: None,
        })?;
        match last {
            Some(last) => self.link(last, |node| node.after = Some(key)),
            None => self.queues[index].first = Some(key),
        }
        self.queues[index].last = Some(key);
        Some(TimerId(key))
    }

    /// Stops the timer, if it still runs, and forgets its name.
    pub(crate) fn stop(&mut self, timer: &mut Option<TimerId>) {
        if let Some(TimerId(key)) = timer.take() {
            self.unlink(key);
        }
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heads().map(|(at, _)| at).min()
    }

    /// Takes the earliest timer that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<O> {
        let (at, key) = self.heads().min_by_key(|(at, _)| *at)?;
        (at <= now).then(|| self.unlink(key))?
    }

    /// How many run.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    fn heads(&self) -> impl Iterator<Item = (Instant, Key)> {
        self.queues
            .iter()
            .filter_map(|queue| Some((self.nodes.get(queue.first?)?.at, queue.first?)))
    }

    fn unlink(&mut self, key: Key) -> Option<O> {
        let node = self.nodes.remove(key)?;
        match node.before {
            Some(before) => self.link(before, |other| other.after = node.after),
            None => self.queues[node.queue].first = node.after,
        }
        match node.after {
            Some(after) => self.link(after, |other| other.before = node.before),
            None => self.queues[node.queue].last = node.before,
        }
        Some(node.owner)
    }

    fn link(&mut self, key: Key, change: impl FnOnce(&mut Node<O>)) {
        if let Some(node) = self.nodes.get_mut(key) {
            change(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> (TimerQueues<&'static str>, Instant) {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        (TimerQueues::new(&Timers::default()), Instant::now())
    }

    #[test]
    fn timers_of_all_queues_expire_in_the_order_of_time() {
        let (mut timers, start) = world();
        timers.start(start, Span::Patience, "32 s");
        timers.start(start, Span::Doubled(1), "1 s");
        timers.start(start, Span::Doubled(0), "0.5 s");
        timers.start(
            start + Duration::from_millis(100),
            Span::Doubled(0),
            "0.6 s",
        );
        assert_eq!(timers.next(), Some(start + Duration::from_millis(500)));
        assert_eq!(timers.pop(start + Duration::from_millis(499)), None);
        let late = start + Duration::from_mins(1);
        let order: Vec<_> = std::iter::from_fn(|| timers.pop(late)).collect();
        assert_eq!(order, ["0.5 s", "0.6 s", "1 s", "32 s"]);
        assert_eq!((timers.len(), timers.next()), (0, None));
    }

    #[test]
    fn a_stopped_timer_never_expires_wherever_it_stands() {
        let (mut timers, start) = world();
        let mut ids: Vec<_> = ["first", "middle", "last", "left"]
            .map(|name| timers.start(start, Span::T4, name))
            .into();
        for id in &mut ids[..3] {
            timers.stop(id);
        }
        timers.stop(&mut ids[0]);
        assert_eq!(timers.pop(start + Duration::from_secs(5)), Some("left"));
        assert_eq!(timers.len(), 0);
    }

    #[test]
    fn retransmissions_grow_to_t2() {
        let (timers, _) = world();
        let spans: Vec<_> = (0..5).map(|times| timers.capped(times)).collect();
        assert_eq!(
            spans,
            [
                Span::Doubled(0),
                Span::Doubled(1),
                Span::Doubled(2),
                Span::T2,
                Span::T2
            ]
        );
    }
}
