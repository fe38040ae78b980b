//! XMPP over a stream (RFC 6120 §4): what a peer says before it signs in is answered here, what it signs in with and all
//! that comes behind goes to the shard whose the stream is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;
use xmpp::StreamId;
use xmpp::ns;
use xmpp::sasl::Failure;
use xmpp::stream::{self, Answer, Greeter, Then};
use xmpp::xml::{Context, Element, Item, Reader, StreamCondition, StreamError};

use super::{Framed, Framing, Patience};
use crate::event::{Event, StreamLink, XmppEvent};
use crate::progress::{Phase, Progress, last_words};
use crate::{XmppConfig, XmppLimits};

/// One stream, or those that follow one another on one connection.
pub(crate) struct Xmpp {
    id: StreamId,
    reader: Reader,
    config: Arc<XmppConfig>,
    limits: XmppLimits,
    progress: Arc<Progress>,
    /// Until the peer has signed in.
    greeting: Option<Box<Greeting>>,
    /// How many shards there are.
    shards: usize,
    /// Whose the stream is.
    shard: Option<usize>,
    /// Comes behind what came last.
    behind: Option<Framed>,
    /// A shard was asked when the last item was wanted.
    held: bool,
}

/// What is needed until the peer has signed in.
struct Greeting {
    greeter: Greeter,
    /// The id of our side (RFC 6120 §4.7.3).
    id: String,
    link: Option<Arc<StreamLink>>,
    /// It has begun to sign in, and was asked who it is.
    unnamed: Option<Box<stream::Greeted>>,
    /// First-level elements so far.
    elements: usize,
    /// When it must be over.
    by: Instant,
}

impl Xmpp {
    /// For a connection that was accepted now, between so many shards.
    pub(crate) fn new(
        id: u64,
        config: Arc<XmppConfig>,
        shards: usize,
        limits: &XmppLimits,
    ) -> Self {
        let greeting = Greeting {
            greeter: greeter(&config),
            id: random_id(),
            link: None,
            unnamed: None,
            elements: 0,
            by: Instant::now() + limits.sign_in,
        };
        Self {
            id: StreamId(id),
            reader: Reader::new(limits.before_sign_in),
            config,
            limits: limits.clone(),
            progress: Arc::default(),
            greeting: Some(Box::new(greeting)),
            shards,
            shard: None,
            behind: None,
            held: false,
        }
    }

    /// What the handle looks at.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// How long the peer may still take to sign in.
    pub(crate) fn time_left(&self) -> Duration {
        let by = self.greeting.as_ref().map(|greeting| greeting.by);
        by.map_or(Duration::ZERO, |by| {
            by.saturating_duration_since(Instant::now())
        })
    }

    /// TLS has begun, with this.
    pub(crate) fn secured(&mut self, link: StreamLink) {
        let Some(greeting) = &mut self.greeting else {
            return;
        };
        greeting.greeter.secured((self.config.offer)(&link));
        greeting.id = random_id();
        greeting.link = Some(Arc::new(link));
    }

    fn item(&mut self, item: Item) -> Option<Framed> {
        if let Some(greeting) = &mut self.greeting {
            if matches!(item, Item::Element(_)) {
                greeting.elements += 1;
                if greeting.elements > self.limits.elements_before_sign_in {
                    // RFC 6120 §4.9.3.14.
                    let text = "too many elements, and not signed in";
                    let error = StreamError::new(StreamCondition::PolicyViolation, text);
                    return Some(self.refuse(&error));
                }
            }
            return self.greet(item);
        }
        let event = match item {
            Item::Open(header) => {
                // The shard answers it.
                self.progress.set_open(true);
                XmppEvent::Opened(header)
            }
            Item::Element(element) => XmppEvent::Element(element),
            Item::KeepAlive => return None,
            Item::Close => XmppEvent::Ended,
        };
        self.to_shard(event)
    }

    fn greet(&mut self, item: Item) -> Option<Framed> {
        let item = match item {
            // In the midst of signing in.
            Item::Element(element) if self.shard.is_some() && !begins_sign_in(&element) => {
                self.progress.ask();
                return self.to_shard(XmppEvent::Element(element));
            }
            item => item,
        };
        let greeting = self.greeting.as_mut()?;
        let item = match (greeting.unnamed.take(), item) {
            (Some(mut greeted), Item::Element(element)) if element.is(ns::SASL, "response") => {
                // What it says now is what it could have said at once (RFC 6120 §6.3.10).
                greeted.element.push_text(&element.text());
                return self.greeted(greeted);
            }
            (Some(_), Item::Element(element)) if element.is(ns::SASL, "abort") => {
                let aborted = Element::new(ns::SASL, Failure::Aborted.name());
                let failure = Element::new(ns::SASL, "failure").with_child(aborted);
                return Some(Framed::Reply(failure.to_octets(Context::CLIENT).into()));
            }
            (_, item) => item,
        };
        let opens = matches!(item, Item::Open(_));
        let (answer, then) = greeting.greeter.handle(item, &greeting.id);
        let answer = octets(&answer);
        match then {
            Then::Read => {
                if opens {
                    self.progress.set_open(true);
                }
                (!answer.is_empty()).then_some(Framed::Reply(answer))
            }
            Then::StartTls => match self.reader.restart_for_tls() {
                Ok(()) => {
                    self.progress.set_open(false);
                    Some(Framed::Upgrade(answer))
                }
                Err(error) => Some(self.refuse(&error)),
            },
            Then::Greeted(greeted) => self.greeted(greeted),
            Then::Close => Some(Framed::Last(answer)),
        }
    }

