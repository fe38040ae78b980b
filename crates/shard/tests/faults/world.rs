//! A world around the shards of one server: peers that are nothing but an inbox for each flow, so that a test decides
//! every octet that they send; a map as the store; a cloud that is a table; and a clock that jumps.

mod checks;
mod perform;
mod relay;

pub(crate) use relay::Relay;

use crate::{
    cloud::Cloud,
    settings::{account, address, at, hub_config, settings},
    store::Store,
    time,
};
use call::{Relaying, Role, Settings, Shared};
use domain::{Address, Now, Record, Refusal, Slice, Timestamp, TraceEvent};
use hub::{Accounts, Answer, DeviceView, Hub, NotDone, Question, Ticket};
use shard::{Input, Shard, steer};
use sip::{Flow, Message, Transport};
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) store: Store,
    pub(crate) cloud: Cloud,
    pub(crate) story: Vec<TraceEvent>,
    /// What was refused, and how often.
    pub(crate) refused: HashMap<Refusal, usize>,
    /// Who takes connections.
    pub(crate) listening: HashSet<SocketAddr>,
    /// What names stand for.
    pub(crate) hosts: HashMap<String, IpAddr>,
    /// Flows that are asked for wait for [`World::reached`].
    pub(crate) reaching: bool,
    reached: Vec<(usize, Input)>,
    pub(crate) relay: Relay,
    pub(crate) settings: Settings,
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
        Self::relaying(shards, Relaying::Off)
    }

    /// The same, where this is done about media of parties outside.
    pub(crate) fn relaying(shards: usize, relaying: Relaying) -> Self {
        let mut world = Self {
            now: Now {
                instant: some_instant(),
                wall: Timestamp(1_700_000_000_000),
            },
            store: Store::default(),
            cloud: Cloud::default(),
            story: Vec::new(),
            refused: HashMap::new(),
            listening: HashSet::new(),
            hosts: HashMap::new(),
            reaching: false,
            reached: Vec::new(),
            relay: Relay::default(),
            settings: Settings {
                relaying,
                ..settings()
            },
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
        let put = Question::PutUser(Box::new(account(user, forward)), 0);
        self.ask(user, put).unwrap();
    }

    /// Who has an account.
    pub(crate) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Who may try a password.
    pub(crate) fn guards(&self) -> &hub::Guards {
        self.accounts.guards()
    }

    /// How many shards there are.
    pub(crate) fn count(&self) -> usize {
        self.shards.len()
    }

    fn start(&mut self, count: usize) -> (Accounts, Vec<Shard>) {
        self.starts += 1;
        let accounts = Accounts::default();
        let shared = Shared::new([self.starts; 32], &self.settings.domains);
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
            let role = Role::new(call, shared.clone(), accounts.clone(), seed);
            let im = im::Settings::new(&["localhost".to_owned()], [7; 32]).unwrap();
            let im = im::Role::new(im, accounts.clone(), seed);
            Shard::new(Hub::new(hub, accounts.clone()), role, im)
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
        // Where a client came in at an edge is none of our addresses.
        let listener = match transport {
            Transport::Edge => Transport::Tls,
            ours => ours,
        };
        let mut bound = self.settings.bound.iter();
        let (_, local) = *bound.find(|(it, _)| *it == listener).unwrap();
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

    /// Whether a connection is up.
    pub(crate) fn is_open(&self, flow: Flow) -> bool {
        self.open.contains(&flow)
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
        let ticket = self.asks(shard, question);
        self.answered(ticket)
    }

    /// An API asks, and may be answered later.
    pub(crate) fn ask_later(&mut self, user: &str, question: Question) -> Ticket {
        self.asks(self.shard_of(&address(user)), question)
    }

    fn asks(&mut self, shard: usize, question: Question) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.inputs
            .push_back((shard, Input::Asked(ticket, question)));
        self.settle();
        ticket
    }

    /// What an API was answered.
    pub(crate) fn answered(&mut self, ticket: Ticket) -> Option<Result<Answer, NotDone>> {
        self.answers.remove(&ticket)
    }

    fn shard_of(&self, user: &Address) -> usize {
        Slice::of(user).shard(self.shards.len())
    }

    /// Time passes, and everything that is due on the way happens when it is due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.instant + time;
        while let Some((at, shard)) = time::next(&self.shards, self.now, end) {
            time::jump(&mut self.now, at);
            self.shards[shard].handle_timeout(self.now);
            self.perform(shard);
            self.settle();
        }
        time::jump(&mut self.now, end);
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
