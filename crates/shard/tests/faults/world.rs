//! A world around the shards of one server: peers that are nothing but an inbox for each flow, so that a test decides
//! every octet that they send; a map as the store; a cloud that is a table; and a clock that jumps.

mod checks;

use crate::{
    settings::{account, address, at, hub_config, settings},
    store::Store,
};
use call::{Nonces, ReachId, Role, Settings, Way, is_spiral};
use domain::{Address, Note, Now, Outcome, Record, Slice, Timestamp, TraceEvent, push::Purpose};
use hub::{Accounts, Answer, DeviceView, Hub, NotDone, PushOrder, Pushed, Question, Ticket};
use shard::{Input, Output, Shard, steer};
use sip::{Flow, Limits, Message, Transport};
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// A push as the cloud got it.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) token: String,
    pub(crate) purpose: Purpose,
}

/// The push cloud: it takes everything but what is in its table.
#[derive(Default)]
pub(crate) struct Cloud {
    pub(crate) outcomes: HashMap<String, Outcome>,
    /// Answers wait for [`World::cloud_answers`].
    pub(crate) holds: bool,
    pub(crate) pushes: Vec<Push>,
    held: Vec<(usize, Pushed)>,
}

impl Cloud {
    /// Whoever waited for its answers is gone.
    fn dies(&mut self) {
        self.holds = false;
        self.held.clear();
    }
}

pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) store: Store,
    pub(crate) cloud: Cloud,
    pub(crate) story: Vec<TraceEvent>,
    /// Who takes connections.
    pub(crate) listening: HashSet<SocketAddr>,
    /// What names stand for.
    pub(crate) hosts: HashMap<String, IpAddr>,
    settings: Settings,
    hub: hub::Config,
    accounts: Accounts,
    shards: Vec<Shard>,
    starts: u8,
    inputs: VecDeque<(usize, Input)>,
    inboxes: HashMap<Flow, VecDeque<Message>>,
    /// Connections that are up.
    open: HashSet<Flow>,
    connections: u64,
    tickets: u64,
    answers: BTreeMap<Ticket, Result<Answer, NotDone>>,
    numbers: u32,
}

fn some_instant() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    Instant::now()
}

impl World {
    /// With so many shards, and alice, bob and carol.
    pub(crate) fn new(shards: usize) -> Self {
        let mut world = Self {
            now: Now {
                instant: some_instant(),
                wall: Timestamp(1_700_000_000_000),
            },
            store: Store::default(),
            cloud: Cloud::default(),
            story: Vec::new(),
            listening: HashSet::new(),
            hosts: HashMap::new(),
            settings: settings(),
            hub: hub_config(),
            accounts: Accounts::default(),
            shards: Vec::new(),
            starts: 0,
            inputs: VecDeque::new(),
            inboxes: HashMap::new(),
            open: HashSet::new(),
            connections: 0,
            tickets: 0,
            answers: BTreeMap::new(),
            numbers: 0,
        };
        for user in ["alice", "bob", "carol"] {
            world
                .store
                .kept
                .users
                .insert(address(user), account(user, None));
        }
        (world.accounts, world.shards) = world.start(shards);
        world
    }

    /// Gives a user an account.
    pub(crate) fn add_user(&mut self, user: &str, forward: Option<&str>) {
        let put = Question::PutUser(Box::new(account(user, forward)));
        self.ask(user, put).unwrap();
    }

    /// How many shards there are.
    pub(crate) fn count(&self) -> usize {
        self.shards.len()
    }

    fn start(&mut self, count: usize) -> (Accounts, Vec<Shard>) {
        self.starts += 1;
        let accounts = Accounts::default();
        let nonces = Nonces::new([self.starts; 32], &self.settings.domains);
        let starts = self.starts;
        self.settings.seed = [starts; 32];
        let shard = |number: usize| {
            let mut call = self.settings.clone();
            let number = u8::try_from(number).unwrap();
            call.shard = call::Shard { number, of: count };
            let seed = [starts * 16 + number; 32];
            let hub = hub::Config {
                seed,
                ..self.hub.clone()
            };
            let role = Role::new(call, nonces.clone(), accounts.clone(), seed);
            Shard::new(Hub::new(hub, accounts.clone()), role)
        };
        let mut shards: Vec<Shard> = (0..count).map(shard).collect();
        let mut last = 0;
        for record in self.store.records() {
            match &record {
                Record::Device(device) => last = Slice::of(&device.user).shard(count),
                Record::Unclaimed(user, _) => last = Slice::of(user).shard(count),
                _ => {}
            }
            shards[last].load(record).unwrap();
        }
        (accounts, shards)
    }

    /// The server is started anew: connections are gone, the store is not.
    pub(crate) fn restart(&mut self) {
        self.open.clear();
        (self.accounts, self.shards) = self.start(self.shards.len());
    }

