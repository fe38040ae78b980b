//! A simulated phone in the world: its connections, and where it is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use domain::device::SealingKey;
use push::seal::KeyPair;
use sip::endpoint::{Flow, Transmit, Transport};
use sip::{Limits, Message};

use crate::phone::chat::{self, StreamNumber};
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
    /// Connections for XMPP.
    chats: BTreeMap<StreamNumber, Flow>,
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
            chats: BTreeMap::new(),
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

    /// Its connections for XMPP.
    pub(super) fn streams(&self) -> impl Iterator<Item = Flow> {
        self.chats.values().copied()
    }

    pub(super) fn order(&mut self, now: Instant, order: Order) {
        self.orders += 1;
        let id = OrderId(self.orders);
        self.phone.handle(now, Input::Order { id, order });
    }

    pub(super) fn arrived(&mut self, now: Instant, arrival: Arrival) {
        let (Arrival::Message { flow, .. } | Arrival::Closed { flow }) = &arrival;
        let mut chats = self.chats.iter();
        if let Some((number, _)) = chats.find(|(_, own)| *own == flow) {
            let link = match arrival {
                Arrival::Message { bytes, .. } => chat::Link::Received(*number, bytes),
                Arrival::Closed { .. } => chat::Link::Closed(*number),
            };
            return self.phone.handle(now, Input::Chat(link));
        }
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

    /// A phone that registers over TLS is inside and outside in turn, from each side with two connections: so it moves either way, and
    /// comes back on either.
    fn is_outside(&self, transport: Transport, connection: ConnectionId) -> bool {
        let registers = self.phone.config().registers;
        registers && transport == Transport::Tls && !(connection.0 / 2).is_multiple_of(2)
    }

    /// Every connection comes from another port.
    fn next_address(&self, first: u16, connection: u64) -> SocketAddr {
        let [_, b, c, d] = self.number.to_be_bytes();
        let port = first + u16::try_from((self.ports + connection) % 20_000).unwrap_or_default();
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, b, c, d)), port)
    }

    /// Does what its XMPP client says; gives its new address, if it has one.
    fn chat(
        &mut self,
        now: Instant,
        output: chat::Output,
        network: &mut Network,
        cut_off: bool,
    ) -> Option<SocketAddr> {
        match output {
            chat::Output::Connect(number) if cut_off => {
                let link = chat::Link::NotOpened(number, "no network".to_owned());
                self.phone.handle(now, Input::Chat(link));
            }
            chat::Output::Connect(number) => {
                let server = self.phone.config().xmpp.as_ref()?.server;
                let from = self.next_address(20_000, number.0);
                let flow = network.connect(now, Transport::Tls, from, server);
                self.chats.insert(number, flow);
                let opened = Input::Chat(chat::Link::Opened(number));
                self.phone.handle(now, opened);
                return Some(from);
            }
            chat::Output::Write(number, bytes) => {
                if let Some(flow) = self.chats.get(&number).copied().filter(|_| !cut_off) {
                    network.send(now, Transmit { flow, bytes });
                }
            }
            chat::Output::Close(number) => {
                if let Some(flow) = self.chats.remove(&number) {
                    network.close(now, flow);
                }
            }
            chat::Output::Abandon(number) => {
                if let Some(flow) = self.chats.remove(&number) {
                    network.vanish(flow);
                }
            }
            // The machine has put it into its own words.
            chat::Output::Event(_) => {}
        }
        None
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
                    let from = self.next_address(40_000, connection.0);
                    let flow = if self.is_outside(transport, connection) {
                        network.connect_by_edge(now, from, server)
                    } else {
                        network.connect(now, transport, from, server)
                    };
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
                Output::Chat(output) => {
                    let address = self.chat(now, output, network, cut_off);
                    done.addresses.extend(address);
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
