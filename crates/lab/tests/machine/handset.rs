//! A phone of the world, and what became of what it was told to do.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::phone::machine::{ConnectionId, Done, Input, Link, Order, OrderId, Output, Phone, Word};
use lab::phone::{PhoneConfig, PhoneError, PhoneEvent};
use lab::sim::{Arrival, Network};
use sip::endpoint::Flow;
use sip::{Limits, Message};

pub struct Handset {
    pub phone: Phone,
    /// What was seen of it, with the time since the world began.
    pub events: Vec<(Duration, PhoneEvent)>,
    /// What the device API was told.
    pub words: Vec<Word>,
    /// What the device API says; nothing while it is slow.
    pub api_says: Option<Result<(), String>>,
    waiting: VecDeque<Input>,
    orders: u64,
    done: BTreeMap<OrderId, Result<Done, PhoneError>>,
    number: u32,
    links: BTreeMap<ConnectionId, Flow>,
}

impl Handset {
    pub fn new(now: Instant, number: u32, config: PhoneConfig) -> Self {
        Self {
            phone: Phone::new(now, Arc::new(config), u64::from(number)),
            events: Vec::new(),
            words: Vec::new(),
            api_says: Some(Ok(())),
            waiting: VecDeque::new(),
            orders: 0,
            done: BTreeMap::new(),
            number,
            links: BTreeMap::new(),
        }
    }

    pub fn order(&mut self, now: Instant, order: Order) -> OrderId {
        self.orders += 1;
        let id = OrderId(self.orders);
        self.phone.handle(now, Input::Order { id, order });
        id
    }

    /// What came of an order, once.
    pub fn outcome(&mut self, order: OrderId) -> Option<Result<Done, PhoneError>> {
        self.done.remove(&order)
    }

    /// Of so many orders nothing came, nor was asked.
    pub fn unanswered(&self) -> u64 {
        self.orders - self.done.len() as u64
    }

    /// The device API says what it owes, now that it says something.
    pub fn api_answers(&mut self, now: Instant) {
        while let (Some(Input::Told { word, .. }), Some(result)) =
            (self.waiting.front(), &self.api_says)
        {
            let (word, result) = (*word, result.clone());
            self.waiting.pop_front();
            self.phone.handle(now, Input::Told { word, result });
        }
    }

    pub fn arrived(&mut self, now: Instant, arrival: Arrival) {
        let link = match arrival {
            Arrival::Message { flow, bytes } => Link::Received {
                flow,
                message: Message::parse(bytes, &Limits::default()).unwrap(),
            },
            Arrival::Closed { flow } => Link::Closed { flow },
        };
        self.phone.handle(now, Input::Link(link));
    }

    /// Every connection comes from another port, in another network from another address.
    fn next_address(&self, connection: ConnectionId) -> SocketAddr {
        let [_, b, c, d] = self.number.to_be_bytes();
        let port = 40_000 + u16::try_from(connection.0).unwrap();
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, b, c, d)), port)
    }

    /// Does what the phone says; gives the addresses that it has now.
    pub fn perform(
        &mut self,
        now: Instant,
        since: Duration,
        network: &mut Network,
    ) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        loop {
            self.api_answers(now);
            let Some(output) = self.phone.poll() else {
                return addresses;
            };
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
                    network.close(now, self.links.remove(&connection).unwrap());
                }
                Output::Abandon { connection } => {
                    network.vanish(self.links.remove(&connection).unwrap());
                }
                Output::Transmit(transmit) => network.send(now, transmit),
                Output::Chat(output) => panic!("no phone has an XMPP door here: {output:?}"),
                Output::Tell { id, word } => {
                    self.words.push(word);
                    let result = Ok(());
                    self.waiting.push_back(Input::Told { word: id, result });
                }
                Output::Done { order, result } => {
                    assert!(self.done.insert(order, result).is_none(), "answered twice");
                }
                Output::Event(event) => self.events.push((since, event)),
            }
        }
    }
}
