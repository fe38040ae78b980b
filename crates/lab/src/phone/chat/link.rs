//! The connection: opened, signed in over, broken, given up; and when something is to be done about it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use xmpp::ns;
use xmpp::xml::{Element, Item};

use super::framed::Incoming;
use super::session::{Session, Word};
use super::sign_in::{SignIn, Step, condition};
use super::{Client, Event, Link, Order, Output, StreamNumber, words};

/// From the wish for a connection to the session.
const SIGN_IN: Duration = Duration::from_secs(15);
/// A server that says nothing for so long is asked whether it is there ...
const QUIET: Duration = Duration::from_mins(2);
/// ... and has so long to answer: an app that comes to the front cannot wait for longer.
const ANSWER: Duration = Duration::from_secs(5);
/// First and longest pause before it tries again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The connection, and how far it is.
pub(super) enum Connection {
    /// There is none.
    Down,
    Opening(StreamNumber),
    Up(Box<Up>),
}

pub(super) struct Up {
    number: StreamNumber,
    reader: Incoming,
    stage: Stage,
    /// Answers that it waited for so far.
    round_trips: u32,
    /// The server listens to whether anybody looks (XEP-0352).
    takes_looks: bool,
}

enum Stage {
    SigningIn(SignIn),
    /// It asked to go on where it was.
    Resuming,
    /// It asked for an address.
    Binding,
    /// It asked for stream management.
    Enabling,
    Ready,
}

/// When something is due.
#[derive(Default)]
pub(super) struct Times {
    /// The session must be there.
    deadline: Option<Instant>,
    /// It tries again.
    again: Option<Instant>,
    failures: u32,
    /// The server is asked whether it is there.
    ask: Option<Instant>,
    /// It must have answered.
    answer: Option<Instant>,
}

impl Times {
    pub(super) fn next(&self) -> Option<Instant> {
        let all = [self.deadline, self.again, self.ask, self.answer];
        all.into_iter().flatten().min()
    }

    fn stop(&mut self) {
        *self = Self {
            failures: self.failures,
            ..Self::default()
        };
    }
}

/// Whether a time has come; it is taken then.
fn is_due(time: &mut Option<Instant>, now: Instant) -> bool {
    time.take_if(|at| *at <= now).is_some()
}

impl Connection {
    pub(super) fn is_ready(&self) -> bool {
        matches!(self, Self::Up(up) if matches!(up.stage, Stage::Ready))
    }

    pub(super) fn number(&self) -> Option<StreamNumber> {
        match self {
            Self::Down => None,
            Self::Opening(number) => Some(*number),
            Self::Up(up) => Some(up.number),
        }
    }

    pub(super) fn number_if_open(&self) -> Option<StreamNumber> {
        self.number().filter(|_| matches!(self, Self::Up(_)))
    }
}

impl Client {
    pub(super) fn open(&mut self) {
        self.wanted = true;
        match self.connection {
            Connection::Down => self.connect(),
            Connection::Up(_) if self.is_ready() => self.ask_whether_there(),
            _ => {}
        }
    }

    fn connect(&mut self) {
        self.times.stop();
        self.connections += 1;
        let number = StreamNumber(self.connections);
        self.connection = Connection::Opening(number);
        self.times.deadline = Some(self.now + SIGN_IN);
        self.out.push_back(Output::Connect(number));
    }

    fn ask_whether_there(&mut self) {
        self.say(&Element::new(ns::SM, "r"));
        self.times.ask = None;
        self.times.answer.get_or_insert(self.now + ANSWER);
    }

    pub(super) fn sleep(&mut self) {
        self.wanted = false;
        self.leave(Output::Close);
    }

    pub(super) fn look(&mut self, looks: bool) {
        let is_news = std::mem::replace(&mut self.looks, looks) != looks;
        if is_news {
            self.say_whether_looked_at();
        }
    }

    /// XEP-0352 §4.2.
    fn say_whether_looked_at(&mut self) {
        let Connection::Up(up) = &self.connection else {
            return;
        };
        if self.is_ready() && up.takes_looks {
            let word = if self.looks { "active" } else { "inactive" };
            self.say(&Element::new(ns::CSI, word));
        }
    }

    pub(super) fn move_on(&mut self) {
        self.leave(Output::Abandon);
        if self.wanted {
            self.connect();
        }
    }

