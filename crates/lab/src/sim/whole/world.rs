//! One world, from its seed to its end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use domain::{DeviceId, Now, Outcome, Purpose};
use hub::{PushOrder, PushRef, Pushed};
use shard::Input;
use sip::endpoint::Flow;
use sip::{HeaderName, Limits, Message, Method};

use super::check::{self, Check, Scene, Verdict};
use super::handset::Handset;
use super::plot::{self, Act};
use super::server::{Disk, Effect, Server};
use super::setting::{self, Switch};
use crate::phone::PhoneEvent;
use crate::phone::machine::{Input as PhoneInput, Order, Push};
use crate::rng::Rng;
use crate::sim::{Alarms, Arrival, Clock, Cloud, Fate, Network, Plan, Queue, Said};

/// So long after all is well everything has been delivered ...
const DELIVERED: Duration = Duration::from_secs(270);
/// ... and so much later at the latest there is a moment at which nothing is under way.
const IDLE: Duration = Duration::from_secs(200);
/// Most steps of a world; one that takes more goes round in circles.
const MOST_STEPS: u32 = 2_000_000;
/// How long a process lives on that has been promised too much.
const LAST_WORDS: Duration = Duration::from_millis(1);

/// What became of a world.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Story {
    /// What must not be, if that was seen.
    pub failure: Option<String>,
    /// What happened, line by line, if that was asked for.
    pub lines: Vec<String>,
    /// Steps taken.
    pub steps: u32,
    /// Calls made.
    pub calls: usize,
    /// Texts acknowledged.
    pub texts: usize,
    /// Times that the server died.
    pub deaths: u32,
    /// The virtual time that it took.
    pub took: Duration,
}

/// Plays the world of a seed. `start` changes nothing; `verbose` asks for the lines.
pub fn play(seed: u64, switch: Switch, start: Instant, verbose: bool) -> Story {
    let mut world = World::new(seed, switch, start, verbose);
    let result = world.run();
    world.story.failure = result.err().map(|why| {
        let at = world.clock.elapsed();
        format!("after {:.3} s: {why}", at.as_secs_f64())
    });
    world.story.calls = world.check.calls.count();
    world.story.texts = world.check.texts.count();
    world.story.took = world.clock.elapsed();
    world.story
}

/// A push that the cloud has.
struct OnItsWay {
    life: u32,
    shard: usize,
    push: PushRef,
    device: DeviceId,
    token: Box<str>,
}

struct World {
    clock: Clock,
    rng: Rng,
    network: Network,
    gentle: bool,
    cloud: Cloud<Push>,
    server: Server,
    up: bool,
    switch: Switch,
    phones: Vec<Handset>,
    places: BTreeMap<SocketAddr, usize>,
    alarms: Alarms<usize>,
    acts: Queue<Act>,
    calm: Instant,
    pushes: BTreeMap<u64, OnItsWay>,
    pushed: u64,
    check: Check,
    verbose: bool,
    story: Story,
}

impl World {
    fn new(seed: u64, switch: Switch, start: Instant, verbose: bool) -> Self {
        let mut rng = Rng::new(seed);
        let clock = Clock::new(start);
        let shards = *rng.pick(&[1, 2, 4]).unwrap_or(&1);
        let people = setting::users(usize::try_from(2 + rng.below(3)).unwrap_or(2));
        let mut phones = Vec::new();
        for user in &people {
            for _ in 0..=rng.below(2) {
                let number = u32::try_from(phones.len()).unwrap_or_default();
                if let Some(config) = setting::phone(user.address.name(), &mut rng) {
                    phones.push(Handset::new(start, number, config, rng.number()));
                }
            }
        }
        let plan = if rng.chance(350) {
            Plan::CALM
        } else {
            Plan::drawn(&mut rng)
        };
        let mut network = Network::new(plan, rng.fork());
        for (_, address) in setting::listeners() {
            network.bind(address);
        }
        let mut server = Server::new(shards, people.len(), switch, rng.fork());
        server.disk = disk(&mut rng, switch);
        let mut cloud = Cloud::default();
        for phone in &phones {
            let tokens = &phone.phone.config().tokens;
            for token in [&tokens.voip, &tokens.message] {
                if rng.chance(350) {
                    cloud.decide(token, Fate::drawn(&mut rng));
                }
            }
        }
        let owners = phones.iter().map(|it| it.phone.config().user.clone());
        let restarts = rng.chance(300);
        let plot = plot::drawn(&mut rng, &owners.collect::<Vec<_>>(), restarts);
        let mut acts = Queue::default();
        for (at, act) in plot.acts {
            acts.push(start + at, act);
        }
        Self {
            gentle: plan.loss == 0 && plan.breaks == 0 && server.disk.refuses == 0,
            calm: start + plot.calm,
            clock,
            rng,
            network,
            cloud,
            server,
            up: true,
            switch,
            phones,
            places: BTreeMap::new(),
            alarms: Alarms::default(),
            acts,
            pushes: BTreeMap::new(),
            pushed: 0,
            check: Check::default(),
            verbose,
            story: Story::default(),
        }
    }

