//! What every transaction writes to, and whom a timer belongs to.

use std::collections::VecDeque;

use bytes::Bytes;

use super::slab::Key;
use super::timers::{TimerQueues, Timers};
use crate::Flow;
use crate::transport::Transmit;

/// The timers of a client transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientTimer {
    /// A or E: send the request again.
    Repeat,
    /// B, F: nobody answered. D, K, M: the transaction is over.
    End,
    /// C: it rings too long.
    Ringing,
    /// Send the CANCEL again (its own timer E).
    RepeatCancel,
    /// The CANCEL did not help (RFC 3261 §9.1).
    CancelEnd,
}

/// The timers of a server transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerTimer {
    /// G, or the repetition of our own 2xx (RFC 3261 §13.3.1.4): send the final response again.
    Repeat,
    /// H, I, J, L, or the end of a non-INVITE that nobody answered.
    End,
    /// A `100` to a non-INVITE is owed (RFC 4320 §4.1).
    Trying,
}

/// Whom a timer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Client(Key, ClientTimer),
    Server(Key, ServerTimer),
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
