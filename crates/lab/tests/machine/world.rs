//! Phones, a network, a cloud and a server under one virtual clock.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use domain::Channel;
use lab::phone::machine::{Done, Input, Order, OrderId, Push};
use lab::phone::{PhoneConfig, PhoneError, PhoneEvent, PushService};
use lab::rng::Rng;
use lab::sim::{Alarms, Clock, Cloud, Network, Plan, Said};
use serde_json::json;
use sip::endpoint::Transport;

use crate::handset::Handset;
use crate::server::{self, Server};

/// The only phone of most worlds.
pub const BOB: usize = 0;

pub struct World {
    pub clock: Clock,
    pub network: Network,
    pub cloud: Cloud<Push>,
    pub server: Server,
    pub phones: Vec<Handset>,
    alarms: Alarms<usize>,
    places: BTreeMap<SocketAddr, usize>,
    pushes: u64,
}

pub fn iphone() -> PushService {
    PushService::Apns {
        team: "TEAM123456".to_owned(),
        bundle: "com.example.phone".to_owned(),
    }
}

pub fn android() -> PushService {
    PushService::Fcm {
        project: "example-droid".to_owned(),
        package: "com.example.droid".to_owned(),
    }
}

pub fn config(user: &str, transport: Transport, service: PushService, seed: u64) -> PhoneConfig {
    let server = (transport, server::address());
    let mut rng = Rng::new(seed);
    PhoneConfig::drawn(user, "wakeup", "localhost", server, service, &mut rng)
}

pub fn push(kind: &str, call: Option<&str>, channel: Channel) -> Push {
    Push::read(
        &json!({ "kind": kind, "call": call, "tracking": "t" }),
        Some(channel),
        |_| None,
    )
}

impl World {
    pub fn new(plan: Plan, seed: u64) -> Self {
        let clock = Clock::new(Instant::now());
        let mut network = Network::new(plan, Rng::new(seed));
        network.bind(server::address());
        Self {
            clock,
            network,
            cloud: Cloud::default(),
            server: Server::new(),
            phones: Vec::new(),
            alarms: Alarms::default(),
            places: BTreeMap::new(),
            pushes: 0,
        }
    }

    /// A world with one phone, registered over TCP, on a calm network.
    pub fn of(service: PushService) -> Self {
        Self::with(config("bob", Transport::Tcp, service, 1), Plan::CALM)
    }

    pub fn with(config: PhoneConfig, plan: Plan) -> Self {
        let mut world = Self::new(plan, 1);
        let bob = world.add(config);
        world.obeys(bob, Order::Register).unwrap();
        world
    }

    pub fn add(&mut self, config: PhoneConfig) -> usize {
        let number = u32::try_from(self.phones.len()).unwrap();
        let phone = Handset::new(self.clock.now(), number, config);
        self.phones.push(phone);
        self.phones.len() - 1
    }

    pub fn order(&mut self, who: usize, order: Order) -> OrderId {
        let id = self.phones[who].order(self.clock.now(), order);
        self.perform(who);
        id
    }

    /// Gives an order and waits for what comes of it.
    pub fn obeys(&mut self, who: usize, order: Order) -> Result<Done, PhoneError> {
        let what = format!("{order:?}");
        let id = self.order(who, order);
        let mut result = None;
        self.run_until(Duration::from_mins(2), |world| {
            result = world.phones[who].outcome(id);
            result.is_some()
        });
        result.unwrap_or_else(|| panic!("no answer to {what}"))
    }

    /// The server pushes to one of the phone's tokens, by the cloud.
    pub fn push(&mut self, who: usize, push: &Push) {
        let tokens = &self.phones[who].phone.config().tokens;
        let token = match push.channel {
            Channel::Voip => &tokens.voip,
            Channel::Message => &tokens.message,
        };
        self.pushes += 1;
        self.cloud.push(self.clock.now(), self.pushes, token, push);
    }

    /// The server pushes a call, whose INVITE leaves when the phone registers.
    pub fn call(&mut self, who: usize, call: &str) {
        let user = self.phones[who].phone.config().user.clone();
        self.server.hold(&user, call);
        self.push(who, &push("call", Some(call), Channel::Voip));
    }

    /// The server sends over the contact that it knows.
    pub fn server(&mut self, order: impl FnOnce(&mut Server, Instant)) {
        order(&mut self.server, self.clock.now());
        self.server.perform(self.clock.now(), &mut self.network);
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Runs until something holds, but for no longer than `most`; says if it held.
    pub fn run_until(&mut self, most: Duration, mut holds: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.clock.now() + most;
        loop {
            if holds(self) {
                return true;
            }
            let times = [
                self.network.next_timeout(),
                self.cloud.next_timeout(),
                self.server.next_timeout(),
                self.alarms.next(),
            ];
            let next = times.into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= end) else {
                self.clock.advance_to(end);
                return false;
            };
            self.clock.advance_to(at);
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.clock.now();
        while let Some(arrival) = self.network.poll(now) {
            let (lab::sim::Arrival::Message { flow, .. } | lab::sim::Arrival::Closed { flow }) =
                &arrival;
            if flow.local == server::address() {
                self.server.arrived(now, arrival);
                self.server.perform(now, &mut self.network);
            } else if let Some(who) = self.places.get(&flow.local).copied() {
                self.phones[who].arrived(now, arrival);
                self.perform(who);
            }
        }
        while let Some(said) = self.cloud.poll(now) {
            if let Said::Delivered { token, push } = said {
                let has = |phone: &Handset| {
                    let tokens = &phone.phone.config().tokens;
                    tokens.voip == token || tokens.message == token
                };
                let who = self.phones.iter().position(has).unwrap();
                self.phones[who].phone.handle(now, Input::Push(push));
                self.perform(who);
            }
        }
        while let Some(who) = self.alarms.pop(now) {
            self.phones[who].phone.handle(now, Input::Time);
            self.perform(who);
        }
        self.server.handle_timeout(now);
        self.server.perform(now, &mut self.network);
    }

    pub fn perform(&mut self, who: usize) {
        let (now, since) = (self.clock.now(), self.clock.elapsed());
        let phone = &mut self.phones[who];
        for address in phone.perform(now, since, &mut self.network) {
            self.places.insert(address, who);
        }
        self.alarms.set(who, phone.phone.next_timeout());
    }

    pub fn has_seen(&self, wanted: &PhoneEvent) -> bool {
        self.count(|event| event == wanted) > 0
    }

    /// How often this happened to the first phone.
    pub fn count(&self, wanted: impl Fn(&PhoneEvent) -> bool) -> usize {
        let events = &self.phones[BOB].events;
        events.iter().filter(|(_, event)| wanted(event)).count()
    }

    /// When something happened to the first phone, since the world began.
    pub fn time_of(&self, wanted: impl Fn(&PhoneEvent) -> bool) -> Duration {
        let events = &self.phones[BOB].events;
        let found = events.iter().find(|(_, event)| wanted(event));
        found.unwrap_or_else(|| panic!("not among {events:?}")).0
    }

    /// The events of `names`, in the order in which they happened to the first phone.
    pub fn order_of(&self, names: &[&str]) -> Vec<String> {
        let events = self.phones[BOB].events.iter();
        let names_of = events.map(|(_, event)| json!(event)["event"].as_str().unwrap().to_owned());
        names_of
            .filter(|name| names.contains(&name.as_str()))
            .collect()
    }

    /// How often the server heard exactly this.
    pub fn heard(&self, what: &str) -> usize {
        self.server
            .heard
            .iter()
            .filter(|heard| *heard == what)
            .count()
    }
}