    /// Steers the stream. A shard that had it before hears that it has it no more.
    fn greeted(&mut self, greeted: Box<stream::Greeted>) -> Option<Framed> {
        let greeting = self.greeting.as_mut()?;
        if greeted.element.is(ns::SASL, "auth") && greeted.element.text().is_empty() {
            greeting.unnamed = Some(greeted);
            let challenge = Element::new(ns::SASL, "challenge");
            return Some(Framed::Reply(challenge.to_octets(Context::CLIENT).into()));
        }
        let link = greeting.link.clone()?;
        let before = self.gone();
        let shard = (self.config.steer)(&greeted) % self.shards;
        self.shard = Some(shard);
        self.progress.ask();
        let begun = self.to_shard(XmppEvent::Greeted(greeted, link));
        match before {
            Some((before, gone)) if before != shard => {
                self.behind = begun;
                Some(Framed::For(before, gone))
            }
            _ => begun,
        }
    }

    fn to_shard(&self, event: XmppEvent) -> Option<Framed> {
        Some(Framed::For(self.shard?, Event::Xmpp(self.id, event)))
    }

    /// A shard says that the peer has signed in.
    fn signed_in(&mut self, restart: bool) {
        if self.greeting.take().is_some() {
            self.reader.set_limits(self.limits.signed_in);
            if restart {
                self.reader.restart();
            }
        }
    }

    /// Ends the stream, with a header of ours before if there was none (RFC 6120 §4.9.1.2).
    fn refuse(&self, error: &StreamError) -> Framed {
        Framed::Refused(if self.progress.is_open() {
            last_words(error)
        } else {
            octets(&greeter(&self.config).refuse(error, &random_id()))
        })
    }
}

impl Framing for Xmpp {
    fn push(&mut self, octets: &[u8]) {
        self.reader.push(octets);
    }

    fn next(&mut self) -> Option<Framed> {
        if let Some(behind) = self.behind.take() {
            return Some(behind);
        }
        let phase = self.progress.phase();
        self.held = phase == Phase::Asked;
        match phase {
            Phase::Greeting => {}
            Phase::Asked => return None,
            Phase::SignedIn => self.signed_in(false),
            Phase::SignedInAnew => self.signed_in(true),
        }
        loop {
            let framed = match self.reader.next() {
                Ok(None) => return None,
                Ok(Some(item)) => self.item(item),
                Err(error) => Some(self.refuse(&error)),
            };
            if framed.is_some() {
                return framed;
            }
        }
    }

    fn is_midway(&self) -> bool {
        self.reader.is_midway()
    }

    fn patience(&self) -> Patience {
        Patience {
            first: None,
            whole: self.limits.element,
            idle: None,
            by: self.greeting.as_ref().map(|greeting| greeting.by),
        }
    }

    fn waits(&self) -> bool {
        self.held
    }

    fn answered(&self) -> impl Future<Output = ()> + Send {
        self.progress.answered()
    }

    fn gone(&self) -> Option<(usize, Event)> {
        let gone = Event::Xmpp(self.id, XmppEvent::Gone);
        self.shard.map(|shard| (shard, gone))
    }

    const LINGERS: bool = true;
}

fn greeter(config: &XmppConfig) -> Greeter {
    Greeter::new(stream::Framing::Tcp, config.domains.clone())
}

/// Is it the first step of SASL (RFC 6120 §6.4.2) or SASL2 (XEP-0388)?
fn begins_sign_in(element: &Element) -> bool {
    element.is(ns::SASL, "auth") || element.is(ns::SASL2, "authenticate")
}

fn octets(answer: &Answer) -> Bytes {
    answer.pieces().concat().into()
}

/// An id for our side of a stream: nobody can guess it (RFC 6120 §4.7.3).
fn random_id() -> String {
    let mut octets = [0; 16];
    if SystemRandom::new().fill(&mut octets).is_err() {
        // Clients do nothing with it.
        tracing::error!("the system has no randomness for the id of a stream");
    }
    format!("{:032x}", u128::from_ne_bytes(octets))
}
