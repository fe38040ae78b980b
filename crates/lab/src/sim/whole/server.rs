//! The server of the world: its shards, and a performer for them in virtual time. What it loses when it dies, it loses.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use call::{ReachId, Role, Settings, Shared, Way, is_spiral};
use domain::{
    Address, ArchiveQuery, Change, DeviceId, MessageId, Note, NotificationId, Now, Record, Slice,
    User, user::Secrets,
};
use hub::{Accounts, Answer, Hub, NotDone, PushOrder, SaveId, Ticket};
use shard::{Input, Output, Shard};
use sip::endpoint::{Flow, Transmit, Transport};
use sip::{Limits, Message, Method};

use super::setting::{self, Limits as Most, Outside, Switch};
use super::store::{Missing, Store};
use super::streams::{Heard, Streams};
use crate::rng::Rng;
use crate::sim::{Network, Queue};

/// How good the store is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disk {
    /// Most that a commit or a read takes.
    pub(super) slowest: Duration,
    /// A step is refused, or a read fails, so often in a thousand times.
    pub(super) refuses: u16,
    /// The server dies after a commit and before the answer, so often.
    pub(super) kills: u16,
}

impl Disk {
    /// Nothing goes wrong.
    pub(super) const GOOD: Self = Self {
        slowest: Duration::from_millis(2),
        refuses: 0,
        kills: 0,
    };
}

/// What the store is asked, in its order.
#[derive(Debug)]
enum Asked {
    Save(usize, SaveId, Vec<Change>),
    Fetch(usize, DeviceId),
    Count(usize, NotificationId, DeviceId, Option<MessageId>),
    FetchRoster(usize, Address),
    Page(usize, Ticket, Address, Box<ArchiveQuery>),
    Card(usize, Ticket, Address),
}

/// What leaves the server, for the world to carry and to check.
#[derive(Debug)]
pub(super) enum Effect {
    Send(Transmit),
    /// To a client of XMPP.
    Write(Flow, Bytes),
    /// The server gives up a connection for XMPP.
    Ended(Flow),
    Push(usize, Box<PushOrder>),
    Note(Note),
    /// A call goes to its user's fallback, another user of ours.
    FellBack(String),
    /// By an API.
    Answer(Ticket, Result<Answer, NotDone>),
}

pub(super) struct Server {
    settings: Settings,
    pub(super) outside: Outside,
    pub(super) limits: Most,
    /// Who had an account in the beginning.
    people: Vec<User>,
    switch: Switch,
    pub(super) shards: Vec<Shard>,
    pub(super) store: Store,
    pub(super) disk: Disk,
    rng: Rng,
    asked: Queue<Asked>,
    /// When the store is done with what it was asked so far.
    busy_until: Option<std::time::Instant>,
    answers: Queue<(usize, Input)>,
    /// When its last word on a step arrives: its words come in the order of the steps.
    spoken_until: Option<std::time::Instant>,
    streams: BTreeMap<(Transport, SocketAddr), Flow>,
    pub(super) chats: Streams,
    /// The store has refused something at some time: what nobody asked for is not always tried again.
    pub(super) has_refused: bool,
    /// The store has said that the process dies now.
    pub(super) dies: bool,
}

impl Server {
    pub(super) fn new(
        (shards, outside, limits): (usize, Outside, Most),
        users: Vec<User>,
        switch: Switch,
        rng: Rng,
    ) -> Self {
        let mut store = Store::default();
        let people = users.clone();
        for user in users {
            store.users.insert(user.address.clone(), user);
        }
        let mut server = Self {
            settings: setting::call(shards, outside, limits),
            outside,
            limits,
            people,
            switch,
            shards: Vec::new(),
            store,
            disk: Disk::GOOD,
            rng,
            asked: Queue::default(),
            busy_until: None,
            answers: Queue::default(),
            spoken_until: None,
            streams: BTreeMap::new(),
            chats: Streams::default(),
            has_refused: false,
            dies: false,
        };
        server.load_all();
        server
    }

