//! What each thing that a shard says means outside: the one place that touches sockets, store, push clients, resolver and
//! other shards for it.

use super::{
    account_orders::AccountOrders,
    bus::{Bus, Word},
    commits::Commits,
    seal::{seal_into, sealable},
};
use crate::{
    live::Live,
    media::Media,
    metrics::{Door, Load, Metrics},
};
use call::{Description, MediaId, Over, ReachId, Way, is_spiral};
use domain::{Address, ArchiveQuery, DeviceId, MessageId, Note, NotificationId, Now, wake::Stage};
use hub::{Answer, Measure, NotDone, PushOrder, Pushed, Question, Ticket};
use shard::{Input, Output, Shard, Spoken};
use sip::{Flow, Message, endpoint::Transmit};
use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use store::{Store, StoreError};
use tokio::sync::oneshot;

/// What the performer works with.
pub(super) struct Tools {
    pub(super) net: net::Net,
    pub(super) store: Arc<dyn Store>,
    pub(super) pusher: push::Pusher,
    /// Nothing, where no media are relayed.
    pub(super) media: Option<Media>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) live: Live,
    pub(super) bus: Bus,
    pub(super) steer: net::Steer,
}

/// See above.
pub(super) struct Performer {
    tools: Tools,
    account_orders: AccountOrders,
    /// Which shard this is.
    number: usize,
    pub(super) commits: Commits,
    notes: Vec<Note>,
    /// Who waits for an answer of the hub.
    asked: HashMap<Ticket, oneshot::Sender<Result<Answer, NotDone>>>,
    tickets: u64,
    /// What comes back to the shard before anything else.
    back: VecDeque<Input>,
    /// What the metrics know of this shard.
    load: Load,
}

impl Performer {
    pub(super) fn new(number: usize, tools: Tools) -> Self {
        let shards = super::Shards::new(tools.bus.clone());
        Self {
            account_orders: AccountOrders::new(tools.store.clone(), shards),
            tools,
            number,
            commits: Commits::default(),
            notes: Vec::new(),
            asked: HashMap::new(),
            tickets: 0,
            back: VecDeque::new(),
            load: Load::default(),
        }
    }

    /// Does all that the shard says, and what follows from it.
    pub(super) fn perform(&mut self, now: Now, shard: &mut Shard) {
        loop {
            while let Some(output) = shard.poll() {
                self.output(shard, output);
            }
            let Some(input) = self.back.pop_front() else {
                break;
            };
            shard.handle(now, input);
        }
    }

    /// Ends a turn: what is to be saved goes to the store, what was sent leaves.
    pub(super) fn end_turn(&mut self, shard: &Shard) {
        self.commits.hand_in(self.tools.store.as_ref());
        if !self.notes.is_empty() {
            self.tools.store.note(std::mem::take(&mut self.notes));
        }
        self.tools.net.flush();
        let load = Load::of(shard.hub());
        if load != self.load {
            self.tools.metrics.load_changed(self.load, load);
            self.load = load;
        }
    }

    /// What the store says of steps.
    pub(super) fn saved(now: Now, shard: &mut Shard, verdicts: super::commits::Verdicts) {
        for (id, result) in verdicts {
            shard.handle(now, Input::Saved(id, result));
        }
    }

