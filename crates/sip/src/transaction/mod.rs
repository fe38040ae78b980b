//! Transactions (RFC 3261 §17, with RFC 6026 and RFC 4320): one request and its responses, repeated until they
//! arrive. Each machine is told what happened and writes to [`Wire`]; what it means is the endpoint's affair.

pub(crate) mod answered;
pub(crate) mod branch;
pub(crate) mod by_flow;
pub(crate) mod client;
pub(crate) mod derived;
pub(crate) mod matching;
pub(crate) mod server;
mod slab;
mod timers;

use std::collections::VecDeque;

use bytes::Bytes;

pub(crate) use slab::{Key, Slab};
pub use timers::Timers;
pub(crate) use timers::{Span, TimerId, TimerQueues};

use crate::endpoint::{Flow, Transmit};

/// Whom a timer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Client(Key, client::Timer),
    Server(Key, server::Timer),
    /// The guard of a response context.
    Context(Key),
}

/// What every machine writes to: the messages to send, in order, and the timers.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) timers: TimerQueues<Due>,
    pub(crate) out: VecDeque<Transmit>,
}

impl Wire {
    pub(crate) fn new(timers: &Timers) -> Self {
        Self {
            timers: TimerQueues::new(timers),
            out: VecDeque::new(),
        }
    }

    pub(crate) fn send(&mut self, flow: Flow, bytes: &Bytes) {
        let bytes = bytes.clone();
        self.out.push_back(Transmit { flow, bytes });
    }
}