    pub(super) fn sign_out(&mut self) {
        if self.is_ready() {
            self.obey(Order::Show(super::Show::Unavailable));
            self.pump();
            self.put(Bytes::from_static(self.account.framing.close()));
        }
        self.wanted = false;
        self.show = super::Show::default();
        self.leave(Output::Close);
        self.forget();
        self.note(Event::SignedOut);
    }

    pub(super) fn die(&mut self) {
        self.wanted = false;
        self.leave(Output::Close);
        self.forget();
    }

    /// The session is gone, and what was in memory with it.
    fn forget(&mut self) {
        if let Some(session) = self.session.take() {
            let (done, rest) = session.over(self.now, None);
            self.written(done);
            self.waiting.extend(rest);
        }
        let settling = std::mem::take(&mut self.settling);
        self.waiting.extend(settling);
        let unsaid = std::mem::take(&mut self.unsaid);
        self.waiting
            .extend(unsaid.into_iter().map(|(_, text)| text));
        for text in std::mem::take(&mut self.waiting) {
            self.not_written(text, "the app does not run any more");
        }
        (self.catch_up, self.looks) = (None, true);
        self.live.clear();
        self.unread.clear();
        self.refused.clear();
    }

    /// Gives the connection up; `how` is the word for it. What was said over it waits for the next one.
    fn leave(&mut self, how: impl FnOnce(StreamNumber) -> Output) {
        self.times.stop();
        let before = std::mem::replace(&mut self.connection, Connection::Down);
        if let Some(number) = before.number() {
            self.out.push_back(how(number));
        }
        if let Some(session) = &mut self.session {
            session.suspend();
        }
    }

