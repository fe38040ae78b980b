//! Users on several hubs, what their hubs tell each other, and the store. What is shown is written down in words.

use crate::world::{self, StoreMood};
use bytes::Bytes;
use domain::{
    Address, Change, Now, Timestamp, User,
    presence::{News, Resource, Seen, Show},
    roster::{Contact, Direction, Request},
    user::Secrets,
};
use hub::{
    Accounts, Config, Hub, Input, Listing, NotDone, Output, Question, Said, SaveId, Showing, Sight,
    Ticket, Word,
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

pub struct Town {
    start: Instant,
    pub millis: u64,
    /// See [`hub_of`].
    hubs: Vec<Hub>,
    config: Config,
    accounts: Accounts,
    pub mood: StoreMood,
    /// Rosters can be read.
    pub reads: bool,
    pub kept: BTreeMap<(Address, Address), Contact>,
    waiting: Vec<(usize, SaveId, Vec<Change>)>,
    /// What hubs tell each other, in order, from which hub to which user.
    pub wire: VecDeque<(usize, Address, Word)>,
    /// Words stay on the wire until they are carried.
    pub slow: bool,
    shown: Vec<String>,
    answers: BTreeMap<Ticket, Result<(), NotDone>>,
    pub rosters: BTreeMap<Ticket, Result<hub::Roster, NotDone>>,
    tickets: u64,
    pub saves: usize,
    pub fetches: usize,
}

pub fn at(name: &str) -> Address {
    Address::new(name, "localhost").unwrap()
}

/// Romeo and his friends are on one hub, and Juliet on the other.
fn hub_of(user: &Address) -> usize {
    user.name().len() % 2
}

impl Town {
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = world::config();
        change(&mut config);
        let accounts = Accounts::default();
        for name in ["romeo", "juliet", "nurse"] {
            accounts.put(User {
                address: at(name),
                display_name: String::new(),
                secrets: Secrets {
                    md5: String::new(),
                    sha256: String::new(),
                    scram: None,
                    mark: 0,
                },
                forward: None,
            });
        }
        let mut town = Self {
            start: Instant::now(),
            millis: 1000,
            hubs: Vec::new(),
            config,
            accounts,
            mood: StoreMood::Saves,
            reads: true,
            kept: BTreeMap::new(),
            waiting: Vec::new(),
            wire: VecDeque::new(),
            slow: false,
            shown: Vec::new(),
            answers: BTreeMap::new(),
            rosters: BTreeMap::new(),
            tickets: 0,
            saves: 0,
            fetches: 0,
        };
        town.restarts();
        town
    }

    /// All hubs forget what they have in memory.
    pub fn restarts(&mut self) {
        let hub = |_| Hub::new(self.config.clone(), self.accounts.clone());
        self.hubs = (0..2).map(hub).collect();
    }

    pub fn hub(&self, user: &str) -> &Hub {
        &self.hubs[hub_of(&at(user))]
    }

    fn now(&self) -> Now {
        Now {
            instant: self.start + Duration::from_millis(self.millis),
            wall: Timestamp(self.millis),
        }
    }

    pub fn pass(&mut self, millis: u64) {
        self.millis += millis;
        for hub in 0..self.hubs.len() {
            let now = self.now();
            self.hubs[hub].handle_timeout(now);
            self.run(hub);
        }
        self.carry_all();
    }

    fn handle(&mut self, user: &Address, input: Input) {
        let (now, hub) = (self.now(), hub_of(user));
        self.hubs[hub].handle(now, input);
        self.run(hub);
        self.carry_all();
    }

    fn carry_all(&mut self) {
        while !self.slow && self.carry(0) {}
    }

    /// Carries the oldest word that comes from this hub or, if there is none, the oldest of all.
    pub fn carry(&mut self, from: usize) -> bool {
        let place = self.wire.iter().position(|(hub, ..)| *hub == from);
        let Some((_, user, word)) = self.wire.remove(place.unwrap_or_default()) else {
            return false;
        };
        let (now, hub) = (self.now(), hub_of(&user));
        self.hubs[hub].handle(now, Input::Told(user, word));
        self.run(hub);
        true
    }

    fn run(&mut self, hub: usize) {
        while let Some(output) = self.hubs[hub].poll() {
            let input = match output {
                Output::Save(id, changes) => {
                    self.saves += 1;
                    match self.mood {
                        StoreMood::Saves => self.keep(id, changes),
                        StoreMood::Waits => {
                            self.waiting.push((hub, id, changes));
                            continue;
                        }
                        StoreMood::Refuses => {
                            Input::Saved(id, Err(NotDone::Failed("disk full".to_owned())))
                        }
                    }
                }
                Output::FetchRoster(user) => {
                    self.fetches += 1;
                    let of = self.kept.values().filter(|it| it.user == user);
                    let contacts = self.reads.then(|| of.cloned().collect());
                    Input::RosterRead(user, contacts)
                }
                Output::Tell(user, word) => {
                    self.wire.push_back((hub, user, word));
                    continue;
                }
                Output::Show(showing) => {
                    self.shown.push(in_words(&showing));
                    continue;
                }
                Output::Done(ticket, result) => {
                    assert_eq!(self.answers.insert(ticket, result), None);
                    continue;
                }
                Output::Roster(ticket, roster) => {
                    assert_eq!(self.rosters.insert(ticket, roster), None);
                    continue;
                }
                Output::Closed(_) | Output::SignedOut(_) | Output::Answer(..) => continue,
                other => panic!("{other:?}"),
            };
            let now = self.now();
            self.hubs[hub].handle(now, input);
        }
    }

    fn keep(&mut self, id: SaveId, changes: Vec<Change>) -> Input {
        for change in changes {
            match change {
                Change::PutContact(contact) => {
                    let key = (contact.user.clone(), contact.peer.clone());
                    self.kept.insert(key, *contact);
                }
                Change::RemoveContact { user, peer } => drop(self.kept.remove(&(user, peer))),
                Change::Block { .. }
                | Change::Unblock { .. }
                | Change::PutCard { .. }
                | Change::Redeem(_)
                | Change::PutUser(_) => {}
                Change::RemoveUser(user) => self.kept.retain(|(of, _), _| *of != user),
                other => panic!("{other:?}"),
            }
        }
        Input::Saved(id, Ok(()))
    }

    /// The store saves what waits.
    pub fn answers(&mut self) {
        for (hub, id, changes) in std::mem::take(&mut self.waiting) {
            let saved = self.keep(id, changes);
            let now = self.now();
            self.hubs[hub].handle(now, saved);
            self.run(hub);
        }
        self.carry_all();
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn says(&mut self, user: &str, said: Said) {
        let user = at(user);
        self.handle(&user, Input::Said(user.clone(), said));
    }

    /// `None`: not answered yet.
    pub fn requests(
        &mut self,
        user: &str,
        request: Request,
        peer: &str,
    ) -> Option<Result<(), NotDone>> {
        self.requests_of(user, request, at(peer), b"")
    }

    pub fn requests_of(
        &mut self,
        user: &str,
        request: Request,
        peer: Address,
        words: &'static [u8],
    ) -> Option<Result<(), NotDone>> {
        let ticket = self.ticket();
        let requests = Said::Requests {
            ticket,
            peer,
            request,
            words: Bytes::from_static(words),
        };
        self.says(user, requests);
        self.answers.get(&ticket).cloned()
    }

    pub fn lists(&mut self, user: &str, peer: &str, name: &str) -> Option<Result<(), NotDone>> {
        self.lists_in(user, peer, name, &[])
    }

    pub fn lists_in(
        &mut self,
        user: &str,
        peer: &str,
        name: &str,
        groups: &[&str],
    ) -> Option<Result<(), NotDone>> {
        let ticket = self.ticket();
        let listing = Listing {
            peer: at(peer),
            name: name.to_owned(),
            groups: groups.iter().map(|&it| it.to_owned()).collect(),
        };
        self.says(user, Said::Lists(ticket, listing));
        self.answers.get(&ticket).cloned()
    }

    pub fn unlists(&mut self, user: &str, peer: &str) -> Option<Result<(), NotDone>> {
        let ticket = self.ticket();
        self.says(user, Said::Unlists(ticket, at(peer)));
        self.answers.get(&ticket).cloned()
    }

    /// A user blocks these addresses.
    pub fn blocks(&mut self, user: &str, peers: Vec<Box<str>>) -> Option<Result<(), NotDone>> {
        let ticket = self.ticket();
        self.says(user, Said::Blocks(ticket, peers));
        self.answers.get(&ticket).cloned()
    }

    pub fn unblocks(&mut self, user: &str, peers: Vec<Box<str>>) -> Option<Result<(), NotDone>> {
        let ticket = self.ticket();
        self.says(user, Said::Unblocks(ticket, peers));
        self.answers.get(&ticket).cloned()
    }

    /// Somebody asks whether they may know that a user's client is there.
    pub fn is_seen_by(&mut self, user: &str, peer: &str) -> Option<Result<(), NotDone>> {
        let ticket = self.ticket();
        self.says(user, Said::IsSeenBy(ticket, at(peer)));
        self.answers.get(&ticket).cloned()
    }

    pub fn roster(&mut self, user: &str) -> Result<hub::Roster, NotDone> {
        let ticket = self.ticket();
        self.says(user, Said::WantsRoster(ticket));
        self.rosters.remove(&ticket).unwrap()
    }

    pub fn comes(&mut self, user: &str, resource: &str) {
        self.comes_as(user, resource, Show::Available);
    }

    pub fn comes_as(&mut self, user: &str, resource: &str, show: Show) {
        let resource = Resource {
            name: resource.into(),
            priority: 0,
            show,
            payload: Bytes::from_static(b"hello"),
            since: Timestamp(self.millis),
            suspended: false,
        };
        self.says(user, Said::Available(Box::new(resource)));
    }

    pub fn goes(&mut self, user: &str, resource: &str) {
        let resource = resource.into();
        let payload = Bytes::new();
        self.says(user, Said::Unavailable { resource, payload });
    }

    pub fn sleeps(&mut self, user: &str, resource: &str, sleeps: bool) {
        self.says(user, Said::Suspended(resource.into(), sleeps));
    }

    /// The user's account is removed.
    pub fn leaves(&mut self, user: &str) {
        let (user, ticket) = (at(user), self.ticket());
        let remove = Question::RemoveUser(user.clone());
        self.handle(&user, Input::Asked(ticket, remove));
    }

    /// The user has no account any more: another process has removed it.
    pub fn dies(&mut self, user: &str) {
        let user = at(user);
        let ticket = self.ticket();
        let gone = Question::UsersGone(vec![user.clone()]);
        self.kept.retain(|(of, _), _| *of != user);
        self.handle(&user, Input::Asked(ticket, gone));
    }

    /// What was shown since this was asked last.
    pub fn shown(&mut self) -> Vec<String> {
        std::mem::take(&mut self.shown)
    }

    /// Drops what was shown.
    pub fn hush(&mut self) {
        self.shown.clear();
    }

    /// Each may see the other.
    pub fn befriends(&mut self, one: &str, other: &str) {
        for (user, peer) in [(one, other), (other, one)] {
            self.requests(user, Request::Subscribe, peer);
            self.requests(peer, Request::Subscribed, user);
        }
        self.hush();
    }

    /// As the store has it: `both`, `from+out`, `-` for nothing.
    pub fn state(&self, user: &str, peer: &str) -> String {
        let Some(contact) = self.kept.get(&(at(user), at(peer))) else {
            return "-".to_owned();
        };
        let pending = |direction, word| {
            if direction == Direction::Pending {
                word
            } else {
                ""
            }
        };
        let (out, asks) = (pending(contact.to, "+out"), pending(contact.from, "+in"));
        format!("{}{out}{asks}", contact.subscription())
    }
}

fn in_words(showing: &Showing) -> String {
    let Showing {
        user,
        client,
        sight,
    } = showing;
    let client = client.as_ref().map_or(String::new(), |it| format!("/{it}"));
    let what = match sight {
        Sight::Contact(contact, _) => {
            assert_eq!(contact.user, *user);
            let asks = if contact.to == Direction::Pending {
                ", asked"
            } else {
                ""
            };
            let approved = if contact.approved { ", approved" } else { "" };
            let (peer, state) = (contact.peer.name(), contact.subscription());
            format!("[{peer} {state}{asks}{approved}]")
        }
        Sight::Blocked(peers) => format!("blocked {peers:?}"),
        Sight::Unblocked(peers) => format!("unblocked {peers:?}"),
        Sight::NoContact(peer, _) => format!("[no {}]", peer.name()),
        Sight::Requested(from, request, _) => format!("{} {request:?}", from.name()),
        Sight::Presence(from, News { resource, seen }) => {
            let from = from.name();
            match seen {
                Seen::Here {
                    show, on_behalf, ..
                } => {
                    let star = if *on_behalf { "*" } else { "" };
                    format!("{from}/{resource} {show:?}{star}")
                }
                Seen::Gone { .. } => format!("{from}/{resource} gone"),
            }
        }
    };
    format!("{}{client}: {what}", user.name())
}
