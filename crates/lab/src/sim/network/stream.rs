//! Streams: in order, until they break.

use std::net::SocketAddr;
use std::time::Instant;

use sip::endpoint::{Flow, Transmit, Transport};

use super::{Arrival, Network};

/// A stream. End 0 dialled, end 1 took it.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    transport: Transport,
    ends: [SocketAddr; 2],
    /// Which ends take it for open.
    open: [bool; 2],
    /// When the last thing arrives at each end; nothing comes before it.
    last: [Instant; 2],
    /// What is sent arrives.
    pub(super) carries: bool,
}

impl Stream {
    /// A stream that is open from `opened` on, if somebody takes it.
    pub(super) fn new(
        transport: Transport,
        ends: [SocketAddr; 2],
        opened: Instant,
        taken: bool,
    ) -> Self {
        Self {
            transport,
            ends,
            open: [true, taken],
            last: [opened; 2],
            carries: taken,
        }
    }

    /// The stream as one end sees it.
    pub(super) fn flow(&self, number: u64, side: usize) -> Flow {
        Flow {
            transport: self.transport,
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

impl Network {
    /// The stream and the end of a flow that is open there.
    pub(super) fn find(&self, flow: Flow) -> Option<(u64, usize)> {
        let (number, side) = (flow.id / 2, usize::from(flow.id % 2 == 1));
        let stream = self.streams.get(&number)?;
        stream.open[side].then_some((number, side))
    }

    pub(super) fn send_stream(&mut self, now: Instant, Transmit { flow, bytes }: Transmit) {
        let Some((number, side)) = self.find(flow) else {
            return;
        };
        let breaks = self.rng.chance(self.plan.breaks);
        let one_way = self.one_way();
        let Some(stream) = self.streams.get_mut(&number).filter(|it| it.carries) else {
            return;
        };
        if breaks {
            return self.break_stream(now, number);
        }
        let there = 1 - side;
        let at = (now + one_way).max(stream.last[there]);
        stream.last[there] = at;
        let flow = stream.flow(number, there);
        self.arrivals.push(at, Arrival::Message { flow, bytes });
    }

    /// Something between the ends forgets the stream.
    fn break_stream(&mut self, now: Instant, number: u64) {
        let told: &[usize] = if self.rng.chance(self.plan.half_open) {
            let few: [&[usize]; 3] = [&[], &[0], &[1]];
            self.rng.pick(&few).copied().unwrap_or_default()
        } else {
            &[0, 1]
        };
        for side in told {
            self.tell_closed(now, number, *side);
        }
        if let Some(stream) = self.streams.get_mut(&number) {
            stream.carries = false;
        }
    }

    /// One end hears of the end of the stream, after what is on its way there, if anything gets through at all.
    pub(super) fn tell_closed(&mut self, now: Instant, number: u64, side: usize) {
        let latency = self.latency();
        let Some(stream) = self.streams.get_mut(&number).filter(|it| it.carries) else {
            return;
        };
        let at = (now + latency).max(stream.last[side]);
        stream.last[side] = at;
        let flow = stream.flow(number, side);
        self.arrivals.push(at, Arrival::Closed { flow });
    }

    /// One end knows that the stream is over.
    pub(super) fn forget(&mut self, number: u64, side: usize) {
        if let Some(stream) = self.streams.get_mut(&number) {
            stream.open[side] = false;
            if stream.open == [false; 2] {
                self.streams.remove(&number);
            }
        }
    }
}