    fn now(&self) -> Now {
        Now {
            instant: self.clock.now(),
            wall: self.clock.timestamp(),
        }
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if self.verbose {
            let at = self.clock.elapsed().as_secs_f64();
            self.story.lines.push(format!("{at:10.3}  {}", line()));
        }
    }

    /// The check, and what it looks at.
    fn checked(&mut self, look: impl FnOnce(&mut Check, &Scene<'_>) -> Verdict) -> Verdict {
        let scene = Scene {
            now: self.clock.now(),
            server: &self.server,
            phones: &self.phones,
            gentle: self.gentle,
        };
        look(&mut self.check, &scene)
    }

    fn run(&mut self) -> Verdict {
        self.run_until(self.calm + DELIVERED, |_| false)?;
        self.checked(|check, scene| check.quiet(scene))?;
        let mut left = Ok(());
        self.run_until(self.calm + DELIVERED + IDLE, |world| {
            left = check::idle(&world.server);
            left.is_ok()
        })?;
        left
    }

    fn run_until(&mut self, end: Instant, mut holds: impl FnMut(&Self) -> bool) -> Verdict {
        while !holds(self) {
            let server = self.server.next_timeout(self.now()).filter(|_| self.up);
            let times = [
                self.acts.next(),
                self.network.next_timeout(),
                self.cloud.next_timeout(),
                self.alarms.next(),
                server,
            ];
            let next = times.into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= end) else {
                self.clock.advance_to(end);
                return Ok(());
            };
            self.clock.advance_to(at);
            self.story.steps += 1;
            if self.story.steps > MOST_STEPS {
                return Err("the world goes round in circles".to_owned());
            }
            self.step()?;
        }
        Ok(())
    }

    /// One thing that is due.
    fn step(&mut self) -> Verdict {
        let now = self.now();
        if let Some(act) = self.acts.pop(now.instant) {
            self.check.calls.in_time(now.instant)?;
            return self.act(act);
        }
        if let Some(arrival) = self.network.poll(now.instant) {
            return self.arrived(arrival);
        }
        if let Some(said) = self.cloud.poll(now.instant) {
            return self.said(said);
        }
        if let Some(who) = self.alarms.pop(now.instant) {
            self.phones[who].phone.handle(now.instant, PhoneInput::Time);
            return self.perform(who);
        }
        let effects = self.server.step(now, &mut self.network);
        for effect in effects.into_iter().flatten() {
            self.effect(effect)?;
        }
        self.check.stepped(now.instant)?;
        if self.server.dies && self.up {
            self.server.dies = false;
            if self.switch != Switch::Commit {
                return self.act(Act::Kill);
            }
            self.acts.push(now.instant + LAST_WORDS, Act::Kill);
        }
        Ok(())
    }

