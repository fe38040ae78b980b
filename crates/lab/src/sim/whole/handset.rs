//! A simulated phone in the world: its connections, and where it is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use sip::endpoint::Flow;
use sip::{Limits, Message};

use crate::phone::machine::{ConnectionId, Input, Link, Order, OrderId, Output, Phone};
use crate::phone::{PhoneConfig, PhoneEvent};
use crate::sim::{Arrival, Network};

pub(super) struct Handset {
    pub(super) phone: Phone,
    number: u32,
    orders: u64,
    links: BTreeMap<ConnectionId, Flow>,
}

impl Handset {
    pub(super) fn new(now: Instant, number: u32, config: PhoneConfig, seed: u64) -> Self {
        Self {
            phone: Phone::new(now, Arc::new(config), seed),
            number,
            orders: 0,
            links: BTreeMap::new(),
        }
    }

    pub(super) fn order(&mut self, now: Instant, order: Order) {
        self.orders += 1;
        let id = OrderId(self.orders);
        self.phone.handle(now, Input::Order { id, order });
    }

    pub(super) fn arrived(&mut self, now: Instant, arrival: Arrival) {
        let link = match arrival {
            Arrival::Message { flow, bytes } => {
                let Ok(message) = Message::parse(bytes, &Limits::default()) else {
                    return;
                };
                Link::Received { flow, message }
            }
            Arrival::Closed { flow } => Link::Closed { flow },
        };
        self.phone.handle(now, Input::Link(link));
    }

    /// Every connection comes from another port.
    fn next_address(&self, connection: ConnectionId) -> SocketAddr {
        let [_, b, c, d] = self.number.to_be_bytes();
        let port = 40_000 + u16::try_from(connection.0 % 20_000).unwrap_or_default();
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, b, c, d)), port)
    }

    /// Does what the phone says; gives the addresses that are new, and what was seen of it.
    pub(super) fn perform(
        &mut self,
        now: Instant,
        network: &mut Network,
    ) -> (Vec<SocketAddr>, Vec<PhoneEvent>) {
        let (mut addresses, mut events) = (Vec::new(), Vec::new());
        while let Some(output) = self.phone.poll() {
            match output {
                Output::Connect { connection } => {
                    let (transport, server) = self.phone.config().server;
                    let from = self.next_address(connection);
                    let flow = network.connect(now, transport, from, server);
                    self.links.insert(connection, flow);
                    addresses.push(from);
                    let opened = Link::Opened { connection, flow };
                    self.phone.handle(now, Input::Link(opened));
                }
                Output::Close { connection } => {
                    if let Some(flow) = self.links.remove(&connection) {
                        network.close(now, flow);
                    }
                }
                Output::Abandon { connection } => {
                    if let Some(flow) = self.links.remove(&connection) {
                        network.vanish(flow);
                    }
                }
                Output::Transmit(transmit) => network.send(now, transmit),
                Output::Event(event) => events.push(event),
                // These phones have no device API, and whoever orders does not wait.
                Output::Tell { .. } | Output::Done { .. } => {}
            }
        }
        (addresses, events)
    }
}