    /// The server is killed, and its store with it, before anybody hears of what was handed in last; then it is started
    /// anew.
    pub(crate) fn killed(&mut self) {
        self.store.dies();
        self.cloud.dies();
        self.restart();
    }

    /// A peer's datagrams.
    pub(crate) fn udp(&self, remote: &str) -> Flow {
        self.flow(Transport::Udp, at(remote), 0)
    }

    /// A peer connects.
    pub(crate) fn tcp(&mut self, remote: &str) -> Flow {
        self.peer(Transport::Tcp, remote)
    }

    /// A peer comes over this transport.
    pub(crate) fn peer(&mut self, transport: Transport, remote: &str) -> Flow {
        match transport {
            Transport::Udp => self.udp(remote),
            _ => self.connect(transport, at(remote)),
        }
    }

    fn connect(&mut self, transport: Transport, remote: SocketAddr) -> Flow {
        self.connections += 1;
        let flow = self.flow(transport, remote, self.connections);
        self.open.insert(flow);
        flow
    }

    fn flow(&self, transport: Transport, remote: SocketAddr, id: u64) -> Flow {
        let mut bound = self.settings.bound.iter();
        let (_, local) = *bound.find(|(it, _)| *it == transport).unwrap();
        Flow {
            transport,
            local,
            remote,
            id,
        }
    }

    /// A connection that the server has made, or another peer, to this place.
    pub(crate) fn connection_to(&self, remote: &str) -> Option<Flow> {
        let remote = at(remote);
        self.open.iter().copied().find(|it| it.remote == remote)
    }

    /// A connection ends.
    pub(crate) fn close(&mut self, flow: Flow) {
        if self.open.remove(&flow) {
            self.closed(flow);
            self.settle();
        }
    }

    fn closed(&mut self, flow: Flow) {
        let all = 0..self.shards.len();
        self.inputs
            .extend(all.map(|shard| (shard, Input::FlowClosed(flow))));
    }

    /// A peer sends this.
    pub(crate) fn send(&mut self, flow: Flow, message: Message) {
        let shard = steer(&self.settings, &message, self.shards.len());
        self.inputs
            .push_back((shard, Input::Received(flow, message)));
        self.settle();
    }

    /// An API asks the shard of a user.
    #[track_caller]
    pub(crate) fn ask(&mut self, user: &str, question: Question) -> Result<Answer, NotDone> {
        self.ask_and_see(user, question).expect("an answer")
    }

    /// The same, if it is answered at once.
    pub(crate) fn ask_and_see(
        &mut self,
        user: &str,
        question: Question,
    ) -> Option<Result<Answer, NotDone>> {
        self.ask_shard(self.shard_of(&address(user)), question)
    }

