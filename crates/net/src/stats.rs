//! Counters of the sockets, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters, as [`crate::Net::stats`] gives them: totals since the start, unless they say otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages received and parsed.
    pub received: u64,
    /// Messages handed to the kernel.
    pub sent: u64,
    /// Messages that could not be parsed.
    pub malformed: u64,
    /// Connections accepted and kept.
    pub accepted: u64,
    /// Connections turned away because of a limit.
    pub refused: u64,
    /// Connections and datagrams turned away because their source is banned.
    pub banned: u64,
    /// Datagrams of strangers dropped unread: more come than can be looked at.
    pub shed: u64,
    /// Connections closed, by us or by their peer, before what that owed had come: a handshake, a first message, the rest of one, a
    /// sign-in.
    pub silent: u64,
    /// Connections open now, accepted and outgoing.
    pub open: usize,
    /// Datagrams and queued messages dropped because a queue was full or a send failed.
    pub dropped: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
    pub(crate) malformed: Counter,
    pub(crate) accepted: Counter,
    pub(crate) refused: Counter,
    pub(crate) banned: Counter,
    pub(crate) shed: Counter,
    pub(crate) silent: Counter,
    pub(crate) dropped: Counter,
}

impl Counters {
    pub(crate) fn snapshot(&self, open: usize) -> Stats {
        Stats {
            received: self.received.get(),
            sent: self.sent.get(),
            malformed: self.malformed.get(),
            accepted: self.accepted.get(),
            refused: self.refused.get(),
            banned: self.banned.get(),
            shed: self.shed.get(),
            silent: self.silent.get(),
            open,
            dropped: self.dropped.get(),
        }
    }
}

#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
