//! XMPP over a stream (RFC 6120 §4), or over a WebSocket (RFC 7395): what a peer says before it signs in is answered here, what it signs in with and all
//! that comes behind goes to the shard whose the stream is.

mod source;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;
use xmpp::StreamId;
use xmpp::ns;
use xmpp::sasl::Failure;
use xmpp::stream::{self, Answer, ComponentGreeter, Greeter, Then};
use xmpp::xml::{Element, Item, StreamCondition, StreamError};

use self::source::Source;
use super::websocket::Messages;
use super::{Framed, Framing, Patience};
use crate::event::{Event, StreamLink, XmppEvent};
use crate::progress::{Phase, Progress, last_words};
use crate::websocket::{Code, Fault, Kind};
use crate::wire::Wire;
use crate::{ComponentConfig, Doorman, Limits, Visitor, XmppConfig, XmppLimits};

/// Who connects, and how they are greeted.
#[derive(Clone)]
pub(crate) enum Peers {
    Clients(Arc<XmppConfig>),
    Components(Arc<ComponentConfig>),
}

/// Whoever greets them.
enum Greets {
    Client(Greeter),
    Component(ComponentGreeter),
}

impl Greets {
    fn handle(&mut self, item: Item, id: &str) -> (Answer, Then) {
        match self {
            Self::Client(greeter) => greeter.handle(item, id),
            Self::Component(greeter) => greeter.handle(&item, id),
        }
    }

    fn refuse(&mut self, error: &StreamError, id: &str) -> Answer {
        match self {
            Self::Client(greeter) => greeter.refuse(error, id),
            Self::Component(greeter) => greeter.refuse(error, id),
        }
    }
}

/// One stream, or those that follow one another on one connection.
pub(crate) struct Xmpp {
    id: StreamId,
    framing: stream::Framing,
    source: Source,
    peers: Peers,
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
    greeter: Greets,
    /// The id of our side (RFC 6120 §4.7.3).
    id: String,
    link: Option<Arc<StreamLink>>,
    /// It has begun to sign in, and was asked who it is.
    unnamed: Option<Box<stream::Greeted>>,
    /// First-level elements so far.
    elements: usize,
    /// How often it has begun to sign in.
    tries: usize,
    /// When its first header must be there…
    header_by: Instant,
    /// …and when it must be over.
    by: Instant,
}

impl Greeting {
    /// When the next thing that is owed must be there.
    fn next_by(&self, progress: &Progress) -> Instant {
        let has_opened = progress.is_open() || self.elements > 0;
        if has_opened {
            self.by
        } else {
            self.by.min(self.header_by)
        }
    }
}

