//! Streams: in order, until they break.

use std::net::SocketAddr;
use std::time::Instant;

use sip::endpoint::{Flow, Transport};

/// A stream. End 0 dialled, end 1 took it.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// As each end sees it.
    transports: [Transport; 2],
    ends: [SocketAddr; 2],
    /// Which ends take it for open.
    pub(super) open: [bool; 2],
    /// When the last thing arrives at each end; nothing comes before it.
    pub(super) last: [Instant; 2],
    /// What is sent arrives.
    pub(super) carries: bool,
}

impl Stream {
    /// A stream that is open from `opened` on, if somebody takes it.
    pub(super) fn new(
        transports: [Transport; 2],
        ends: [SocketAddr; 2],
        opened: Instant,
        taken: bool,
    ) -> Self {
        Self {
            transports,
            ends,
            open: [true, taken],
            last: [opened; 2],
            carries: taken,
        }
    }

    /// The stream as one end sees it.
    pub(super) fn flow(&self, number: u64, side: usize) -> Flow {
        Flow {
            transport: self.transports[side],
            local: self.ends[side],
            remote: self.ends[1 - side],
            id: 2 * number + side as u64,
        }
    }

    /// The end at this address, if it takes the stream for open.
    pub(super) fn side_of(&self, address: SocketAddr) -> Option<usize> {
        (0..2).find(|side| self.ends[*side] == address && self.open[*side])
    }
}