    /// Takes in a word.
    pub(super) fn word(&mut self, now: Now, shard: &mut Shard, word: Word) {
        let input = match word {
            Word::Ask(question, reply) => self.ask(question, reply),
            Word::Fetched(device, messages) => Input::Fetched(device, messages),
            Word::Counted(push, unread) => Input::Counted(push, unread),
            Word::RosterRead(user, contacts) => Input::RosterRead(user, contacts),
            Word::Told(user, word) => Input::Told(user, word),
            Word::CardRead(ticket, card) => Input::Im(im::Input::Card(ticket, card)),
            Word::AccountDone(ticket, done) => Input::Im(im::Input::Account(ticket, done)),
            Word::PageRead(ticket, page) => Input::Im(im::Input::Page(ticket, page)),
            Word::TokensRead(ticket, tokens) => Input::Im(im::Input::Tokens(ticket, tokens)),
            Word::Posted(user, post) => Input::Im(im::Input::Posted(user, post)),
            Word::ForComponent(domain, post) => Input::Im(im::Input::ForComponent(domain, post)),
            Word::Pushed(pushed) => Input::Pushed(pushed),
            Word::Reconfigure(decided) => {
                self.tools.pusher = decided.pusher.clone();
                return shard.reconfigure(decided.hub.clone(), decided.call.clone());
            }
            Word::Reached(id, flow) => Input::Reached(id, flow),
            Word::Relayed(id, answer) => Input::Relayed(id, answer),
            Word::Spiral(flow, message) => Input::Received(flow, message),
            Word::Find {
                shard: asking,
                id,
                user,
                device,
                flow,
                since,
            } => {
                let found = shard.find(&user, device.as_ref(), flow, since);
                let bus = &self.tools.bus;
                return bus.tell_soon(asking, Word::Reached(id, found));
            }
        };
        shard.handle(now, input);
    }

    /// A message could not be read.
    pub(super) fn malformed(&self) {
        self.tools.metrics.malformed();
    }

    fn ask(
        &mut self,
        question: Question,
        reply: oneshot::Sender<Result<Answer, NotDone>>,
    ) -> Input {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.asked.insert(ticket, reply);
        Input::Asked(ticket, question)
    }

    fn output(&mut self, shard: &Shard, output: Output) {
        match output {
            Output::Im(output) => self.im(output),
            Output::Transmit(transmit) if is_spiral(transmit.flow) => self.spiral(&transmit),
            Output::Transmit(transmit) => self.tools.net.send(transmit),
            Output::Close(flow) => self.tools.net.close(flow),
            Output::Reach(id, way) => self.reach(shard, id, way),
            Output::Relay(id, description) => self.relay(id, *description),
            Output::RelayEnds(over) => self.relay_ends(over),
            Output::Save(id, changes) => self.commits.add(id, changes),
            Output::Note(note) => {
                log_note(&note);
                let owner = |device: &DeviceId| shard.user_of(device);
                self.tools.live.happened(&note, owner);
                self.notes.push(note);
            }
            Output::Fetch(device) => self.fetch(device),
            Output::Count(push, device, message) => self.count(push, device, message),
            Output::FetchRoster(user) => self.fetch_roster(user),
            Output::Tell(user, word) => self.tell(user, word),
            Output::Push(order) => self.push(*order),
            Output::Answer(ticket, answer) => self.answer(shard, ticket, answer),
            Output::Measured(measure) => self.measured(measure),
            Output::Refused(spoken, why) => {
                let door = match spoken {
                    Spoken::Sip => Door::Sip,
                    Spoken::Xmpp => Door::Xmpp,
                };
                self.tools.metrics.refused_at(door, why);
            }
            Output::Request(method, flow) => self.tools.metrics.request(&method, flow.transport),
            Output::RegisterToInvite(took) => {
                self.tools.metrics.wake_stage("register_to_invite", took);
            }
        }
    }

    /// A request to ourselves, or its response: it goes to the shard that it is for.
    fn spiral(&mut self, transmit: &Transmit) {
        let limits = sip::Limits::default();
        let Ok(message) = Message::parse(transmit.bytes.clone(), &limits) else {
            tracing::error!("a request of ours to ourselves cannot be read: please report this");
            return;
        };
        let shard = (self.tools.steer)(&transmit.flow, &message);
        if shard == self.number {
            self.back.push_back(Input::Received(transmit.flow, message));
        } else {
            let word = Word::Spiral(transmit.flow, message);
            self.tools.bus.tell_soon(shard, word);
        }
    }