    /// A new process: it knows what the store has kept, and nothing else. Says what leaves at once.
    pub(super) fn start(&mut self, now: Now, network: &mut Network) -> Vec<Effect> {
        self.load_all();
        let mut effects = Vec::new();
        for shard in 0..self.shards.len() {
            if let Some(it) = self.shards.get_mut(shard) {
                it.begin(now);
            }
            effects.extend(self.outputs(now, shard, network));
        }
        effects
    }

    fn load_all(&mut self) {
        self.store.twice.clear();
        let accounts = Accounts::default();
        let shared = Shared::new(self.rng.bytes(), &self.settings.domains);
        let seed = self.rng.bytes();
        self.shards.clear();
        for number in 0..self.settings.shard.of {
            let mut call = self.settings.clone();
            call.shard.number = u8::try_from(number).unwrap_or_default();
            call.seed = seed;
            let hub = hub::Config {
                seed: self.rng.bytes(),
                ..setting::hub(self.switch, self.limits)
            };
            let role = Role::new(call, shared.clone(), accounts.clone(), self.rng.bytes());
            let own = self.rng.bytes();
            let im = setting::im(accounts.clone(), own, self.switch);
            let hub = Hub::new(hub, accounts.clone());
            self.shards.push(Shard::new(hub, role, im));
        }
        for (user, record) in self.store.records() {
            self.load(user.as_ref(), record);
        }
        self.asked = Queue::default();
        self.answers = Queue::default();
        (self.busy_until, self.spoken_until) = (None, None);
        self.streams.clear();
        self.chats.clear();
        self.dies = false;
    }

    fn load(&mut self, user: Option<&Address>, record: Record) {
        let shard = user.map_or(0, |user| self.shard_of(user));
        if let Some(shard) = self.shards.get_mut(shard) {
            // A door that cannot be read is seen when memory is compared with the store.
            let _ = shard.load(record);
        }
    }

    /// Nothing is with the store, and its last word was heard.
    pub(super) fn is_settled(&self) -> bool {
        let waits = |it: &Shard| it.hub().load().steps > 0;
        self.asked.is_empty() && self.answers.is_empty() && !self.shards.iter().any(waits)
    }

    /// Asked to stop: what it says at once. Nothing is read of the network any more.
    pub(super) fn stop(&mut self, now: Now, network: &mut Network) -> Vec<Effect> {
        let mut effects = Vec::new();
        for shard in 0..self.shards.len() {
            if let Some(it) = self.shards.get_mut(shard) {
                it.stop(now);
            }
            effects.extend(self.outputs(now, shard, network));
        }
        effects
    }

    /// One thing more that it does before it ends, and what it says to that: what shards and the store say to shards is heard until all
    /// is said (`None`), unless the process dies of it.
    pub(super) fn wind_down(&mut self, now: Now, network: &mut Network) -> Option<Vec<Effect>> {
        if self.dies {
            return None;
        }
        if let Some(asked) = self.asked.take() {
            self.ask_store(now, asked);
            return Some(Vec::new());
        }
        let (shard, input) = self.answers.take()?;
        if let Some(it) = self.shards.get_mut(shard).filter(|_| !is_read(&input)) {
            it.handle(now, input);
        }
        Some(self.outputs(now, shard, network))
    }