    fn act(&mut self, act: Act) -> Verdict {
        self.note(|| format!("{act:?}"));
        let now = self.clock.now();
        match act {
            Act::Order(who, order) => {
                if !matches!(
                    order,
                    Order::Answer(_)
                        | Order::Decline(_)
                        | Order::Call { .. }
                        | Order::Send { .. }
                        | Order::Hangup(_)
                ) {
                    self.check.troubled(now, who);
                }
                self.phones[who].order(now, order);
                return self.perform(who);
            }
            Act::Kill if self.up => {
                self.up = false;
                self.story.deaths += 1;
                for (_, address) in setting::listeners() {
                    self.network.unbind(now, address);
                }
                let down = self.rng.between(Duration::ZERO, Duration::from_secs(5));
                self.acts.push(now + down, Act::Start);
            }
            Act::Kill => {}
            Act::Start => {
                self.server.start();
                self.up = true;
                for (_, address) in setting::listeners() {
                    self.network.bind(address);
                }
                return self.checked(Check::restarted);
            }
            Act::Calm => return self.calm(),
            Act::Resume => {
                for who in 0..self.phones.len() {
                    self.act(Act::Order(who, Order::Resume))?;
                }
            }
        }
        Ok(())
    }

    fn calm(&mut self) -> Verdict {
        self.network.set_plan(Plan::CALM);
        self.server.disk = Disk::GOOD;
        for phone in &self.phones {
            let tokens = &phone.phone.config().tokens;
            for token in [&tokens.voip, &tokens.message] {
                self.cloud.decide(token, Fate::prompt());
            }
        }
        self.act(Act::Resume)
    }

    fn perform(&mut self, who: usize) -> Verdict {
        let now = self.clock.now();
        let (addresses, events) = self.phones[who].perform(now, &mut self.network);
        for address in addresses {
            self.places.insert(address, who);
        }
        let next = self.phones[who].phone.next_timeout();
        self.alarms.set(who, next);
        for event in events {
            self.note(|| format!("phone {who}: {event:?}"));
            self.follow_up(who, &event);
            self.checked(|check, scene| check.seen(scene, who, &event))?;
        }
        Ok(())
    }

    /// What people do about what their phone shows.
    fn follow_up(&mut self, who: usize, event: &PhoneEvent) {
        let now = self.clock.now();
        match event {
            PhoneEvent::Calling { call, .. } => {
                let after = plot::patience(&mut self.rng);
                let order = Order::Hangup(call.clone());
                self.acts.push(now + after, Act::Order(who, order));
            }
            PhoneEvent::Ringing { call } | PhoneEvent::CallKitRinging { call, .. } => {
                if let Some((after, order)) = plot::choice(&mut self.rng, call) {
                    self.acts.push(now + after, Act::Order(who, order));
                }
            }
            _ => {}
        }
    }

    fn arrived(&mut self, arrival: Arrival) -> Verdict {
        let now = self.now();
        let (Arrival::Message { flow, .. } | Arrival::Closed { flow }) = &arrival;
        let flow = *flow;
        let ours = |(_, address): &(_, SocketAddr)| *address == flow.local;
        if setting::listeners().iter().any(ours) {
            return self.server_hears(now, flow, arrival);
        }
        let Some(who) = self.places.get(&flow.local).copied() else {
            return Ok(());
        };
        self.phones[who].arrived(now.instant, arrival);
        self.perform(who)
    }

    fn server_hears(&mut self, now: Now, flow: Flow, arrival: Arrival) -> Verdict {
        let Arrival::Message { bytes, .. } = arrival else {
            self.server.closed(now, flow);
            return Ok(());
        };
        let message = Message::parse(bytes, &Limits::default());
        let message = message.map_err(|error| format!("a phone sent nonsense: {error}"))?;
        self.note(|| format!("<- {} {}", flow.remote, first_line(&message)));
        if message.method() == Some(Method::Message)
            && let Ok(call) = message.call_id()
        {
            let text = String::from_utf8_lossy(message.body()).into_owned();
            self.check.texts.arrived(call, text);
        }
        self.server.received(now, flow, message);
        Ok(())
    }

    fn effect(&mut self, effect: Effect) -> Verdict {
        match effect {
            Effect::Send(transmit) => {
                let message = Message::parse(transmit.bytes.clone(), &Limits::default());
                let message = message.map_err(|error| format!("we sent nonsense: {error}"))?;
                let remote = transmit.flow.remote;
                self.note(|| format!("-> {remote} {}", first_line(&message)));
                if let Some(who) = self.places.get(&remote).copied() {
                    self.checked(|check, scene| check.sent(scene, who, &message))?;
                }
                self.network.send(self.clock.now(), transmit);
                Ok(())
            }
            Effect::Push(shard, order) => self.push(shard, *order),
        }
    }