    /// The connection is of no use any more; it tries again, if it is to be signed in.
    fn breaks(&mut self, how: impl FnOnce(StreamNumber) -> Output, why: &str) {
        let was_ready = self.is_ready();
        self.leave(how);
        self.note(if was_ready {
            Event::Lost
        } else {
            let why = why.to_owned();
            Event::Refused { why }
        });
        if self.wanted {
            let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.times.failures.min(10));
            self.times.failures += 1;
            self.times.again = Some(self.now + pause.min(LONGEST_PAUSE));
        }
    }

    pub(super) fn on_link(&mut self, link: Link) {
        let (Link::Opened(number)
        | Link::NotOpened(number, _)
        | Link::Received(number, _)
        | Link::Closed(number)) = &link;
        if self.connection.number() != Some(*number) {
            return;
        }
        match link {
            Link::Opened(number) => self.opened(number),
            Link::NotOpened(_, why) => {
                self.connection = Connection::Down;
                self.breaks(Output::Close, &why);
            }
            Link::Received(_, octets) => self.received(octets),
            Link::Closed(_) => {
                let why = "the connection broke";
                // There is nothing left to close, but whoever holds it lets go of it.
                self.breaks(Output::Close, why);
            }
        }
    }

    fn opened(&mut self, number: StreamNumber) {
        let (sign_in, header) = SignIn::begin(self.account.clone(), self.rng.bytes());
        self.connection = Connection::Up(Box::new(Up {
            number,
            reader: Incoming::of(self.account.framing),
            stage: Stage::SigningIn(sign_in),
            round_trips: 0,
            takes_looks: false,
        }));
        self.put(header);
    }

    fn received(&mut self, octets: Bytes) {
        self.times.answer = None;
        if let Connection::Up(up) = &mut self.connection {
            up.reader.push(octets);
        }
        if self.is_ready() {
            self.times.ask = Some(self.now + QUIET);
        }
        while let Connection::Up(up) = &mut self.connection {
            match up.reader.next() {
                Ok(None) => return,
                Ok(Some(item)) => self.read(item),
                Err(error) => return self.breaks(Output::Close, &error.to_string()),
            }
        }
    }

    fn read(&mut self, item: Item) {
        let Connection::Up(up) = &mut self.connection else {
            return;
        };
        if let Stage::SigningIn(sign_in) = &mut up.stage {
            let steps = sign_in.handle(item);
            up.round_trips = sign_in.round_trips;
            return steps.into_iter().for_each(|step| self.signs_in(step));
        }
        match item {
            Item::Open(_) | Item::KeepAlive => {}
            Item::Close => self.breaks(Output::Close, "the server closed the stream"),
            Item::Element(element) if element.is(ns::STREAM, "error") => {
                self.breaks(Output::Close, &condition(&element));
            }
            Item::Element(element) => match up.stage {
                Stage::Ready => self.on_element(&element),
                _ => self.begins(&element),
            },
        }
    }

    fn signs_in(&mut self, step: Step) {
        match step {
            Step::Write(octets) => self.put(octets),
            Step::Restart => {
                if let Connection::Up(up) = &mut self.connection {
                    up.reader.restart();
                }
            }
            Step::Failed(why) => self.breaks(Output::Close, &why),
            Step::Done(features) => {
                let resume = self.session.as_ref().and_then(Session::resume);
                if let Connection::Up(up) = &mut self.connection {
                    up.takes_looks = features.child(ns::CSI, "csi").is_some();
                    up.stage = Stage::Resuming;
                }
                match resume {
                    Some(resume) => self.say(&resume),
                    None => self.bind(),
                }
            }
        }
    }

    fn stage(&mut self, stage: Stage) {
        if let Connection::Up(up) = &mut self.connection {
            up.stage = stage;
        }
    }

    fn bind(&mut self) {
        let id = self.rng.hex(6);
        let bind = words::bind(&id, &self.account.resource);
        self.stage(Stage::Binding);
        self.say(&bind);
    }

    /// The server answers on the way to a session.
    fn begins(&mut self, element: &Element) {
        let Connection::Up(up) = &mut self.connection else {
            return;
        };
        up.round_trips += 1;
        match up.stage {
            Stage::Resuming if element.is(ns::SM, "resumed") => self.resumed(element),
            Stage::Resuming if element.is(ns::SM, "failed") => {
                self.session_over(Some(element));
                self.bind();
            }
            Stage::Binding if element.attr("type") == Some("result") => {
                // What there was is not resumed, and is nobody's.
                self.session_over(None);
                self.stage(Stage::Enabling);
                let enable = Element::new(ns::SM, "enable").with_attr("resume", "true");
                self.say(&enable);
            }
            Stage::Enabling if element.is(ns::SM, "enabled") => {
                self.session = Some(Session::new(self.now, element));
                self.is_there(false);
                self.arrives();
            }
            _ => {
                let why = format!(
                    "<{}/> out of turn: {}",
                    element.local(),
                    words::why(element)
                );
                self.breaks(Output::Close, &why);
            }
        }
    }

    fn resumed(&mut self, element: &Element) {
        let now = self.now;
        let session = self.session.as_mut();
        let Some((again, done)) = session.and_then(|it| it.resumed(now, element)) else {
            self.session_over(None);
            return self.breaks(Output::Close, "the server counts otherwise");
        };
        self.is_there(true);
        self.settling.extend(done);
        for octets in again {
            self.put(octets);
        }
        self.ask_whether_there();
    }

    /// There is a session again.
    fn is_there(&mut self, resumed: bool) {
        let Connection::Up(up) = &mut self.connection else {
            return;
        };
        up.stage = Stage::Ready;
        let round_trips = up.round_trips;
        self.times.stop();
        self.times.failures = 0;
        self.times.ask = Some(self.now + QUIET);
        self.note(Event::SignedIn {
            resumed,
            round_trips,
        });
        if !self.looks {
            self.say_whether_looked_at();
        }
    }

    pub(super) fn look_at_times(&mut self) {
        let now = self.now;
        if is_due(&mut self.times.deadline, now) {
            self.breaks(Output::Close, "the server does not answer");
        }
        if is_due(&mut self.times.answer, now) {
            self.breaks(Output::Close, "the server does not answer any more");
        }
        if is_due(&mut self.times.again, now) && self.wanted {
            self.connect();
        }
        if is_due(&mut self.times.ask, now) && self.is_ready() {
            self.ask_whether_there();
        }
    }

    /// Says what is due to be said of the session.
    pub(super) fn pump(&mut self) {
        while self.is_ready() {
            let now = self.now;
            match self.session.as_mut().and_then(|it| it.poll(now)) {
                None => return,
                Some(Word::Say(element)) => self.say(&element),
                Some(Word::Dead) => self.breaks(Output::Close, "no answer"),
            }
        }
    }
}
