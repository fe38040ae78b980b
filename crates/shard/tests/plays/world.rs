//! The shards of one server, a map as the store, the clients, and a clock that jumps.

use crate::{
    client::Client,
    clouds::Clouds,
    phone::Phones,
    store::Store,
    time,
    users::{
        COMPONENTS, DOMAIN, ODD, START, USERS, account, address, bearers, call_settings, hub_config,
    },
};
use call::{Role, Shared};
use domain::{
    Address, ArchivePage, ArchiveQuery, Change, Message, Note, Now, Record, Slice, TraceEvent,
    archive::sides,
};
use hub::{Accounts, Hub, NotDone, Question, Ticket};
use shard::{Input, Output, Shard};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};
use xmpp::stream::Framing;

pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) store: Store,
    pub(crate) shards: Vec<Shard>,
    pub(crate) inputs: VecDeque<(usize, Input)>,
    pub(crate) clients: BTreeMap<String, Client>,
    pub(crate) phones: Phones,
    pub(crate) clouds: Clouds,
    /// What was archived, in the order in which it came.
    pub(crate) archive: Vec<Arc<Message>>,
    pub(crate) streams: u64,
    /// What stories tell.
    pub(crate) story: Vec<TraceEvent>,
    /// What was refused, by the name of the reason.
    pub(crate) refused: BTreeMap<&'static str, u32>,
    /// How they are framed.
    pub(crate) framing: Framing,
    pub(crate) numbers: u32,
    /// How often the server was started anew.
    runs: u8,
    /// What roles asked of hubs, by shard and ticket.
    pub(crate) orders: BTreeMap<Ticket, (usize, Ticket)>,
    /// What plays call `$id`.
    pub(crate) named: BTreeMap<String, String>,
    /// What a slow store has not said yet.
    pub(crate) held: Option<Vec<(usize, Input)>>,
    /// The store saves nothing any more.
    pub(crate) hangs: bool,
    /// It refuses the next step.
    pub(crate) refuses: bool,
    /// What one role says to another, while shards are apart.
    pub(crate) apart: Option<Vec<(usize, Input)>>,
}

fn some_instant() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    Instant::now()
}

/// New shards that know nothing but who has an account. No run has the entropy of another one.
fn start(shards: usize, run: u8, accounts: &Accounts) -> Vec<Shard> {
    let shared = Shared::new([1; 32], &call_settings().domains);
    let shard = |number: usize| {
        let mut call = call_settings();
        let number = u8::try_from(number).unwrap();
        call.shard = call::Shard { number, of: shards };
        let mut seed = [number; 32];
        seed[0] = run;
        let hub = hub::Config {
            seed,
            ..hub_config()
        };
        let call = Role::new(call, shared.clone(), accounts.clone(), seed);
        let im = im::Settings::new(&[DOMAIN.to_owned()], [7; 32]).unwrap();
        let im = im::Settings {
            sessions_per_user: 5,
            bearers: Some(bearers()),
            components: COMPONENTS.map(Box::from).into(),
            component_stanzas: 20,
            user_stanzas: 1_500,
            ..im
        };
        let im = im::Role::new(im, accounts.clone(), seed);
        Shard::new(Hub::new(hub, accounts.clone()), call, im)
    };
    (0..shards).map(shard).collect()
}

impl World {
    pub(crate) fn new(shards: usize, framing: Framing) -> Self {
        let accounts = Accounts::default();
        let mut store = Store::default();
        for user in USERS.into_iter().chain([ODD]).map(account) {
            accounts.put(user.clone());
            store.kept.users.insert(user.address.clone(), user);
        }
        let now = Now {
            instant: some_instant(),
            wall: START,
        };
        let mut shards = start(shards, 0, &accounts);
        for shard in &mut shards {
            shard.begin(now);
        }
        Self {
            now,
            store,
            shards,
            inputs: VecDeque::new(),
            clients: BTreeMap::new(),
            phones: Phones::default(),
            clouds: Clouds::default(),
            archive: Vec::new(),
            streams: 0,
            story: Vec::new(),
            refused: BTreeMap::new(),
            framing,
            numbers: 0,
            runs: 0,
            orders: BTreeMap::new(),
            named: BTreeMap::new(),
            held: None,
            hangs: false,
            refuses: false,
            apart: None,
        }
    }