    fn reach(&mut self, shard: &Shard, id: ReachId, way: Way) {
        let net = &self.tools.net;
        let found = match way {
            Way::Address {
                transport,
                address,
                name: Some(name),
            } => Some(net.connect_named(transport, address, &name)),
            Way::Address {
                transport,
                address,
                name: None,
            } => Some(net.connect(transport, address)),
            Way::Host {
                transport,
                host,
                port,
                at,
            } => return self.resolve(id, transport, (host, port), at),
            Way::Device {
                user,
                device,
                flow,
                since,
            } => {
                let owner = self.tools.bus.shard_of(&user);
                if owner != self.number {
                    let word = Word::Find {
                        shard: self.number,
                        id,
                        user,
                        device,
                        flow,
                        since,
                    };
                    return self.tools.bus.tell_soon(owner, word);
                }
                shard.find(&user, device.as_ref(), flow, since)
            }
        };
        self.back.push_back(Input::Reached(id, found));
    }

    fn relay(&self, id: MediaId, description: Description) {
        let Tools { media, bus, .. } = &self.tools;
        let (media, bus, number) = (media.clone(), bus.clone(), self.number);
        tokio::spawn(async move {
            let answer = match media {
                Some(media) => media.relay(description).await,
                None => Err("there is no relay".to_owned()),
            };
            bus.tell(number, Word::Relayed(id, answer)).await;
        });
    }

    fn relay_ends(&self, over: Over) {
        if let Some(media) = self.tools.media.clone() {
            tokio::spawn(async move { media.forget(&over).await });
        }
    }

    fn resolve(
        &self,
        id: ReachId,
        transport: sip::Transport,
        (host, port): (String, u16),
        at: Option<IpAddr>,
    ) {
        let (bus, net, number) = (self.tools.bus.clone(), self.tools.net.clone(), self.number);
        tokio::spawn(async move {
            let found = net::resolve(&host, port).await;
            let wanted = |found: &SocketAddr| at.is_none_or(|at| found.ip().to_canonical() == at);
            let address = found.ok().and_then(|found| found.into_iter().find(wanted));
            let flow = address.map(|address| net.connect_named(transport, address, &host));
            bus.tell(number, Word::Reached(id, flow)).await;
        });
    }

    /// Reads the head of a device's queue: what was saved before it was asked for is in it.
    fn fetch(&self, device: DeviceId) {
        let (store, bus, number) = (
            self.tools.store.clone(),
            self.tools.bus.clone(),
            self.number,
        );
        tokio::spawn(async move {
            let messages = match store.queued(&device, domain::delivery::BATCH).await {
                Ok(messages) => Some(messages.into_iter().map(Arc::new).collect()),
                Err(error) => {
                    tracing::error!(%device, %error, "a queue could not be read: it waits for the device's next registration");
                    None
                }
            };
            bus.tell(number, Word::Fetched(device, messages)).await;
        });
    }

    /// Reads what is unread on the device that a push is for: what was saved before it was asked for is in it.
    fn count(&self, push: NotificationId, device: DeviceId, message: Option<MessageId>) {
        let Tools { store, bus, .. } = &self.tools;
        let (store, bus, number) = (store.clone(), bus.clone(), self.number);
        tokio::spawn(async move {
            let unread = match store.unread(&device, message.as_ref()).await {
                Ok(unread) => Some(unread),
                Err(error) => {
                    tracing::error!(%device, %error, "what is unread could not be counted: all that waits is taken for it");
                    None
                }
            };
            bus.tell(number, Word::Counted(push, unread)).await;
        });
    }