impl Xmpp {
    /// For a connection that was accepted then, between so many shards.
    pub(crate) fn new(
        (id, framing): (u64, stream::Framing),
        since: Instant,
        peers: Peers,
        shards: usize,
        limits: &Limits,
    ) -> Self {
        let first_message = limits.first_message;
        let limits = &limits.xmpp;
        let greeting = Greeting {
            greeter: peers.greeter(framing),
            id: random_id(),
            link: None,
            unnamed: None,
            elements: 0,
            tries: 0,
            header_by: since + first_message,
            by: since + limits.sign_in,
        };
        Self {
            id: StreamId(id),
            framing,
            source: Source::new(framing, limits.before_sign_in),
            peers,
            limits: limits.clone(),
            progress: Arc::new(Progress::new(framing)),
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

    /// How its streams are framed.
    pub(crate) fn framing(&self) -> stream::Framing {
        self.framing
    }

    /// When the peer must have signed in, if it has not.
    pub(crate) fn signs_in_by(&self) -> Option<Instant> {
        self.greeting.as_ref().map(|greeting| greeting.by)
    }

    /// TLS has begun, with this.
    pub(crate) fn secured(&mut self, link: StreamLink) {
        let (Some(greeting), Peers::Clients(config)) = (&mut self.greeting, &self.peers) else {
            return;
        };
        if let Greets::Client(greeter) = &mut greeting.greeter {
            greeter.secured((config.offer)(&link));
        }
        greeting.id = random_id();
        greeting.link = Some(Arc::new(link));
    }

    /// The peer is behind a proxy, and this is its address.
    pub(crate) fn comes_from(&mut self, ip: IpAddr) {
        let greeting = self.greeting.as_mut();
        if let Some(link) = greeting.and_then(|greeting| greeting.link.as_mut()) {
            Arc::make_mut(link).remote.set_ip(ip);
        }
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
            Item::Element(mut element) => {
                // A component's stanzas stand in its stream's namespace, and are what a client's are.
                element.rescope(ns::COMPONENT, ns::CLIENT);
                XmppEvent::Element(element)
            }
            Item::KeepAlive => return None,
            Item::Close => XmppEvent::Ended,
        };
        self.to_shard(event)
    }

    fn greet(&mut self, item: Item) -> Option<Framed> {
        let item = match item {
            // In the midst of signing in, unless it has begun again and has not said yet who it is.
            Item::Element(element)
                if self.shard.is_some() && !self.is_unnamed() && !begins_sign_in(&element) =>
            {
                self.progress.ask();
                return self.to_shard(XmppEvent::Element(element));
            }
            item => item,
        };
        let greeting = self.greeting.as_mut()?;
        let item = match (greeting.unnamed.take(), item) {
            (Some(mut greeted), Item::Element(element))
                if is_of(&greeted, &element, "response") =>
            {
                says_first(&mut greeted.element, &element);
                return self.greeted(greeted);
            }
            (Some(greeted), Item::Element(element)) if is_of(&greeted, &element, "abort") => {
                let aborted = Element::new(ns::SASL, Failure::Aborted.name());
                let failure = Element::new(element.namespace(), "failure").with_child(aborted);
                return Some(Framed::Reply(self.octets(&failure)));
            }
            (_, item) => item,
        };
        let opens = matches!(item, Item::Open(_));
        let (answer, then) = greeting.greeter.handle(item, &greeting.id);
        let answer = Wire::of(self.framing).messages(answer.pieces());
        match then {
            Then::Read => {
                if opens {
                    self.progress.set_open(true);
                }
                (!answer.is_empty()).then_some(Framed::Reply(answer))
            }
            Then::StartTls => match self.source.restart_for_tls() {
                Ok(()) => {
                    self.progress.set_open(false);
                    Some(Framed::Upgrade(answer))
                }
                Err(error) => Some(self.refuse(&error)),
            },
            Then::Greeted(greeted) if !begins_sign_in(&greeted.element) => self.steers(greeted),
            Then::Greeted(greeted) => self.greeted(greeted),
            Then::Component(domain) => self.component(domain),
            Then::Close => Some(Framed::Last(answer)),
        }
    }

    /// A component has shown its secret: it is for the shard that has its domain to say what becomes of it.
    fn component(&mut self, domain: Box<str>) -> Option<Framed> {
        let Peers::Components(config) = &self.peers else {
            return None;
        };
        self.shard = Some((config.steer)(&domain) % self.shards);
        self.progress.ask();
        self.to_shard(XmppEvent::Component(domain))
    }

    fn is_unnamed(&self) -> bool {
        let greeting = self.greeting.as_ref();
        greeting.is_some_and(|greeting| greeting.unnamed.is_some())
    }

    /// Steers the stream. A shard that had it before hears that it has it no more.
    fn greeted(&mut self, greeted: Box<stream::Greeted>) -> Option<Framed> {
        let greeting = self.greeting.as_mut()?;
        if says_nothing(&greeted.element) {
            let challenge = Element::new(greeted.element.namespace(), "challenge");
            greeting.unnamed = Some(greeted);
            return Some(Framed::Reply(self.octets(&challenge)));
        }
        self.steers(greeted)
    }

    /// The same of who does not sign in, but asks for an account.
    fn steers(&mut self, greeted: Box<stream::Greeted>) -> Option<Framed> {
        let greeting = self.greeting.as_mut()?;
        let link = greeting.link.clone()?;
        greeting.tries += 1;
        if greeting.tries > self.limits.tries {
            // A shard counts what fails there, and each user may be another shard's.
            let text = "too many failures";
            let error = StreamError::new(StreamCondition::PolicyViolation, text);
            return Some(self.refuse(&error));
        }
        let Peers::Clients(config) = &self.peers else {
            return None;
        };
        let before = self.gone();
        let shard = (config.steer)(&greeted) % self.shards;
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
            self.source.set_limits(self.limits.signed_in);
            if restart {
                self.source.restart();
            }
        }
    }

    /// Ends the stream, with a header of ours before if there was none (RFC 6120 §4.9.1.2).
    fn refuse(&self, error: &StreamError) -> Framed {
        Framed::Refused(self.refusal(error))
    }