    pub(crate) fn shard_of(&self, user: &Address) -> usize {
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

    /// All that is said is heard, until nobody says anything.
    pub(crate) fn settle(&mut self) {
        while let Some((shard, input)) = self.inputs.pop_front() {
            self.shards[shard].handle(self.now, input);
            self.perform(shard);
        }
    }

    fn perform(&mut self, shard: usize) {
        while let Some(output) = self.shards[shard].poll() {
            let input = match output {
                Output::Im(output) => {
                    self.im(shard, output);
                    continue;
                }
                Output::Transmit(transmit) => {
                    self.phone_gets(transmit.flow, transmit.bytes);
                    continue;
                }
                Output::Save(..) if self.hangs => continue,
                Output::Save(id, _) if std::mem::take(&mut self.refuses) => {
                    let why = NotDone::Failed("the disk is full".to_owned());
                    Input::Saved(id, Err(why))
                }
                Output::Note(note) => {
                    if let Note::Story(event) = note {
                        self.story.push(event);
                    }
                    continue;
                }
                Output::Save(id, changes) => {
                    self.archives(&changes);
                    match self.store.save(shard, id, changes) {
                        Some((_, id, result)) => Input::Saved(id, result),
                        None => continue,
                    }
                }
                Output::Fetch(device) => {
                    let head = self.store.head(&device);
                    Input::Fetched(device, Some(head))
                }
                Output::Count(push, device, message) => {
                    let unread = self.store.unread(&device, message.as_ref());
                    Input::Counted(push, Some(unread))
                }
                Output::FetchRoster(user) => {
                    let contacts = self.store.roster(&user);
                    Input::RosterRead(user, Some(contacts))
                }
                Output::Tell(user, word) => {
                    let owner = self.shard_of(&user);
                    self.inputs.push_back((owner, Input::Told(user, word)));
                    continue;
                }
                Output::Reach(id, _) => Input::Reached(id, None),
                Output::Relay(id, _) => Input::Relayed(id, Err("no relay".to_owned())),
                Output::Push(order) => self.clouds.take(*order),
                Output::Answer(ticket, answer) => {
                    self.account_answered(ticket, answer);
                    continue;
                }
                Output::Refused(_, why) => {
                    *self.refused.entry(why.name()).or_default() += 1;
                    continue;
                }
                Output::Close(flow) => {
                    self.phones.closed.insert(flow.id);
                    continue;
                }
                Output::RelayEnds(_)
                | Output::Measured(_)
                | Output::Request(..)
                | Output::RegisterToInvite(_) => continue,
            };
            match &mut self.held {
                Some(held) => held.push((shard, input)),
                None => self.inputs.push_back((shard, input)),
            }
        }
    }

    fn archives(&mut self, changes: &[Change]) {
        let archived = changes.iter().filter_map(|change| match change {
            Change::Archive(message) => Some(message.clone()),
            _ => None,
        });
        self.archive.extend(archived);
    }

    /// A page of a user's archive.
    pub(crate) fn page(&self, user: &Address, query: &ArchiveQuery) -> Option<ArchivePage> {
        let is_theirs = |message: &&Arc<Message>| {
            sides(&message.from, &message.to).any(|(owner, _)| owner == *user)
        };
        let theirs: Vec<_> = self.archive.iter().filter(is_theirs).cloned().collect();
        query.page(user, &theirs)
    }

    /// The store keeps its answers to itself, or gives them.
    pub(crate) fn store_is_slow(&mut self, slow: bool) {
        if let Some(held) = self.held.take() {
            self.inputs.extend(held);
            self.settle();
        }
        self.held = slow.then(Vec::new);
    }

    /// What one role says to another waits, or is heard.
    pub(crate) fn shards_are_apart(&mut self, apart: bool) {
        if let Some(said) = self.apart.take() {
            self.inputs.extend(said);
            self.settle();
        }
        self.apart = apart.then(Vec::new);
    }

    /// The server is asked to stop: what it still says to the store is heard.
    pub(crate) fn stops(&mut self) {
        for shard in 0..self.shards.len() {
            self.shards[shard].stop(self.now);
            self.perform(shard);
        }
        self.settle();
        self.store_is_slow(false);
    }

    /// The server is killed, or has stopped, and is started anew with so many shards: nobody hears what was not said yet.
    pub(crate) fn restarts(&mut self, shards: usize) {
        self.inputs.clear();
        (self.held, self.apart) = (None, None);
        self.hangs = false;
        self.store.dies();
        self.clients.clear();
        let accounts = Accounts::default();
        self.runs = self.runs.wrapping_add(1);
        self.shards = start(shards, self.runs, &accounts);
        let mut last = 0;
        for record in self.store.records() {
            match &record {
                Record::Device(device) => last = self.shard_of(&device.user),
                Record::Unclaimed(user, _) => last = self.shard_of(user),
                Record::Session(session) => last = self.shard_of(&session.user),
                _ => {}
            }
            self.shards[last].load(record).unwrap();
        }
        for shard in 0..self.shards.len() {
            self.shards[shard].begin(self.now);
            self.perform(shard);
        }
        self.settle();
    }

    /// The server is asked to stop and is started with so many shards; `None`: it is killed, and started as it was.
    pub(crate) fn starts_anew(&mut self, shards: Option<usize>) -> Result<(), String> {
        if shards.is_some() {
            self.stops();
            if self.shards.iter().any(Shard::is_keeping) {
                return Err("sessions are not kept".to_owned());
            }
        }
        self.restarts(shards.unwrap_or(self.shards.len()));
        Ok(())
    }

    /// By an operator.
    pub(crate) fn account_is_removed(&mut self, user: &str) {
        let user = address(user);
        let shard = self.shard_of(&user);
        let asked = Input::Asked(Ticket(1), Question::RemoveUser(user));
        self.inputs.push_back((shard, asked));
        self.settle();
    }

    /// By an operator.
    pub(crate) fn password_is_changed(&mut self, user: &str) {
        let mut account = account(user);
        account.secrets.sha256 = "0".repeat(64);
        account.secrets.mark = 1;
        let shard = self.shard_of(&account.address);
        let asked = Input::Asked(Ticket(1), Question::PutUser(Box::new(account), 0));
        self.inputs.push_back((shard, asked));
        self.settle();
    }

    /// Everybody goes, and nothing of them is left.
    pub(crate) fn ends(&mut self) -> Result<(), String> {
        let names: Vec<String> = self.clients.keys().cloned().collect();
        for name in names {
            self.lost(&name)?;
            self.clients.remove(&name);
        }
        // Longer than anybody hibernates.
        self.pass(Duration::from_hours(73));
        for shard in &self.shards {
            let load = shard.load_now().im;
            if load != im::Load::default() {
                return Err(format!("left behind: {load:?}"));
            }
        }
        Ok(())
    }
}