    /// Reads whom a user knows: what was saved before it was asked for is in it.
    fn fetch_roster(&self, user: Address) {
        let Tools { store, bus, .. } = &self.tools;
        let (store, bus, number) = (store.clone(), bus.clone(), self.number);
        tokio::spawn(async move {
            let contacts = match store.roster(&user).await {
                Ok(contacts) => Some(contacts),
                Err(error) => {
                    tracing::error!(%user, %error, "a roster could not be read: what it was wanted for is not done");
                    None
                }
            };
            bus.tell(number, Word::RosterRead(user, contacts)).await;
        });
    }

    /// Reads a page of a user's archive: what was saved before it was asked for is in it.
    fn read_archive(&self, ticket: Ticket, user: Address, query: Box<ArchiveQuery>) {
        let Tools { store, bus, .. } = &self.tools;
        let (store, bus, number) = (store.clone(), bus.clone(), self.number);
        tokio::spawn(async move {
            let page = match store.archive(&user, &query).await {
                Ok(page) => page.ok_or(NotDone::Missing),
                Err(error @ StoreError::Overloaded) => {
                    tracing::warn!(%user, %error, "an archive could not be read");
                    Err(NotDone::Overloaded)
                }
                Err(error) => {
                    tracing::error!(%user, %error, "an archive could not be read");
                    Err(NotDone::Failed(error.to_string()))
                }
            };
            bus.tell(number, Word::PageRead(ticket, page)).await;
        });
    }

    /// Reads a user's card: what was saved before it was asked for is in it.
    fn read_card(&self, ticket: Ticket, user: Address) {
        let Tools { store, bus, .. } = &self.tools;
        let (store, bus, number) = (store.clone(), bus.clone(), self.number);
        tokio::spawn(async move {
            let card = store.card(&user).await.map_err(|error| {
                tracing::error!(%user, %error, "a card could not be read");
                match error {
                    StoreError::Overloaded => NotDone::Overloaded,
                    error => NotDone::Failed(error.to_string()),
                }
            });
            bus.tell(number, Word::CardRead(ticket, card)).await;
        });
    }

    /// Reads what an installation of a user's client signs in with.
    fn read_sign_in_tokens(&self, ticket: Ticket, user: Address, client: String) {
        let Tools { store, bus, .. } = &self.tools;
        let (store, bus, number) = (store.clone(), bus.clone(), self.number);
        tokio::spawn(async move {
            let tokens = store.sign_in_tokens(&user, &client).await;
            let tokens = tokens.map(|it| it.map(|it| it.data)).map_err(|error| {
                tracing::error!(%user, %error, "what a client signs in with could not be read");
                NotDone::Failed(error.to_string())
            });
            bus.tell(number, Word::TokensRead(ticket, tokens)).await;
        });
    }

    /// What goes to streams of XMPP, and from one user's role to that of another.
    fn im(&mut self, output: im::Output) {
        let net = &self.tools.net;
        match output {
            im::Output::Write(stream, octets) => net.write(stream, octets),
            im::Output::SignedIn(stream, anew) => net.signed_in(stream, anew),
            im::Output::End(stream) => net.end(stream),
            im::Output::Read(ticket, user, query) => self.read_archive(ticket, user, query),
            im::Output::ReadCard(ticket, user) => self.read_card(ticket, user),
            im::Output::ReadTokens(ticket, user, client) => {
                self.read_sign_in_tokens(ticket, user, client);
            }
            im::Output::Account(ticket, order) => {
                let orders = self.account_orders.clone();
                let (bus, number) = (self.tools.bus.clone(), self.number);
                tokio::spawn(async move {
                    let done = orders.carry_out(*order).await;
                    bus.tell(number, Word::AccountDone(ticket, done)).await;
                });
            }
            im::Output::Post(user, post) => {
                let shard = self.tools.bus.shard_of(&user);
                if shard == self.number {
                    let posted = im::Input::Posted(user, post);
                    self.back.push_back(Input::Im(posted));
                } else {
                    self.tools.bus.tell_soon(shard, Word::Posted(user, post));
                }
            }
            im::Output::Component(domain, post) => {
                let shard = self.tools.bus.shard_of_name(&domain);
                if shard == self.number {
                    let posted = im::Input::ForComponent(domain, post);
                    self.back.push_back(Input::Im(posted));
                } else {
                    let word = Word::ForComponent(domain, post);
                    self.tools.bus.tell_soon(shard, word);
                }
            }
            im::Output::Published(app, channel, outcome) => {
                self.tools.metrics.published(&app, channel, &outcome);
            }
            // The shard keeps these to itself.
            im::Output::Hub(_) | im::Output::Note(_) | im::Output::Refused(_) => {}
        }
    }

