//! A world of phones, networks, clouds and a server under one clock: what is due is done, and looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use domain::{DeviceId, Note, Now, Outcome, Purpose, TraceEvent};
use hub::{PushOrder, PushRef, Pushed, Ticket};
use shard::Input;
use sip::endpoint::{Flow, Transmit};
use sip::{HeaderName, Limits, Message};

use super::check::{self, Check, Scene, Verdict};
use super::handset::Handset;
use super::payload;
use super::plot::Act;
use super::server::{Disk, Effect, Server};
use super::setting::{self, Outside, Switch};
use crate::phone::PhoneEvent;
use crate::phone::machine::{Input as PhoneInput, Push, Word, WordId};
use crate::rng::Rng;
use crate::sim::{Alarms, Arrival, Clock, Cloud, Network, Plan, Queue, Said};

/// Most steps of a world; one that takes more goes round in circles.
const MOST_STEPS: u32 = 2_000_000;

/// At one in so many steps it is asked whether memory and store agree.
const QUIET: u32 = 4;

/// What a world is made of.
pub(super) struct Parts {
    pub(super) start: Instant,
    pub(super) shards: usize,
    pub(super) outside: Outside,
    pub(super) limits: setting::Limits,
    pub(super) users: Vec<domain::User>,
    pub(super) plan: Plan,
    pub(super) disk: Disk,
    pub(super) switch: Switch,
    /// Everything that is drawn from here on.
    pub(super) rng: Rng,
}

/// A push that the cloud has.
struct OnItsWay {
    life: u32,
    shard: usize,
    push: PushRef,
    device: DeviceId,
    token: Box<str>,
    who: usize,
    purpose: Purpose,
}

/// Who asked the server for something by its APIs.
pub(super) enum Asker {
    /// The app of a phone.
    Phone(usize, WordId, Word),
    /// The operator.
    Operator(super::operator::Order),
}