    fn ask_shard(&mut self, shard: usize, question: Question) -> Option<Result<Answer, NotDone>> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.inputs
            .push_back((shard, Input::Asked(ticket, question)));
        self.settle();
        self.answers.remove(&ticket)
    }

    fn shard_of(&self, user: &Address) -> usize {
        Slice::of(user).shard(self.shards.len())
    }

    /// The store says what it held back.
    pub(crate) fn store_answers(&mut self) {
        for (shard, id, result) in self.store.answers() {
            self.inputs.push_back((shard, Input::Saved(id, result)));
        }
        self.settle();
    }

    /// The cloud says what it held back.
    pub(crate) fn cloud_answers(&mut self) {
        self.cloud.holds = false;
        for (shard, pushed) in std::mem::take(&mut self.cloud.held) {
            self.inputs.push_back((shard, Input::Pushed(pushed)));
        }
        self.settle();
    }

    fn settle(&mut self) {
        while let Some((shard, input)) = self.inputs.pop_front() {
            self.shards[shard].handle(self.now, input);
            self.perform(shard);
        }
    }

    fn perform(&mut self, shard: usize) {
        while let Some(output) = self.shards[shard].poll() {
            let input = match output {
                Output::Transmit(transmit) => {
                    self.transmit(transmit.flow, &transmit.bytes);
                    continue;
                }
                Output::Close(flow) => {
                    self.open.remove(&flow);
                    self.closed(flow);
                    continue;
                }
                Output::Reach(id, way) => self.reach(id, way),
                Output::Save(id, changes) => match self.store.save(shard, id, changes) {
                    Some((_, id, result)) => Input::Saved(id, result),
                    None => continue,
                },
                Output::Fetch(device) => {
                    let head = self.store.head(&device);
                    Input::Fetched(device, Some(head))
                }
                Output::Push(order) => match self.push(shard, *order) {
                    Some(pushed) => Input::Pushed(pushed),
                    None => continue,
                },
                Output::Note(Note::Story(event)) => {
                    self.story.push(event);
                    continue;
                }
                Output::Answer(ticket, answer) => {
                    self.answers.insert(ticket, answer);
                    continue;
                }
                Output::Note(Note::History(_))
                | Output::Measured(_)
                | Output::Request(..)
                | Output::RegisterToInvite(_) => continue,
            };
            self.inputs.push_back((shard, input));
        }
    }

    fn transmit(&mut self, flow: Flow, bytes: &bytes::Bytes) {
        let message = Message::parse(bytes.clone(), &Limits::default()).unwrap();
        if is_spiral(flow) {
            let shard = steer(&self.settings, &message, self.shards.len());
            self.inputs
                .push_back((shard, Input::Received(flow, message)));
        } else if flow.transport.is_reliable() && !self.open.contains(&flow) {
            self.closed(flow);
        } else {
            self.inboxes.entry(flow).or_default().push_back(message);
        }
    }

    fn reach(&mut self, id: ReachId, way: Way) -> Input {
        let found = match way {
            Way::Address {
                transport: Transport::Udp,
                address,
                ..
            } => Some(self.flow(Transport::Udp, address, 0)),
            Way::Address {
                transport, address, ..
            } => self.dial(transport, address),
            Way::Host {
                transport,
                host,
                port,
                at,
            } => {
                let ip = self.hosts.get(&host).copied();
                let ip = ip.filter(|ip| at.is_none_or(|at| at == *ip));
                ip.and_then(|ip| self.dial(transport, SocketAddr::new(ip, port)))
            }
            Way::Device {
                user,
                device,
                flow,
                since,
            } => self.shards[self.shard_of(&user)].find(&user, device.as_ref(), flow, since),
        };
        Input::Reached(id, found)
    }

    fn dial(&mut self, transport: Transport, address: SocketAddr) -> Option<Flow> {
        let is_it = |it: &Flow| it.transport == transport && it.remote == address;
        let there = self.open.iter().copied().find(is_it);
        let listens = self.listening.contains(&address);
        there.or_else(|| listens.then(|| self.connect(transport, address)))
    }

    fn push(&mut self, shard: usize, order: PushOrder) -> Option<Pushed> {
        let notification = order.notification;
        let accepted = Outcome::Accepted {
            provider_id: "1".to_owned(),
        };
        let outcome = self.cloud.outcomes.get(&notification.token).cloned();
        self.cloud.pushes.push(Push {
            token: notification.token.clone(),
            purpose: notification.purpose,
        });
        let pushed = Pushed {
            push: order.push,
            device: order.device,
            token: notification.token.into(),
            outcome: outcome.unwrap_or(accepted),
        };
        if self.cloud.holds {
            self.cloud.held.push((shard, pushed));
            return None;
        }
        Some(pushed)
    }

    /// Time passes, and everything that is due on the way happens when it is due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.instant + time;
        loop {
            let now = self.now;
            let times = self.shards.iter().enumerate();
            let next = times
                .filter_map(|(shard, it)| Some((it.next_timeout(now)?, shard)))
                .min();
            let Some((at, shard)) = next.filter(|(at, _)| *at <= end) else {
                break;
            };
            self.jump(at);
            self.shards[shard].handle_timeout(self.now);
            self.perform(shard);
            self.settle();
        }
        self.jump(end);
    }

    fn jump(&mut self, at: Instant) {
        // Records count milliseconds: what is due within one is due at its end.
        let ahead = at.saturating_duration_since(self.now.instant);
        let ahead = Duration::from_millis(u64::try_from(ahead.as_micros().div_ceil(1000)).unwrap());
        self.now.instant += ahead;
        self.now.wall = self.now.wall.plus(ahead);
    }

    /// A number that was not used before.
    pub(crate) fn number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }

    /// Takes what came over a flow out of its inbox.
    pub(crate) fn inbox(&mut self, flow: Flow) -> Vec<Message> {
        let inbox = self.inboxes.get_mut(&flow);
        inbox.map(|it| it.drain(..).collect()).unwrap_or_default()
    }

    /// Takes the first message of an inbox that is like this.
    pub(crate) fn take_if(
        &mut self,
        flow: Flow,
        wanted: impl Fn(&Message) -> bool,
    ) -> Option<Message> {
        let inbox = self.inboxes.get_mut(&flow)?;
        let place = inbox.iter().position(wanted)?;
        inbox.remove(place)
    }

    /// What is in an inbox.
    pub(crate) fn there(&self, flow: Flow) -> Vec<String> {
        let inbox = self.inboxes.get(&flow).into_iter().flatten();
        inbox.map(crate::peer::what).collect()
    }

    /// The devices of a user.
    pub(crate) fn devices(&mut self, user: &str) -> Vec<DeviceView> {
        match self.ask(user, Question::Devices(Some(address(user)))) {
            Ok(Answer::Devices(devices)) => devices,
            other => panic!("{other:?}"),
        }
    }
}
