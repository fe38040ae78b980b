//! A virtual network: datagrams that are late, lost, doubled or overtaken, and streams that break, sometimes without a
//! word. It takes whole messages, as [`sip::endpoint::Endpoint`] sends them; framing is `net`'s affair.

mod plan;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::{Flow, Transmit, Transport};

use super::Queue;
use crate::rng::Rng;
use stream::Stream;

pub use plan::Plan;

/// What arrives at the address `flow.local`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// One whole message.
    Message {
        /// Over which flow, as its receiver sees it.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// The stream is over.
    Closed {
        /// Which, as its receiver sees it.
        flow: Flow,
    },
}

/// All wires of a world.
#[derive(Clone, Debug)]
pub struct Network {
    plan: Plan,
    rng: Rng,
    /// Who hears datagrams and takes streams.
    bound: BTreeSet<SocketAddr>,
    streams: BTreeMap<u64, Stream>,
    /// Streams so far.
    count: u64,
    arrivals: Queue<Arrival>,
}

impl Network {
    /// A network without anybody.
    pub fn new(plan: Plan, rng: Rng) -> Self {
        Self {
            plan,
            rng,
            bound: BTreeSet::new(),
            streams: BTreeMap::new(),
            count: 0,
            arrivals: Queue::default(),
        }
    }

    /// From now on the network is as bad as this.
    pub fn set_plan(&mut self, plan: Plan) {
        self.plan = plan;
    }

    /// Somebody listens at `address`, for datagrams and streams.
    pub fn bind(&mut self, address: SocketAddr) {
        self.bound.insert(address);
    }

    /// The process at `address` is gone: its host ends its streams, and nothing arrives there.
    pub fn unbind(&mut self, now: Instant, address: SocketAddr) {
        self.bound.remove(&address);
        let of_address = |(number, stream): (&u64, &Stream)| {
            let side = stream.side_of(address)?;
            Some(stream.flow(*number, side))
        };
        let flows: Vec<_> = self.streams.iter().filter_map(of_address).collect();
        for flow in flows {
            self.close(now, flow);
        }
    }

    /// A way from `from` to `to`. Over UDP it binds `from`. A stream takes a while to open, what is sent waits for it, and
    /// if nobody listens it closes.
    pub fn connect(
        &mut self,
        now: Instant,
        transport: Transport,
        from: SocketAddr,
        to: SocketAddr,
    ) -> Flow {
        if transport == Transport::Udp {
            self.bind(from);
            return Flow {
                transport,
                local: from,
                remote: to,
                id: 0,
            };
        }
        self.connect_stream(now, [transport; 2], from, to)
    }

    /// The same through an edge (`behaviour.md` 10): TLS to who dials, and a stream of a tunnel to who takes it.
    pub fn connect_by_edge(&mut self, now: Instant, from: SocketAddr, to: SocketAddr) -> Flow {
        self.connect_stream(now, [Transport::Tls, Transport::Edge], from, to)
    }

    fn connect_stream(
        &mut self,
        now: Instant,
        transports: [Transport; 2],
        from: SocketAddr,
        to: SocketAddr,
    ) -> Flow {
        self.count += 1;
        let opened = now + self.latency() + self.latency();
        let taken = self.bound.contains(&to);
        let stream = Stream::new(transports, [from, to], opened, taken);
        let flow = stream.flow(self.count, 0);
        self.streams.insert(self.count, stream);
        if !taken {
            self.arrivals.push(opened, Arrival::Closed { flow });
        }
        flow
    }

    /// Takes a message to the other end of its flow, if it gets there.
    pub fn send(&mut self, now: Instant, transmit: Transmit) {
        if transmit.flow.transport == Transport::Udp {
            self.send_datagram(now, transmit);
        } else {
            self.send_stream(now, transmit);
        }
    }

    /// One end closes its stream, or its socket; the other end hears of it after what was sent.
    pub fn close(&mut self, now: Instant, flow: Flow) {
        if flow.transport == Transport::Udp {
            self.bound.remove(&flow.local);
            return;
        }
        let Some((number, side)) = self.find(flow) else {
            return;
        };
        self.tell_closed(now, number, 1 - side);
        self.forget(number, side);
    }

    /// One end is out of reach: no FIN ever comes from there, and the other end sends into the void.
    pub fn vanish(&mut self, flow: Flow) {
        if flow.transport == Transport::Udp {
            self.bound.remove(&flow.local);
            return;
        }
        let Some((number, side)) = self.find(flow) else {
            return;
        };
        if let Some(stream) = self.streams.get_mut(&number) {
            stream.carries = false;
        }
        self.forget(number, side);
    }

    /// When something arrives next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.arrivals.next()
    }

    /// What has arrived.
    pub fn poll(&mut self, now: Instant) -> Option<Arrival> {
        while let Some(arrival) = self.arrivals.pop(now) {
            match &arrival {
                Arrival::Message { flow, .. } if flow.transport == Transport::Udp => {
                    if self.bound.contains(&flow.local) {
                        return Some(arrival);
                    }
                }
                // What reached a host that has closed its end is lost.
                Arrival::Message { flow, .. } => {
                    if self.find(*flow).is_some() {
                        return Some(arrival);
                    }
                }
                Arrival::Closed { flow } => {
                    if let Some((number, side)) = self.find(*flow) {
                        self.forget(number, side);
                        return Some(arrival);
                    }
                }
            }
        }
        None
    }

    /// Whether what is sent over a stream arrives: what the probes of TCP would find out.
    pub fn carries(&self, flow: Flow) -> bool {
        let stream = self.find(flow).and_then(|(it, _)| self.streams.get(&it));
        stream.is_some_and(|it| it.carries)
    }

    /// Streams that at least one end takes for open.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    fn send_datagram(&mut self, now: Instant, Transmit { flow, bytes }: Transmit) {
        if self.rng.chance(self.plan.loss) {
            return;
        }
        let flow = Flow {
            local: flow.remote,
            remote: flow.local,
            ..flow
        };
        let copies = 1 + u8::from(self.rng.chance(self.plan.duplicate));
        for _ in 0..copies {
            let at = now + self.one_way();
            let bytes = bytes.clone();
            self.arrivals.push(at, Arrival::Message { flow, bytes });
        }
    }

    /// How long a message takes, if it is not lost.
    fn one_way(&mut self) -> Duration {
        let late = if self.rng.chance(self.plan.straggle) {
            self.rng.between(Duration::ZERO, self.plan.straggle_by)
        } else {
            Duration::ZERO
        };
        self.latency() + late
    }

    fn latency(&mut self) -> Duration {
        let (least, most) = self.plan.latency;
        self.rng.between(least, most)
    }
}

/// Streams.
impl Network {
    /// The stream and the end of a flow that is open there.
    fn find(&self, flow: Flow) -> Option<(u64, usize)> {
        let (number, side) = (flow.id / 2, usize::from(flow.id % 2 == 1));
        let stream = self.streams.get(&number)?;
        stream.open[side].then_some((number, side))
    }

    fn send_stream(&mut self, now: Instant, Transmit { flow, bytes }: Transmit) {
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
    fn tell_closed(&mut self, now: Instant, number: u64, side: usize) {
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
    fn forget(&mut self, number: u64, side: usize) {
        if let Some(stream) = self.streams.get_mut(&number) {
            stream.open[side] = false;
            if stream.open == [false; 2] {
                self.streams.remove(&number);
            }
        }
    }
}