    fn refusal(&self, error: &StreamError) -> Bytes {
        if self.progress.is_open() {
            return last_words(error, self.framing);
        }
        let answer = self.peers.greeter(self.framing).refuse(error, &random_id());
        Wire::of(self.framing).messages(answer.pieces())
    }

    /// An element as it is on the wire.
    fn octets(&self, element: &Element) -> Bytes {
        let octets = element.to_octets(self.framing.context());
        Wire::of(self.framing).message(octets.into())
    }
}

impl Framing for Xmpp {
    fn push(&mut self, octets: &[u8]) {
        self.source.push(octets);
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
            let framed = match self.source.next() {
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
        self.source.is_midway()
    }

    fn has_begun(&self) -> bool {
        self.progress.is_open()
    }

    fn patience(&self) -> Patience {
        Patience {
            first: None,
            whole: self.limits.element,
            idle: None,
            by: self.greeting.as_ref().map(|it| it.next_by(&self.progress)),
        }
    }

    fn waits(&self) -> bool {
        self.held
    }

    fn answered(&self) -> impl Future<Output = ()> + Send {
        self.progress.answered()
    }

    /// Whoever has signed in is known, wherever they are.
    fn visitor(&self, doorman: &Doorman, remote: IpAddr) -> Visitor {
        let Some(greeting) = &self.greeting else {
            return Visitor::known(remote);
        };
        let link = greeting.link.as_ref();
        doorman(link.map_or(remote, |link| link.remote.ip()))
    }

    fn gone(&self) -> Option<(usize, Event)> {
        let gone = Event::Xmpp(self.id, XmppEvent::Gone);
        self.shard.map(|shard| (shard, gone))
    }

    const LINGERS: bool = true;
}

impl Messages for Xmpp {
    // RFC 7395 §3.2.
    const KINDS: &'static [Kind] = &[Kind::Text];

    fn most(&self) -> usize {
        self.source.most()
    }

    fn told(&self, fault: &Fault) -> Option<Bytes> {
        let condition = match fault.code {
            Code::TooLong | Code::Policy => StreamCondition::PolicyViolation,
            Code::NotUtf8 => StreamCondition::UnsupportedEncoding,
            // The peer speaks no WebSocket, or not this protocol.
            _ => return None,
        };
        Some(self.refusal(&StreamError::new(condition, fault.text)))
    }
}

impl Peers {
    fn greeter(&self, framing: stream::Framing) -> Greets {
        match self {
            Self::Clients(config) => {
                let domains = config.domains.clone();
                Greets::Client(Greeter::new(framing, domains))
            }
            Self::Components(config) => {
                let (known, ours) = (config.components.clone(), config.domain.clone());
                Greets::Component(ComponentGreeter::new(known, ours))
            }
        }
    }
}

/// Is it the first step of SASL (RFC 6120 §6.4.2) or SASL2 (XEP-0388)?
fn begins_sign_in(element: &Element) -> bool {
    element.is(ns::SASL, "auth") || element.is(ns::SASL2, "authenticate")
}

/// Is it the word of this name in the sign-in that has begun, by SASL or by SASL2?
fn is_of(greeted: &stream::Greeted, element: &Element, local: &str) -> bool {
    element.is(greeted.element.namespace(), local)
}

/// Does a client that begins to sign in not say who it is?
fn says_nothing(begins: &Element) -> bool {
    if begins.is(ns::SASL2, "authenticate") {
        return begins.child(ns::SASL2, INITIAL).is_none();
    }
    begins.text().is_empty()
}

/// What a client says now is what it could have said at once (RFC 6120 §6.3.10, XEP-0388 §2.3).
fn says_first(begins: &mut Element, response: &Element) {
    if begins.is(ns::SASL2, "authenticate") {
        begins.push(Element::new(ns::SASL2, INITIAL).with_text(&response.text()));
    } else {
        begins.push_text(&response.text());
    }
}

/// The first message of a mechanism within `<authenticate/>`.
const INITIAL: &str = "initial-response";

/// An id for our side of a stream: nobody can guess it (RFC 6120 §4.7.3).
fn random_id() -> String {
    let mut octets = [0; 16];
    if SystemRandom::new().fill(&mut octets).is_err() {
        // Clients do nothing with it.
        tracing::error!("the system has no randomness for the id of a stream");
    }
    format!("{:032x}", u128::from_ne_bytes(octets))
}