    fn push(&mut self, shard: usize, order: PushOrder) -> Verdict {
        let notification = &order.notification;
        let token = notification.token.as_str();
        let Some(who) = self.owner_of(token) else {
            return Err(format!("a push to a token that nobody has: {token}"));
        };
        let purpose = &notification.purpose;
        self.note(|| format!("push to phone {who}: {purpose:?}"));
        self.checked(|check, scene| check.pushed(scene, who, &order))?;
        let push = as_the_app_sees_it(&order);
        self.pushed += 1;
        self.cloud.push(self.clock.now(), self.pushed, token, &push);
        let on_its_way = OnItsWay {
            life: self.story.deaths,
            shard,
            token: token.into(),
            push: order.push,
            device: order.device,
        };
        self.pushes.insert(self.pushed, on_its_way);
        Ok(())
    }

    fn owner_of(&self, token: &str) -> Option<usize> {
        let has = |phone: &Handset| {
            let tokens = &phone.phone.config().tokens;
            tokens.voip == token || tokens.message == token
        };
        self.phones.iter().position(has)
    }

    fn said(&mut self, said: Said<Push>) -> Verdict {
        let now = self.now();
        match said {
            Said::Delivered { token, push } => {
                let Some(who) = self.owner_of(&token) else {
                    return Ok(());
                };
                let input = PhoneInput::Push(push);
                self.phones[who].phone.handle(now.instant, input);
                self.perform(who)
            }
            Said::Answered { id, outcome } => {
                let Some(push) = self.pushes.remove(&id) else {
                    return Ok(());
                };
                // The server that pushed it is dead.
                if push.life != self.story.deaths {
                    return Ok(());
                }
                if matches!(outcome, Outcome::TokenDead { .. }) {
                    self.check.token_died(now.instant, &push.token);
                }
                let pushed = Pushed {
                    push: push.push,
                    device: push.device,
                    token: push.token,
                    outcome,
                };
                self.server.tell(now, push.shard, Input::Pushed(pushed));
                Ok(())
            }
        }
    }
}

/// Any disk, the good ones more often.
fn disk(rng: &mut Rng, switch: Switch) -> Disk {
    let odds = |rng: &mut Rng, often, most| {
        let some = rng.chance(often);
        let odds = u16::try_from(rng.below(most)).unwrap_or_default();
        if some { odds } else { 0 }
    };
    let slow = [2, 20, 500];
    Disk {
        slowest: Duration::from_millis(*rng.pick(&slow).unwrap_or(&2)),
        refuses: odds(rng, 250, 300),
        kills: odds(rng, if switch == Switch::Commit { 1_000 } else { 150 }, 50),
    }
}

fn as_the_app_sees_it(order: &PushOrder) -> Push {
    let notification = &order.notification;
    let call = match &notification.purpose {
        Purpose::Call { call, .. }
        | Purpose::CallCancelled { call }
        | Purpose::MissedCall { call } => Some(call.clone()),
        Purpose::Refresh | Purpose::Message { .. } => None,
    };
    Push {
        channel: notification.channel,
        kind: notification.purpose.name().to_owned(),
        call,
        tracking: Some(notification.tracking.to_string()),
        unread: notification.badge,
        caller: None,
        text: None,
    }
}

/// A message in one line.
fn first_line(message: &Message) -> String {
    let call = message.call_id().unwrap_or("-");
    let cseq = message
        .cseq()
        .map(|it| format!("{} {}", it.number, it.method));
    let cseq = cseq.unwrap_or_default();
    match message.status() {
        Some(status) => format!("{status} ({cseq}) {call}"),
        None => {
            let expires = message.header_text(HeaderName::Expires);
            let expires = expires.map_or_else(String::new, |it| format!(" for {it} s"));
            format!("{} ({cseq}) {call}{expires}", message.request_uri())
        }
    }
}