    /// What one user says to another goes to the shard of that other one.
    fn tell(&mut self, user: Address, word: hub::Word) {
        let shard = self.tools.bus.shard_of(&user);
        if shard == self.number {
            self.back.push_back(Input::Told(user, word));
        } else {
            self.tools.bus.tell_soon(shard, Word::Told(user, word));
        }
    }

    fn push(&self, order: PushOrder) {
        let Tools {
            store,
            bus,
            pusher,
            metrics,
            ..
        } = &self.tools;
        let (store, bus, pusher) = (store.clone(), bus.clone(), pusher.clone());
        let (metrics, number) = (metrics.clone(), self.number);
        tokio::spawn(async move {
            let PushOrder {
                push,
                device,
                mut notification,
                key,
                secret,
                since,
            } = order;
            seal_into(&mut notification, key.as_ref(), &secret, store.as_ref()).await;
            let token = notification.token.clone().into();
            if let Some(keyed) = sealable(&notification.token, key.as_ref()) {
                notification.token = keyed;
            }
            if let Some(since) = since {
                metrics.wake_stage("invite_to_push", since.elapsed());
            }
            let outcome = pusher.push(notification).await;
            let pushed = Pushed {
                push,
                device,
                token,
                outcome,
            };
            bus.tell(number, Word::Pushed(pushed)).await;
        });
    }

    fn answer(&mut self, shard: &Shard, ticket: Ticket, answer: Result<Answer, NotDone>) {
        let Some(reply) = self.asked.remove(&ticket) else {
            return;
        };
        let answer = answer.map(|answer| match answer {
            Answer::Devices(mut views) => {
                for view in &mut views {
                    for door in &mut view.doors {
                        let id = domain::DoorId {
                            device: view.device.id.clone(),
                            number: door.number,
                        };
                        door.behind = shard.describe(&id).unwrap_or_default();
                    }
                }
                Answer::Devices(views)
            }
            done @ Answer::Done => done,
        });
        // Whoever asked may have gone.
        let _ = reply.send(answer);
    }

    fn measured(&self, measure: Measure) {
        let metrics = &self.tools.metrics;
        match measure {
            Measure::WakeStage(stage, took) => {
                let stage = match stage {
                    Stage::PushToRegister => "push_to_register",
                    Stage::InviteToRing => "invite_to_ring",
                };
                metrics.wake_stage(stage, took);
            }
            Measure::WakeEnded(verdict) => metrics.wake_ended(verdict),
            Measure::Message(outcome) => metrics.message(outcome),
            // The push client has counted it.
            Measure::TokenDied => {}
            Measure::Refused(why) => metrics.refused(why),
        }
    }
}

/// The flow of a message as an input.
pub(super) fn received(flow: Flow, message: Message) -> Input {
    Input::Received(flow, message)
}

/// What happens, as it happens, for whoever wants to see it (`observe.log`): `serve --dev` does.
fn log_note(note: &Note) {
    match note {
        Note::Story(event) => tracing::debug!(
            target: "stories",
            story = %event.tracking,
            device = event.device.as_ref().map(tracing::field::display),
            "{}: {}",
            event.step.name(),
            event.detail.escape_debug()
        ),
        Note::History(entry) => {
            tracing::debug!(target: "stories", device = %entry.device, "{}", entry.what.escape_debug());
        }
    }
}
