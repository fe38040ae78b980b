//! The phone's XMPP client as a machine: it signs in, goes on where it was after a break (XEP-0198 §5), catches up by the
//! archive when it cannot (XEP-0313), and shows each message once. It is driven like the phone itself: `handle(now,
//! Input)`, `poll()`, `next_timeout()`; sockets, TLS, clocks and entropy are its owner's.
//!
//! ```text
//! handle(now, Input) ── link ── sign_in ── session          one connection, and what outlives it
//!                        └── stanzas ── texts, markers, offers ── catch_up   what is said over it
//! ```
//!
//! In memory is the session; on disk, and so over every death of the app, which messages were shown.

mod call_word;
mod catch_up;
mod framed;
mod link;
mod markers;
mod offers;
mod session;
mod sign_in;
mod stanzas;
mod texts;
mod vocabulary;
mod words;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use xmpp::xml::Element;

use super::recent::Recent;
use crate::rng::Rng;
use catch_up::CatchUp;
use link::{Connection, Times};
use session::{Says, Session, Text};
use texts::Live;

pub use call_word::CallWord;
pub use vocabulary::{Account, Event, Input, Link, Order, Output, Pushes, Show, StreamNumber};

/// Messages remembered to tell repeated ones; the oldest is forgotten.
const MOST_SEEN: usize = 10_000;

/// What is on disk.
struct Disk {
    /// Messages that were shown, by their ids in the archive.
    seen: Recent<String>,
    /// The last of them.
    mark: Option<String>,
}

/// A client, signed out: [`Order::Open`] begins.
pub struct Client {
    account: Arc<Account>,
    rng: Rng,
    /// The time of the present input.
    now: Instant,
    /// It is to be signed in.
    wanted: bool,
    connection: Connection,
    /// Connections asked for so far.
    connections: u64,
    times: Times,
    session: Option<Session>,
    /// Whether anybody looks at the app.
    looks: bool,
    show: Show,
    /// Texts that the session has not been given yet.
    waiting: VecDeque<Text>,
    /// What the server said of texts that it did not take, by the ids of their stanzas: until it has counted them.
    refused: BTreeMap<String, String>,
    /// Texts that a server has counted which resumed the session: whether it took them is in what it says again.
    settling: Vec<Text>,
    /// What is to be said again, and when: the server did not take it.
    unsaid: VecDeque<(Instant, Text)>,
    /// The question in which it handed its tokens over.
    enabling: Option<String>,
    catch_up: Option<CatchUp>,
    /// The last message of each conversation that its user has not read, and whose writer wants to know, by its id.
    unread: BTreeMap<String, String>,
    /// What came while it catches up: it is shown behind that.
    live: VecDeque<Live>,
    disk: Disk,
    out: VecDeque<Output>,
}

impl Client {
    /// A client of an app that was installed `now`. Ids and nonces are drawn from `rng`.
    pub fn new(now: Instant, account: Arc<Account>, rng: Rng) -> Self {
        Self {
            account,
            rng,
            now,
            wanted: false,
            connection: Connection::Down,
            connections: 0,
            times: Times::default(),
            session: None,
            looks: true,
            show: Show::default(),
            waiting: VecDeque::new(),
            refused: BTreeMap::new(),
            settling: Vec::new(),
            unsaid: VecDeque::new(),
            enabling: None,
            catch_up: None,
            unread: BTreeMap::new(),
            live: VecDeque::new(),
            disk: Disk {
                seen: Recent::new(MOST_SEEN),
                mark: None,
            },
            out: VecDeque::new(),
        }
    }

    /// Takes in what happened. `now` never goes back from one call to the next.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.now = now;
        match input {
            Input::Order(order) => self.obey(order),
            Input::Link(link) => self.on_link(link),
            Input::Time => self.on_time(),
        }
        self.pump();
    }

    /// The next thing to do, in the order in which it is to be done.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Input::Time`] is to be given; later is harmless, earlier does nothing.
    pub fn next_timeout(&self) -> Option<Instant> {
        let session = self.session.as_ref().filter(|_| self.is_ready());
        let session = session.and_then(Session::next_timeout);
        let catch_up = self.catch_up.as_ref().filter(|_| self.is_ready());
        let again = catch_up.and_then(CatchUp::again_at);
        let unsaid = self.says_again_at().filter(|_| self.is_ready());
        let all = [self.times.next(), session, again, unsaid];
        all.into_iter().flatten().min()
    }

    /// Whether it is signed in, as far as it knows.
    pub fn is_ready(&self) -> bool {
        self.connection.is_ready()
    }

    /// The connection that it has, or has asked for.
    pub fn stream(&self) -> Option<StreamNumber> {
        self.connection.number()
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Open => self.open(),
            Order::Sleep => self.sleep(),
            Order::Look(looks) => self.look(looks),
            Order::Move => self.move_on(),
            Order::SignOut => self.sign_out(),
            Order::Die => self.die(),
            Order::Write { name, to, text } => self.write_out(name, to, Says::Text(text)),
            Order::SayOfCall { word, call, to } => self.say_of_call(word, call, to),
            Order::Read => self.has_read(),
            Order::Show(show) => {
                self.show = show;
                if self.session.is_some() {
                    self.send(&words::presence(show), None);
                }
            }
            Order::Subscribe(to) => {
                if self.session.is_some() {
                    self.send(&words::subscription("subscribe", &to), None);
                }
            }
        }
    }

    fn on_time(&mut self) {
        self.look_at_times();
        if self.is_ready() {
            self.catch_up_again();
            self.say_again();
        }
    }

    /// The user's address, without the client.
    fn address(&self) -> String {
        format!("{}@{}", self.account.user, self.account.domain)
    }

    fn note(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// Says something that is no stanza, if there is a connection.
    fn say(&mut self, element: &Element) {
        self.put(framed::octets(self.account.framing, element));
    }

    /// Writes to the connection, if there is one.
    fn put(&mut self, octets: Bytes) {
        if let Some(number) = self.connection.number_if_open() {
            self.out.push_back(Output::Write(number, octets));
        }
    }
}
