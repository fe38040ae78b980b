//! The phone's XMPP door: the client with what the app and the platform do to it. One app has both doors: they sleep and
//! wake together, and a message that comes by both is shown once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use push::seal::KeyPair;

use super::{Done, OrderId, Output, Phone, PhoneConfig, PhoneError, PhoneEvent};
use crate::phone::chat::{self, Account, Client, Event, Link, Order, Pushes, Show};
use crate::rng::Rng;

/// What waits for a frozen app. A stream whose reader does not read is lost when more comes.
const MOST_FROZEN: usize = 256;
/// Orders that wait for a session; a further one is refused.
const MOST_ARRIVING: usize = 64;

/// See the module.
pub(super) struct Door {
    client: Client,
    /// What came over the connection of a frozen app, in its order.
    frozen: VecDeque<Link>,
    /// Who wants to know when it is signed in.
    arriving: Vec<OrderId>,
}

impl Door {
    /// The door of a phone that has one.
    pub(super) fn of(now: Instant, phone: &PhoneConfig, rng: &mut Rng) -> Option<Self> {
        let config = phone.xmpp.as_ref()?;
        let account = Account {
            user: phone.user.clone(),
            password: phone.password.clone(),
            domain: phone.domain.clone(),
            resource: phone.resource(),
            framing: config.framing,
            scram: config.scram,
            approves: true,
            receipts: config.receipts,
            copies: config.copies,
            markers: config.markers,
            pushes: config.pushes.then(|| pushes(phone)),
        };
        Some(Self {
            client: Client::new(now, Arc::new(account), rng.fork()),
            frozen: VecDeque::new(),
            arriving: Vec::new(),
        })
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.client.next_timeout()
    }
}

impl Phone {
    /// Tells the client, and does what it says.
    pub(super) fn chat(&mut self, input: chat::Input) {
        let now = self.now;
        let Some(door) = &mut self.chat else {
            return;
        };
        door.client.handle(now, input);
        while let Some(output) = self.chat.as_mut().and_then(|door| door.client.poll()) {
            match output {
                chat::Output::Event(event) => self.on_chat(event),
                output => self.outputs.push_back(Output::Chat(output)),
            }
        }
    }

    pub(super) fn order_chat(&mut self, order: Order) {
        self.chat(chat::Input::Order(order));
    }

    /// Whether the client runs, for its app does.
    pub(super) fn chats(&self) -> bool {
        self.chat.is_some()
    }

    /// The app comes to the front, or is in front and has reason to look.
    pub(super) fn open_chat(&mut self) {
        self.order_chat(Order::Look(true));
        self.order_chat(Order::Open);
    }

    pub(super) fn on_chat_link(&mut self, link: Link) {
        let frozen = self.is_frozen();
        let Some(door) = self.chat.as_mut().filter(|_| frozen) else {
            return self.chat(chat::Input::Link(link));
        };
        if door.frozen.len() < MOST_FROZEN || !matches!(link, Link::Received(..)) {
            return door.frozen.push_back(link);
        }
        self.cut_chat(chat::Output::Close);
    }

    /// Its connection goes while the app is frozen: it sees that later.
    pub(super) fn cut_chat(&mut self, how: impl FnOnce(chat::StreamNumber) -> chat::Output) {
        let Some(door) = &mut self.chat else {
            return;
        };
        if let Some(number) = door.client.stream() {
            // Once is enough.
            if !matches!(door.frozen.back(), Some(Link::Closed(_))) {
                door.frozen.push_back(Link::Closed(number));
                self.outputs.push_back(Output::Chat(how(number)));
            }
        }
    }

    /// Reads what came while the app was frozen.
    pub(super) fn catch_up_chat(&mut self) {
        while let Some(link) = self.chat.as_mut().and_then(|it| it.frozen.pop_front()) {
            self.chat(chat::Input::Link(link));
        }
    }

    /// The app sleeps, or its process ends.
    pub(super) fn close_chat(&mut self, order: Order) {
        if let Some(door) = &mut self.chat {
            door.frozen.clear();
            for order in std::mem::take(&mut door.arriving) {
                self.done(order, Err(PhoneError::NotRunning));
            }
        }
        self.order_chat(order);
    }

