//! What is to happen, ordered by time and, at the same time, by when it was put there.

use std::collections::BTreeMap;
use std::time::Instant;

/// Most events that wait. A world that queues more is out of control and is stopped.
const MOST_EVENTS: usize = 4_000_000;

/// Names an event that waits.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Ticket(Instant, u64);

/// Events that wait for their time.
#[derive(Clone, Debug)]
pub struct Queue<E> {
    events: BTreeMap<Ticket, E>,
    /// Events so far.
    count: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            events: BTreeMap::new(),
            count: 0,
        }
    }
}

impl<E> Queue<E> {
    /// Lets `event` happen at `at`, after all others of that time.
    ///
    /// # Panics
    /// If four million events wait.
    pub fn push(&mut self, at: Instant, event: E) -> Ticket {
        assert!(
            self.events.len() < MOST_EVENTS,
            "more than {MOST_EVENTS} events wait: the world is out of control"
        );
        self.count += 1;
        let ticket = Ticket(at, self.count);
        self.events.insert(ticket, event);
        ticket
    }

    /// Takes an event back; `None` if it has happened.
    pub fn cancel(&mut self, ticket: Ticket) -> Option<E> {
        self.events.remove(&ticket)
    }

    /// The time of the next event.
    pub fn next(&self) -> Option<Instant> {
        self.events.first_key_value().map(|(Ticket(at, _), _)| *at)
    }

    /// The next event whose time has come.
    pub fn pop(&mut self, now: Instant) -> Option<E> {
        let first = self.events.first_entry()?;
        let Ticket(at, _) = *first.key();
        (at <= now).then(|| first.remove())
    }

    /// The next event, whenever its time comes.
    pub fn take(&mut self) -> Option<E> {
        self.events.pop_first().map(|(_, event)| event)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Does none wait?
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}