/// What happened, for who watches.
pub(super) enum Seen<'a> {
    /// On a phone.
    Phone(usize, &'a PhoneEvent),
    /// A push left for a phone.
    Push(usize, &'a PushOrder),
    /// The server noted this.
    Note(&'a Note),
    /// Anything else, in words.
    Line(String),
}

/// How long the way to an API takes, and back.
pub(super) const API: Duration = Duration::from_millis(20);
/// How long a process lives on that has been promised too much.
const LAST_WORDS: Duration = Duration::from_millis(1);

/// Who watches a world, and has people do something about what they see.
pub(super) trait Watcher {
    /// This happened just now; says what people will do about it, and how much later.
    fn see(&mut self, since: Duration, seen: Seen<'_>) -> Option<(Duration, Act)>;

    /// Whether lines are to be put into words at all.
    fn reads_lines(&self) -> bool;
}

pub(super) struct World<W> {
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    pub(super) network: Network,
    /// Nothing is lost, breaks or is refused.
    gentle: bool,
    pub(super) cloud: Cloud<Push>,
    pub(super) server: Server,
    pub(super) up: bool,
    pub(super) deaths: u32,
    /// All is well from here on.
    pub(super) calm: bool,
    pub(super) switch: Switch,
    pub(super) phones: Vec<Handset>,
    /// Phones that are out of reach of every network; pushes find them.
    pub(super) cut_off: BTreeSet<usize>,
    places: BTreeMap<SocketAddr, usize>,
    /// Whose each token is, or was.
    owners: BTreeMap<String, usize>,
    alarms: Alarms<usize>,
    pub(super) acts: Queue<Act>,
    pushes: BTreeMap<u64, OnItsWay>,
    pushed: u64,
    pub(super) asked: BTreeMap<Ticket, Asker>,
    pub(super) tickets: u64,
    pub(super) check: Check,
    pub(super) steps: u32,
    pub(super) watcher: W,
}

impl<W: Watcher> World<W> {
    pub(super) fn new(parts: Parts, watcher: W) -> Self {
        let Parts {
            start,
            shards,
            outside,
            limits,
            users,
            plan,
            disk,
            switch,
            mut rng,
        } = parts;
        let mut network = Network::new(plan, rng.fork());
        for address in setting::places() {
            network.bind(address);
        }
        let mut server = Server::new((shards, outside, limits), users, switch, rng.fork());
        server.disk = disk;
        Self {
            gentle: plan.loss == 0 && plan.breaks == 0 && disk.refuses == 0,
            clock: Clock::new(start),
            rng,
            network,
            cloud: Cloud::default(),
            server,
            up: true,
            deaths: 0,
            calm: false,
            switch,
            phones: Vec::new(),
            cut_off: BTreeSet::new(),
            places: BTreeMap::new(),
            owners: BTreeMap::new(),
            alarms: Alarms::default(),
            acts: Queue::default(),
            pushes: BTreeMap::new(),
            pushed: 0,
            asked: BTreeMap::new(),
            tickets: 0,
            check: Check::default(),
            steps: 0,
            watcher,
        }
    }

    /// One more phone, switched on; its place among the phones is its name.
    pub(super) fn add(&mut self, config: crate::phone::PhoneConfig) -> usize {
        let number = self.phones.len();
        for token in [&config.tokens.voip, &config.tokens.message] {
            self.owners.insert(token.clone(), number);
        }
        let (now, seed) = (self.clock.now(), self.rng.number());
        let place = u32::try_from(number).unwrap_or_default();
        self.phones.push(Handset::new(now, place, config, seed));
        number
    }

    /// The app of a phone is installed anew: the same device, other tokens, and nothing remembered.
    pub(super) fn reinstall(&mut self, who: usize) {
        let mut config = self.phones[who].phone.config().clone();
        let tokens = crate::phone::Tokens::drawn(&config.service, config.generation, &mut self.rng);
        let old = std::mem::replace(&mut config.tokens, tokens);
        for token in [old.voip, old.message] {
            self.cloud.decide(&token, crate::sim::Fate::dead(None));
        }
        for token in [&config.tokens.voip, &config.tokens.message] {
            self.owners.insert(token.clone(), who);
        }
        let (now, seed) = (self.clock.now(), self.rng.number());
        self.phones[who].replace(now, config, seed);
    }

    pub(super) fn now(&self) -> Now {
        Now {
            instant: self.clock.now(),
            wall: self.clock.timestamp(),
        }
    }

    pub(super) fn see(&mut self, seen: Seen<'_>) {
        let since = self.clock.elapsed();
        if let Some((after, act)) = self.watcher.see(since, seen) {
            self.acts.push(self.clock.now() + after, act);
        }
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if self.watcher.reads_lines() {
            self.see(Seen::Line(line()));
        }
    }

    /// The check, and what it looks at.
    pub(super) fn checked<T>(&mut self, look: impl FnOnce(&mut Check, &Scene<'_>) -> T) -> T {
        let scene = Scene {
            now: self.clock.now(),
            wall: self.clock.timestamp(),
            server: &self.server,
            phones: &self.phones,
            network: &self.network,
            gentle: self.gentle,
        };
        look(&mut self.check, &scene)
    }

    /// Runs until something holds, and no longer than until `end`.
    pub(super) fn run_until(
        &mut self,
        end: Instant,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> Verdict {
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
            self.steps += 1;
            if self.steps > MOST_STEPS {
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
            self.checked(|check, scene| check.in_time(scene))?;
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
        if !self.up {
            return Ok(());
        }
        let effects = self.server.step(now, &mut self.network);
        for effect in effects.into_iter().flatten() {
            self.effect(effect)?;
        }
        self.check.stepped(now.instant)?;
        self.checked(|check, scene| check.streams.in_time(scene))?;
        self.checked(|check, scene| check.offers.look(scene))?;
        self.checked(|check, scene| check.readers.look(scene));
        if self.steps.is_multiple_of(QUIET) && self.server.is_settled() {
            check::same(&self.server)?;
            self.checked(|_, scene| check::Streams::all_there(scene))?;
        }
        if self.server.dies && self.up {
            self.server.dies = false;
            if self.switch != Switch::Commit {
                return self.act(Act::Kill);
            }
            self.acts.push(now.instant + LAST_WORDS, Act::Kill);
        }
        Ok(())
    }

    /// Does what a phone says.
    pub(super) fn perform(&mut self, who: usize) -> Verdict {
        let now = self.clock.now();
        let cut_off = self.cut_off.contains(&who);
        let done = self.phones[who].perform(now, &mut self.network, cut_off);
        for address in done.addresses {
            self.places.insert(address, who);
        }
        let next = self.phones[who].phone.next_timeout();
        self.alarms.set(who, next);
        for (id, word) in done.told {
            self.acts.push(now + API, Act::Tell(who, id, word));
        }
        for event in done.events {
            self.note(|| format!("phone {who}: {event:?}"));
            self.see(Seen::Phone(who, &event));
            self.checked(|check, scene| check.seen(scene, who, &event))?;
        }
        Ok(())
    }

    fn arrived(&mut self, arrival: Arrival) -> Verdict {
        let now = self.now();
        let (Arrival::Message { flow, .. } | Arrival::Closed { flow }) = &arrival;
        let flow = *flow;
        if flow.local == setting::streams() {
            return self.server_reads(now, flow, arrival);
        }
        let ours = |(_, address): &(_, SocketAddr)| *address == flow.local;
        if setting::listeners().iter().any(ours) {
            return self.server_hears(now, flow, arrival);
        }
        let here = |who: &usize| !self.cut_off.contains(who);
        let Some(who) = self.places.get(&flow.local).copied().filter(here) else {
            return Ok(());
        };
        self.phones[who].arrived(now.instant, arrival);
        self.perform(who)
    }

    /// Something of a client of XMPP.
    fn server_reads(&mut self, now: Now, flow: Flow, arrival: Arrival) -> Verdict {
        let Arrival::Message { bytes, .. } = arrival else {
            self.note(|| format!("<- {} closes", flow.remote));
            self.check.doors.is_over(flow);
            self.check.streams.closed(now.instant, flow)?;
            self.server.closed(now, flow);
            return Ok(());
        };
        self.note(|| format!("<- {} {}", flow.remote, String::from_utf8_lossy(&bytes)));
        self.check.doors.is_over(flow);
        self.check.streams.heard(now.instant, flow)?;
        if let Some(text) = self.check.streams.comes_again(flow, &bytes) {
            self.check.texts.comes_again(text);
        }
        let effects = self.server.read(now, flow, &bytes, &mut self.network);
        effects.into_iter().try_for_each(|it| self.effect(it))
    }

    fn server_hears(&mut self, now: Now, flow: Flow, arrival: Arrival) -> Verdict {
        let Arrival::Message { bytes, .. } = arrival else {
            self.note(|| format!("<- {} closes", flow.remote));
            if let Some(who) = self.places.get(&flow.remote).copied() {
                self.check.doors.broke(who);
            }
            self.server.closed(now, flow);
            return Ok(());
        };
        let message = Message::parse(bytes, &Limits::default());
        let message = message.map_err(|error| format!("a phone sent nonsense: {error}"))?;
        self.note(|| format!("<- {} {}", flow.remote, first_line(&message)));
        self.checked(|check, scene| check.arrives(scene, flow, &message));
        self.server.received(now, flow, message);
        Ok(())
    }

    pub(super) fn effect(&mut self, effect: Effect) -> Verdict {
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
            Effect::Write(flow, bytes) => {
                let remote = flow.remote;
                self.note(|| format!("-> {remote} {}", String::from_utf8_lossy(&bytes)));
                self.check.doors.wrote(self.clock.now(), flow, &bytes)?;
                self.check.streams.wrote(self.clock.now(), flow, &bytes);
                self.network
                    .send(self.clock.now(), Transmit { flow, bytes });
                Ok(())
            }
            Effect::Ended(flow) => {
                self.note(|| format!("-> {} is closed", flow.remote));
                self.check.doors.is_over(flow);
                self.check.streams.closed(self.clock.now(), flow)
            }
            Effect::Push(shard, order) => self.push(shard, *order),
            Effect::Note(note) => {
                self.see(Seen::Note(&note));
                if let Note::Story(event) = &note {
                    self.checked(|check, scene| check.is_told(scene, event));
                    let TraceEvent {
                        step,
                        device,
                        detail,
                        ..
                    } = event;
                    let who = device.as_ref().map_or("-", DeviceId::as_str);
                    self.note(|| format!("told: {} {who} {detail}", step.name()));
                }
                Ok(())
            }
            Effect::FellBack(call) => {
                self.checked(|check, scene| check.calls.fell_back(scene, &call));
                Ok(())
            }
            Effect::Answer(ticket, answer) => self.api_answers(ticket, answer),
        }
    }

    fn push(&mut self, shard: usize, order: PushOrder) -> Verdict {
        let token = order.notification.token.as_str();
        let Some(who) = self.owners.get(token).copied() else {
            return Err(format!("a push to a token that nobody has: {token}"));
        };
        self.note(|| format!("push to phone {who}: {:?}", order.notification.purpose));
        self.see(Seen::Push(who, &order));
        self.checked(|check, scene| check.pushed(scene, who, &order))?;
        let push = payload::read(&order, self.phones[who].key(), &self.server.store)?;
        self.pushed += 1;
        let token = order.notification.token;
        self.cloud
            .push(self.clock.now(), self.pushed, &token, &push);
        let on_its_way = OnItsWay {
            life: self.deaths,
            shard,
            token: token.into(),
            push: order.push,
            device: order.device,
            who,
            purpose: order.notification.purpose,
        };
        self.pushes.insert(self.pushed, on_its_way);
        Ok(())
    }

    fn said(&mut self, said: Said<Push>) -> Verdict {
        let now = self.now();
        match said {
            Said::Delivered { token, push } => {
                let Some(who) = self.owners.get(&token).copied() else {
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
                if push.life != self.deaths {
                    return Ok(());
                }
                if matches!(outcome, Outcome::TokenDead { .. }) {
                    self.check.token_died(now.instant, &push.token);
                }
                if matches!(outcome, Outcome::Accepted { .. }) {
                    let taken = (push.who, &push.purpose);
                    self.checked(|check, scene| check.readers.taken(scene, taken.0, taken.1));
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

/// A message in one line.
fn first_line(message: &Message) -> String {
    let call = message.call_id().unwrap_or("-");
    let cseq = message
        .cseq()
        .map(|it| format!("{} {}", it.number, it.method));
    let cseq = cseq.unwrap_or_default();
    if let Some(status) = message.status() {
        return format!("{status} ({cseq}) {call}");
    }
    let expires = message.header_text(HeaderName::Expires);
    let expires = expires.map_or_else(String::new, |it| format!(" for {it} s"));
    format!("{} ({cseq}) {call}{expires}", message.request_uri())
}
