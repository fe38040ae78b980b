//! A simulated phone in the world: its connections, and where it is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use domain::device::SealingKey;
use push::seal::KeyPair;
use sip::endpoint::Flow;
use sip::{Limits, Message};

use crate::phone::machine::{
    ConnectionId, Input, Link, Order, OrderId, Output, Phone, Word, WordId,
};
use crate::phone::{PhoneConfig, PhoneEvent};
use crate::sim::{Arrival, Network};

/// Ports that one installation of an app may use up.
const INSTALLATION: u64 = 1_000;

/// What became of what a phone said.
#[derive(Default)]
pub(super) struct Performed {
    /// Where it is heard from now on as well.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) events: Vec<PhoneEvent>,
    /// What it has to say to the device API.
    pub(super) told: Vec<(WordId, Word)>,
}

pub(super) struct Handset {
    pub(super) phone: Phone,
    /// The public half of its key.
    key: Option<SealingKey>,
    /// Connections of the installations before this one.
    ports: u64,
    number: u32,
    orders: u64,
    links: BTreeMap<ConnectionId, Flow>,
}

impl Handset {
    pub(super) fn new(now: Instant, number: u32, config: PhoneConfig, seed: u64) -> Self {
        Self {
            key: config.keys.as_ref().map(KeyPair::public),
            ports: 0,
            phone: Phone::new(now, Arc::new(config), seed),
            number,
            orders: 0,
            links: BTreeMap::new(),
        }
    }

    /// Another installation of the app takes its place.
    pub(super) fn replace(&mut self, now: Instant, config: PhoneConfig, seed: u64) {
        let (number, orders) = (self.number, self.orders);
        let ports = self.ports + INSTALLATION;
        *self = Self::new(now, number, config, seed);
        (self.orders, self.ports) = (orders, ports);
    }

    pub(super) fn key(&self) -> Option<&SealingKey> {
        self.key.as_ref()
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
        let port = 40_000 + u16::try_from((self.ports + connection.0) % 20_000).unwrap_or_default();
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, b, c, d)), port)
    }

    /// Does what the phone says. `cut_off`: no network takes anything from it.
    pub(super) fn perform(
        &mut self,
        now: Instant,
        network: &mut Network,
        cut_off: bool,
    ) -> Performed {
        let mut done = Performed::default();
        while let Some(output) = self.phone.poll() {
            match output {
                Output::Connect { connection } if cut_off => {
                    let why = "no network".to_owned();
                    let link = Link::NotOpened { connection, why };
                    self.phone.handle(now, Input::Link(link));
                }
                Output::Connect { connection } => {
                    let (transport, server) = self.phone.config().server;
                    let from = self.next_address(connection);
                    let flow = network.connect(now, transport, from, server);
                    self.links.insert(connection, flow);
                    done.addresses.push(from);
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
                Output::Transmit(transmit) if !cut_off => network.send(now, transmit),
                Output::Event(event) => done.events.push(event),
                Output::Tell { id, word } => done.told.push((id, word)),
                // Whoever orders does not wait.
                Output::Transmit(_) | Output::Done { .. } => {}
            }
        }
        done
    }
}