    /// `order` is done when the phone is signed in by all its doors.
    pub(super) fn arrives(&mut self, order: OrderId) {
        let Some(door) = self.chat.as_mut().filter(|it| !it.client.is_ready()) else {
            return self.register(Some(order));
        };
        if door.arriving.len() >= MOST_ARRIVING {
            let busy = format!("{MOST_ARRIVING} wait for the session already");
            return self.done(order, Err(PhoneError::Busy(busy)));
        }
        door.arriving.push(order);
        self.register(None);
    }

    fn has_arrived(&mut self, result: &Result<(), String>) {
        let Some(door) = &mut self.chat else {
            return;
        };
        for order in std::mem::take(&mut door.arriving) {
            match result {
                Ok(()) => self.is_registered(order),
                Err(why) => self.done(order, Err(PhoneError::NotSignedIn(why.clone()))),
            }
        }
    }

    /// Writes over XMPP; the order is done when the server has the text.
    pub(super) fn write(&mut self, to: &str, text: &str, order: OrderId) {
        if !self.is_running() {
            return self.done(order, Err(PhoneError::NotRunning));
        }
        self.order_chat(Order::Write {
            name: order.0,
            to: to.to_owned(),
            text: text.to_owned(),
        });
    }

    pub(super) fn show(&mut self, show: Show) {
        self.order_chat(Order::Show(show));
    }

    fn on_chat(&mut self, event: Event) {
        match event {
            Event::SignedIn {
                resumed,
                round_trips,
            } => {
                self.note(PhoneEvent::SignedIn {
                    resumed,
                    round_trips,
                });
                self.has_arrived(&Ok(()));
            }
            Event::Refused { why } => {
                self.note(PhoneEvent::SignInFailed { why: why.clone() });
                self.has_arrived(&Err(why));
            }
            Event::Lost => self.note(PhoneEvent::StreamLost),
            Event::SignedOut => self.note(PhoneEvent::SignedOut),
            Event::Message { from, text, id, .. } => {
                let from = address(&from);
                let is_new = self.seen.is_new_by_chat(&id);
                self.note(if is_new {
                    PhoneEvent::MessageReceived { from, text, id }
                } else {
                    PhoneEvent::DuplicateMessageDropped { id }
                });
            }
            Event::Again { id } => self.note(PhoneEvent::DuplicateMessageDropped { id }),
            Event::Written { name, id, result } => {
                if result.is_ok() {
                    self.note(PhoneEvent::MessageSent { id, status: 202 });
                }
                let result = result.map_err(PhoneError::NotKept);
                self.done(OrderId(name), result.map(|()| Done::Sent(202)));
            }
            Event::Delivered { id, by } => {
                let by = address(&by);
                self.note(PhoneEvent::MessageDelivered { id, by });
            }
            Event::OfCall {
                word,
                call,
                from,
                own,
                archived,
            } => match (own, archived) {
                (true, _) => self.on_own_call_word(word, &call),
                (false, true) => self.on_earlier_call_word(word, &call, &from),
                (false, false) => self.on_call_word(word, &call, &from),
            },
            Event::Unsaid { word, call, why } => self.on_unsaid(word, &call, &why),
            Event::Presence { from, show } => {
                let show = show.name();
                self.note(PhoneEvent::PresenceSeen { from, show });
            }
            Event::Contacts { count } => self.note(PhoneEvent::ContactsRead { count }),
            Event::PushesEnabled(Ok(())) => self.note(PhoneEvent::PushesEnabled),
            Event::PushesEnabled(Err(why)) => self.note(PhoneEvent::PushesRefused { why }),
            Event::CaughtUp { messages } => self.note(PhoneEvent::CaughtUp { messages }),
        }
    }
}

/// What the server needs to push to the phone.
fn pushes(phone: &PhoneConfig) -> Pushes {
    let key = phone.keys.as_ref().map(KeyPair::public);
    Pushes {
        app: phone.app().to_owned(),
        voip: phone.tokens.voip.clone(),
        message: phone.tokens.message.clone(),
        key: key.map(|key| (key.p256dh, key.auth)),
    }
}

/// Whose it is, as a URI: the user, and not which of their clients.
fn address(jid: &str) -> String {
    let bare = jid.split('/').next().unwrap_or_default();
    format!("xmpp:{bare}")
}
