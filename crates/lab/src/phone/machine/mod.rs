//! The phone as a machine: the app and the device's operating system in one. It is told what happened and what time it
//! is, and says what to do; sockets, clocks, entropy and HTTP are its owner's. The same seed and the same inputs give
//! the same outputs.
//!
//! ```text
//! handle(now, Input) ──> modes, registration, calls, messages, pushes ──> poll() -> Output
//!                                      │                                  next_timeout() -> when to give Input::Time
//!                               sip::Endpoint
//! ```
//!
//! The session (connection and transactions) lives only while the app runs; what the platform and the disk keep
//! outlives it. After every call the owner drains [`Phone::poll`] to the end: the queue behind it holds no more than
//! what one call brought about.

mod auth;
mod call;
mod calls;
mod chat;
mod config;
mod error;
mod event;
mod io;
mod link;
mod messages;
mod modes;
mod offers;
mod orders;
mod push;
mod pushes;
mod registration;
mod renewals;
mod requests;
mod sdp;
mod session;
mod telling;
mod timers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use sip::Method;
use sip::endpoint::{ClientTxn, Event, ServerTxn};

use crate::rng::Rng;
use calls::Calls;
use chat::Door;
use link::Frozen;
use messages::Seen;
use modes::Mode;
use offers::Offers;
use pushes::Expected;
use registration::Registration;
use requests::Outgoing;
use session::Session;
use telling::Telling;
use timers::{Timer, Timers};

pub use config::{PhoneConfig, Place, PushService, Tokens, XmppDoor};
pub use error::PhoneError;
pub use event::{Caller, PhoneEvent};
pub use io::{ConnectionId, Done, Input, Link, Order, OrderId, Output, Word, WordId};
pub use push::{Push, opened};

/// One phone. It starts switched on, its app not yet started: [`Order::Register`] starts it.
pub struct Phone {
    config: Arc<PhoneConfig>,
    rng: Rng,
    /// The time of the present input.
    now: Instant,
    mode: Mode,
    session: Option<Session>,
    /// Its XMPP door, if it has one.
    chat: Option<Door>,
    /// What came over the connection of a frozen app.
    frozen: Frozen,
    /// Connections opened so far.
    connections: u64,
    registration: Registration,
    calls: Calls,
    /// Those over XMPP.
    offers: Offers,
    /// Pushed calls whose INVITE is not here yet.
    expected: Vec<Expected>,
    /// Conversations that notifications stand for.
    shown: BTreeSet<String>,
    /// Messages that were delivered.
    seen: Seen,
    /// iOS sends no `voip` pushes any more, for the app broke its rule.
    voip_blocked: bool,
    timers: Timers,
    outgoing: BTreeMap<ClientTxn, Outgoing>,
    telling: Telling,
    outputs: VecDeque<Output>,
}

impl Phone {
    /// A phone that was switched on `now`. Names and tags are drawn from `seed`, which is unlike any other phone's.
    pub fn new(now: Instant, config: Arc<PhoneConfig>, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        Self {
            registration: Registration::new(&config, &mut rng),
            chat: Door::of(now, &config, &mut rng),
            config,
            rng,
            now,
            mode: Mode::Off,
            session: None,
            frozen: Frozen::default(),
            connections: 0,
            calls: Calls::default(),
            offers: Offers::default(),
            expected: Vec::new(),
            shown: BTreeSet::new(),
            seen: Seen::default(),
            voip_blocked: false,
            timers: Timers::default(),
            outgoing: BTreeMap::new(),
            telling: Telling::default(),
            outputs: VecDeque::new(),
        }
    }

    /// What it is.
    pub fn config(&self) -> &PhoneConfig {
        &self.config
    }

    /// Takes in what happened. `now` never goes back from one call to the next.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.now = now;
        match input {
            Input::Order { id, order } => self.on_order(id, order),
            Input::Push(push) => self.on_push(push),
            Input::Link(link) => self.on_link(link),
            Input::Chat(link) => self.on_chat_link(link),
            Input::Told { word, result } => self.on_told(word, result),
            Input::Time => self.on_time(),
        }
        self.settle();
    }

    /// The next thing to do, in the order in which it is to be done.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Time`] is to be given; later is harmless, earlier does nothing. `None` while there is nothing to
    /// wait for.
    pub fn next_timeout(&self) -> Option<Instant> {
        let session = self.session.as_ref().filter(|_| !self.is_frozen());
        let session_due = session.and_then(Session::next_timeout);
        let chat = self.chat.as_ref().filter(|_| !self.is_frozen());
        let chat_due = chat.and_then(Door::next_timeout);
        let due = self.timers.next().into_iter().chain(session_due);
        due.chain(chat_due).min()
    }

    fn on_time(&mut self) {
        let frozen = self.is_frozen();
        if let Some(session) = self.session.as_mut().filter(|_| !frozen) {
            session.handle_timeout(self.now);
        }
        if !frozen {
            self.chat(crate::phone::chat::Input::Time);
        }
        self.settle();
        while let Some(timer) = self.timers.pop(self.now) {
            match timer {
                Timer::Register => self.register(None),
                Timer::Unanswered => self.on_register_unanswered(),
                // A call that is over has no such timer.
                Timer::Answer(call) => drop(self.answer(&call)),
                Timer::RingsOut(call) => self.rings_out(&call),
                Timer::Expected(call) => self.on_invite_missing(&call),
                Timer::Moment => self.sleep_on(),
            }
        }
    }

    /// Acts on all that the transaction layer has to say, and sends what is due.
    fn settle(&mut self) {
        loop {
            self.transmit();
            match self.session.as_mut().and_then(Session::poll_event) {
                Some(event) => self.on_sip(event),
                None => return,
            }
        }
    }

    fn transmit(&mut self) {
        while let Some(transmit) = self.session.as_mut().and_then(Session::poll_transmit) {
            self.outputs.push_back(Output::Transmit(transmit));
        }
    }

    fn on_sip(&mut self, event: Event) {
        match event {
            Event::Request { txn, request, .. } => match request.method() {
                Some(Method::Invite) => self.on_invite(txn, &request),
                Some(Method::Bye) => self.on_bye(txn, &request),
                Some(Method::Message) => self.on_message(txn, &request),
                Some(Method::Options) => self.respond(txn, 200),
                _ => self.respond(txn, 405),
            },
            Event::Ack { txn: Some(txn), .. } => self.on_ack(txn),
            Event::AckMissing { txn } => self.on_ack_missing(txn),
            Event::Cancelled { txn, reason, .. } => self.on_cancelled(txn, reason.as_deref()),
            Event::Response { txn, response } => self.on_response(txn, &response),
            Event::Failed { txn, status } => {
                if let Some(sent) = self.outgoing.remove(&txn) {
                    self.on_failed(sent, status, sip::reason_phrase(status));
                }
            }
            // The rest concerns proxies.
            _ => {}
        }
    }

    fn respond(&mut self, txn: ServerTxn, status: u16) {
        if let Some(session) = &mut self.session {
            session.endpoint().answer(self.now, txn, status, "");
        }
    }

    fn note(&mut self, event: PhoneEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    fn done(&mut self, order: OrderId, result: Result<Done, PhoneError>) {
        self.outputs.push_back(Output::Done { order, result });
    }
}