    /// All that a shard says.
    fn outputs(&mut self, now: Now, shard: usize, network: &mut Network) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(output) = self.shards.get_mut(shard).and_then(Shard::poll) {
            effects.extend(self.output(now, shard, output, network));
        }
        effects
    }

    pub(super) fn people(&self) -> Vec<User> {
        self.people.clone()
    }

    /// What a user's password is checked against.
    pub(super) fn secret_of(&self, user: &Address) -> Option<&Secrets> {
        Some(&self.store.users.get(user)?.secrets)
    }

    pub(super) fn shard_of(&self, user: &Address) -> usize {
        Slice::of(user).shard(self.settings.shard.of)
    }

    fn steer(&self, message: &Message) -> usize {
        shard::steer(&self.settings, message, self.settings.shard.of)
    }

    /// Something arrived from the network.
    pub(super) fn received(&mut self, now: Now, flow: Flow, message: Message) {
        if flow.transport.is_reliable() {
            self.streams.insert((flow.transport, flow.remote), flow);
        }
        let shard = self.steer(&message);
        self.answers
            .push(now.instant, (shard, Input::Received(flow, message)));
    }

    /// Octets arrive from a client of XMPP. Says what is answered before it has signed in.
    pub(super) fn read(
        &mut self,
        now: Now,
        flow: Flow,
        octets: &[u8],
        network: &mut Network,
    ) -> Vec<Effect> {
        let shards = self.settings.shard.of;
        let Heard {
            inputs,
            answers,
            closes,
        } = self.chats.received(now.instant, flow, octets, shards);
        for input in inputs {
            self.answers.push(now.instant, input);
        }
        let answers = answers.into_iter().map(|it| Effect::Write(flow, it));
        let mut effects: Vec<_> = answers.collect();
        if closes {
            effects.push(self.hang_up(now, flow, network));
        }
        effects
    }

    /// The connection of a stream is closed by us.
    fn hang_up(&mut self, now: Now, flow: Flow, network: &mut Network) -> Effect {
        let gone = self.chats.closed(flow);
        self.answers_to(now, gone);
        network.close(now.instant, flow);
        Effect::Ended(flow)
    }

    fn answers_to(&mut self, now: Now, input: Option<(usize, Input)>) {
        if let Some(input) = input {
            self.answers.push(now.instant, input);
        }
    }

    /// What the XMPP role wants done.
    fn im(
        &mut self,
        now: Now,
        shard: usize,
        output: im::Output,
        network: &mut Network,
    ) -> Option<Effect> {
        match output {
            im::Output::Write(stream, octets) => {
                return Some(Effect::Write(self.chats.flow(stream)?, octets));
            }
            im::Output::SignedIn(stream, anew) => self.chats.signed_in(stream, anew),
            im::Output::End(stream) => {
                let flow = self.chats.flow(stream)?;
                return Some(self.hang_up(now, flow, network));
            }
            im::Output::Post(user, post) => {
                let owner = self.shard_of(&user);
                self.tell(now, owner, Input::Im(im::Input::Posted(user, post)));
            }
            im::Output::Read(ticket, user, query) => {
                self.queue(now, Asked::Page(shard, ticket, user, query));
            }
            im::Output::ReadCard(ticket, user) => {
                self.queue(now, Asked::Card(shard, ticket, user));
            }
            // Nobody here has been given one.
            im::Output::ReadTokens(ticket, ..) => {
                let none = im::Input::Tokens(ticket, Ok(None));
                self.tell(now, shard, Input::Im(none));
            }
            // Nobody here is invited.
            im::Output::Account(ticket, _) => {
                let none = im::Input::Account(ticket, Err(NotDone::Missing));
                self.tell(now, shard, Input::Im(none));
            }
            // The shard has heard the one, and there are none of the others here.
            im::Output::Hub(_)
            | im::Output::Note(_)
            | im::Output::Refused(_)
            | im::Output::Component(..)
            | im::Output::Published(..) => {}
        }
        None
    }

    /// A stream is over: every shard hears it.
    pub(super) fn closed(&mut self, now: Now, flow: Flow) {
        let gone = self.chats.closed(flow);
        if gone.is_some() {
            return self.answers_to(now, gone);
        }
        self.streams.remove(&(flow.transport, flow.remote));
        for shard in 0..self.shards.len() {
            self.answers
                .push(now.instant, (shard, Input::FlowClosed(flow)));
        }
    }

    /// Whether what is sent over a flow goes anywhere, as far as the server knows.
    pub(super) fn holds(&self, flow: Flow) -> bool {
        if self.chats.holds(flow) {
            return true;
        }
        let known = || self.streams.get(&(flow.transport, flow.remote));
        !flow.transport.is_reliable() || known().is_some_and(|it| *it == flow)
    }

    /// Something for one shard.
    pub(super) fn tell(&mut self, now: Now, shard: usize, input: Input) {
        self.answers.push(now.instant, (shard, input));
    }

    pub(super) fn next_timeout(&self, now: Now) -> Option<std::time::Instant> {
        let shards = self.shards.iter().filter_map(|it| it.next_timeout(now));
        let queues = [
            self.asked.next(),
            self.answers.next(),
            self.chats.next_timeout(),
        ];
        shards.chain(queues.into_iter().flatten()).min()
    }

    /// Does one thing that is due; says what leaves. `None`: nothing is due.
    pub(super) fn step(&mut self, now: Now, network: &mut Network) -> Option<Vec<Effect>> {
        let shard = if let Some(asked) = self.asked.pop(now.instant) {
            self.ask_store(now, asked);
            return Some(Vec::new());
        } else if let Some((shard, input)) = self.answers.pop(now.instant) {
            self.shards.get_mut(shard)?.handle(now, input);
            shard
        } else if let Some(flow) = self.chats.late(now.instant, |flow| network.carries(flow)) {
            return Some(vec![self.hang_up(now, flow, network)]);
        } else {
            let is_due = |it: &Shard| it.next_timeout(now).is_some_and(|at| at <= now.instant);
            let shard = self.shards.iter().position(is_due)?;
            self.shards.get_mut(shard)?.handle_timeout(now);
            shard
        };
        Some(self.outputs(now, shard, network))
    }

    fn output(
        &mut self,
        now: Now,
        shard: usize,
        output: Output,
        network: &mut Network,
    ) -> Option<Effect> {
        match output {
            Output::Transmit(transmit) if is_spiral(transmit.flow) => {
                return self.spiral(now, &transmit);
            }
            Output::Transmit(transmit) => return Some(Effect::Send(transmit)),
            Output::Push(order) => return Some(Effect::Push(shard, order)),
            Output::Close(flow) => {
                self.streams.remove(&(flow.transport, flow.remote));
                network.close(now.instant, flow);
            }
            Output::Reach(id, way) => self.reach(now, shard, (id, way), network),
            // Nobody here is outside.
            Output::Relay(id, _) => {
                self.tell(now, shard, Input::Relayed(id, Err("no relay".to_owned())));
            }
            Output::Save(id, changes) => self.queue(now, Asked::Save(shard, id, changes)),
            Output::Fetch(device) => self.queue(now, Asked::Fetch(shard, device)),
            Output::Count(push, device, message) => {
                self.queue(now, Asked::Count(shard, push, device, message));
            }
            Output::FetchRoster(user) => self.queue(now, Asked::FetchRoster(shard, user)),
            Output::Tell(user, word) => {
                let owner = self.shard_of(&user);
                self.tell(now, owner, Input::Told(user, word));
            }
            Output::Note(note) => return Some(Effect::Note(note)),
            Output::Answer(ticket, answer) => return Some(Effect::Answer(ticket, answer)),
            Output::Im(output) => return self.im(now, shard, output, network),
            Output::RelayEnds(_)
            | Output::Measured(_)
            | Output::Refused(..)
            | Output::Request(..)
            | Output::RegisterToInvite(_) => {}
        }
        None
    }

    fn spiral(&mut self, now: Now, transmit: &Transmit) -> Option<Effect> {
        let message = Message::parse(transmit.bytes.clone(), &Limits::default()).ok()?;
        let shard = self.steer(&message);
        let calls = message.method() == Some(Method::Invite)
            && message.to().is_ok_and(|to| to.tag().is_none());
        let call = message.call_id().ok().filter(|_| calls).map(str::to_owned);
        self.tell(now, shard, Input::Received(transmit.flow, message));
        call.map(Effect::FellBack)
    }

    fn reach(&mut self, now: Now, shard: usize, (id, way): (ReachId, Way), network: &mut Network) {
        let found = match way {
            Way::Address {
                transport, address, ..
            } => {
                let known = self.streams.get(&(transport, address)).copied();
                let listeners = setting::listeners();
                let local = listeners.iter().find(|(ours, _)| *ours == transport);
                known.or_else(|| {
                    let (_, local) = local?;
                    let flow = network.connect(now.instant, transport, *local, address);
                    if transport.is_reliable() {
                        self.streams.insert((transport, address), flow);
                    }
                    Some(flow)
                })
            }
            Way::Host { .. } => None,
            Way::Device {
                user,
                device,
                flow,
                since,
            } => {
                let owner = self.shards.get(self.shard_of(&user));
                owner.and_then(|owner| owner.find(&user, device.as_ref(), flow, since))
            }
        };
        self.tell(now, shard, Input::Reached(id, found));
    }

    /// The store does one thing after the other.
    fn queue(&mut self, now: Now, asked: Asked) {
        let begins = self
            .busy_until
            .map_or(now.instant, |it| it.max(now.instant));
        let done = begins + self.rng.between(Duration::ZERO, self.disk.slowest);
        self.busy_until = Some(done);
        self.asked.push(done, asked);
    }

    fn ask_store(&mut self, now: Now, asked: Asked) {
        let refused = self.rng.chance(self.disk.refuses);
        let kills = self.rng.chance(self.disk.kills);
        self.has_refused |= refused;
        let (shard, answer) = match asked {
            Asked::Save(shard, id, _) if refused => {
                let why = NotDone::Failed("the disk is full".to_owned());
                (shard, Input::Saved(id, Err(why)))
            }
            Asked::Save(shard, id, _) if kills && self.switch == Switch::Commit => {
                self.tell(now, shard, Input::Saved(id, Ok(())));
                self.dies = true;
                return;
            }
            Asked::Save(shard, id, changes) => {
                let done = self.store.step(changes);
                let done = done.map_err(|Missing| NotDone::Missing);
                (shard, Input::Saved(id, done))
            }
            Asked::Fetch(shard, device) => {
                let queue = || {
                    let queue = self.store.queue(&device).take(domain::delivery::BATCH);
                    queue.cloned().collect()
                };
                let found = (!refused).then(queue);
                (shard, Input::Fetched(device, found))
            }
            Asked::Count(shard, push, device, message) => {
                let unread = || self.store.unread(&device, message.as_ref());
                (shard, Input::Counted(push, (!refused).then(unread)))
            }
            Asked::FetchRoster(shard, user) => {
                let found = (!refused).then(|| self.store.roster(&user).cloned().collect());
                (shard, Input::RosterRead(user, found))
            }
            Asked::Page(shard, ticket, user, query) => {
                let found = self.store.page(&user, &query);
                let page = match found {
                    _ if refused => Err(NotDone::Failed("the disk does not answer".to_owned())),
                    found => found.ok_or(NotDone::Missing),
                };
                (shard, Input::Im(im::Input::Page(ticket, page)))
            }
            Asked::Card(shard, ticket, user) => {
                let card = if refused {
                    Err(NotDone::Failed("the disk does not answer".to_owned()))
                } else {
                    Ok(self.store.cards.get(&user).cloned())
                };
                (shard, Input::Im(im::Input::Card(ticket, card)))
            }
        };
        self.dies = kills && self.switch != Switch::Commit;
        let mut at = now.instant + self.rng.between(Duration::ZERO, self.disk.slowest);
        if matches!(answer, Input::Saved(..)) {
            at = self.spoken_until.map_or(at, |last| last.max(at));
            self.spoken_until = Some(at);
        }
        self.answers.push(at, (shard, answer));
    }
}

/// Whether an input was read of the network.
fn is_read(input: &Input) -> bool {
    use im::Input::{Gone, Greeted, Read};
    matches!(
        input,
        Input::Received(..) | Input::FlowClosed(_) | Input::Im(Greeted(..) | Read(..) | Gone(_))
    )
}
