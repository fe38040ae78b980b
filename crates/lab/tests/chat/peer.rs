//! A client and a server that says what it is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::phone::chat::{Account, Client, Event, Input, Link, Order, Output, StreamNumber};
use lab::rng::Rng;
use xmpp::sasl::Hash;
use xmpp::sasl::scram::{Advertised, ClientSettings, Opening, StoredKeys, Terms};
use xmpp::stream::Framing;
use xmpp::xml::{Context, Item, Limits, Reader};

pub const PASSWORD: &str = "wakeup";
pub const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' from='localhost' id='s' version='1.0'>";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

pub struct Peer {
    pub client: Client,
    pub now: Instant,
    /// The connection that the client has.
    pub number: Option<StreamNumber>,
    /// How the ones before went.
    pub gone: Vec<&'static str>,
    wrote: Reader,
    /// What it wrote, element by element.
    pub heard: Vec<String>,
    pub events: Vec<Event>,
}

pub fn account() -> Account {
    Account {
        user: "bob".to_owned(),
        password: PASSWORD.to_owned(),
        domain: "localhost".to_owned(),
        resource: "phone".to_owned(),
        framing: Framing::Tcp,
        scram: ClientSettings {
            min_iterations: 1,
            ..ClientSettings::default()
        },
        approves: true,
        receipts: true,
        markers: false,
        copies: false,
        pushes: None,
    }
}

impl Peer {
    pub fn new() -> Self {
        Self::of(account())
    }

    pub fn of(account: Account) -> Self {
        let now = Instant::now();
        Self {
            client: Client::new(now, Arc::new(account), Rng::new(1)),
            now,
            number: None,
            gone: Vec::new(),
            wrote: Reader::new(Limits::default()),
            heard: Vec::new(),
            events: Vec::new(),
        }
    }

    /// A client that is signed in, with a session called `id` that can be resumed.
    pub fn signed_in(id: &str) -> Self {
        let mut peer = Self::new();
        peer.order(Order::Open);
        peer.signs_in();
        peer.begins(id);
        peer
    }

    pub fn order(&mut self, order: Order) {
        self.handle(Input::Order(order));
    }

    pub fn write(&mut self, name: u64, text: &str) {
        let (to, text) = ("alice@localhost".to_owned(), text.to_owned());
        self.order(Order::Write { name, to, text });
    }

    pub fn handle(&mut self, input: Input) {
        self.client.handle(self.now, input);
        while let Some(output) = self.client.poll() {
            match output {
                Output::Connect(number) => {
                    self.number = Some(number);
                    self.wrote = Reader::new(Limits::default());
                }
                Output::Write(number, octets) => {
                    assert_eq!(self.number, Some(number));
                    self.hears(&octets);
                }
                Output::Close(_) => self.goes("closed"),
                Output::Abandon(_) => self.goes("abandoned"),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    fn goes(&mut self, how: &'static str) {
        self.number = None;
        self.gone.push(how);
    }

    fn hears(&mut self, octets: &[u8]) {
        if octets.starts_with(b"<?xml") {
            self.wrote.restart();
        }
        self.wrote.push(octets);
        while let Some(item) = self.wrote.next().unwrap() {
            match item {
                Item::Element(element) => {
                    let text = element.to_octets(Context::CLIENT);
                    self.heard.push(String::from_utf8(text).unwrap());
                }
                Item::Open(_) => self.heard.push("<stream>".to_owned()),
                Item::Close => self.heard.push("</stream>".to_owned()),
                Item::KeepAlive => {}
            }
        }
    }

    /// The server says this.
    pub fn says(&mut self, text: &str) {
        let text = text.replace("{sm}", "xmlns='urn:xmpp:sm:3'");
        let number = self.number.expect("a connection");
        let octets = text.into_bytes().into();
        self.handle(Input::Link(Link::Received(number, octets)));
    }

    /// The connection breaks, and the client sees it.
    pub fn breaks(&mut self) {
        let number = self.number.expect("a connection");
        self.handle(Input::Link(Link::Closed(number)));
    }

    /// Time passes, as long as something is due again and again.
    pub fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.client.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(due);
            self.handle(Input::Time);
        }
        self.now = end;
    }

    /// What it wrote since it was asked last.
    pub fn takes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.heard)
    }

    /// The same for what it went through.
    pub fn went_through(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The one stanza that it wrote with this in it.
    pub fn stanza(&self, with: &str) -> String {
        let mut found = self.heard.iter().filter(|it| it.contains(with));
        let first = found.next();
        let first = first.unwrap_or_else(|| panic!("no {with} in {:?}", self.heard));
        assert_eq!(found.next(), None);
        first.clone()
    }

    /// The connection is there, and the client signs in by SCRAM.
    pub fn signs_in(&mut self) {
        let keys = StoredKeys::of(Hash::Sha256, PASSWORD, [7; 16], 8).unwrap();
        self.signs_in_with(&keys);
        let success = self
            .events
            .iter()
            .find(|it| matches!(it, Event::Refused { .. }));
        assert_eq!(success, None);
    }

    pub fn signs_in_with(&mut self, keys: &StoredKeys) {
        self.handle(Input::Link(Link::Opened(self.number.unwrap())));
        self.says(&format!(
            "{HEADER}<stream:features><mechanisms xmlns='{SASL}'><mechanism>PLAIN</mechanism>\
             <mechanism>SCRAM-SHA-256</mechanism></mechanisms></stream:features>"
        ));
        let first = Self::said(&self.stanza("<auth"));
        let names = ["PLAIN", "SCRAM-SHA-256"].map(str::to_owned);
        let advertised = Advertised {
            mechanisms: names.to_vec(),
            bindings: None,
        };
        let terms = Terms {
            hash: Hash::Sha256,
            plus: false,
            advertised: &advertised,
            bindings: &[],
            domain: "localhost",
        };
        let opening = Opening::read(&terms, &first).unwrap();
        assert_eq!(opening.user(), "bob");
        let (challenge, exchange) = opening.challenge(Some(keys), &[0; 32], &[1; 18]);
        self.takes();
        let challenge = STANDARD.encode(challenge);
        self.says(&format!(
            "<challenge xmlns='{SASL}'>{challenge}</challenge>"
        ));
        let Some(last) = self.heard.pop() else {
            return;
        };
        match exchange.verify(&Self::said(&last)) {
            Ok(verified) => {
                let proof = STANDARD.encode(verified.message);
                self.says(&format!("<success xmlns='{SASL}'>{proof}</success>"));
                assert_eq!(self.takes(), ["<stream>"]);
                self.says(&format!(
                    "{HEADER}<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
                     <csi xmlns='urn:xmpp:csi:0'/></stream:features>"
                ));
            }
            Err(_) => self.says(&format!(
                "<failure xmlns='{SASL}'><not-authorized/></failure>"
            )),
        }
    }

    fn said(element: &str) -> Vec<u8> {
        let text = element.split('>').nth(1).unwrap_or_default();
        let text = text.split('<').next().unwrap_or_default();
        STANDARD.decode(text).unwrap()
    }

    /// The client gets an address and a session called `id`.
    pub fn begins(&mut self, id: &str) {
        let bind = self.stanza("xmpp-bind");
        self.says(&format!(
            "<iq type='result' id='{}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <jid>bob@localhost/phone</jid></bind></iq>",
            id_of(&bind)
        ));
        self.stanza("<enable");
        self.says(&format!(
            "<enabled {{sm}} id='{id}' resume='true' max='300'/>"
        ));
    }

    /// Somebody's message is here, under this id in the archive.
    pub fn message(&mut self, id: &str, text: &str) {
        self.says(&format!(
            "<message from='alice@localhost/desk' to='bob@localhost' type='chat' id='m-{id}'>\
             <body>{text}</body><stanza-id xmlns='urn:xmpp:sid:0' id='{id}' by='bob@localhost'/>\
             </message>"
        ));
    }

    /// A message of the archive, in answer to a question.
    pub fn archived(&mut self, query: &str, from: &str, id: &str, text: &str) {
        self.says(&format!(
            "<message from='bob@localhost' to='bob@localhost/phone'>\
             <result xmlns='urn:xmpp:mam:2' queryid='{query}' id='{id}'>\
             <forwarded xmlns='urn:xmpp:forward:0'>\
             <message xmlns='jabber:client' from='{from}' to='bob@localhost' type='chat' id='m-{id}'>\
             <body>{text}</body></message></forwarded></result></message>"
        ));
    }

    /// The end of a page.
    pub fn page_ends(&mut self, query: &str, last: &str, complete: bool) {
        self.says(&format!(
            "<iq type='result' id='{query}'><fin xmlns='urn:xmpp:mam:2' complete='{complete}'>\
             <set xmlns='http://jabber.org/protocol/rsm'><last>{last}</last></set></fin></iq>"
        ));
    }

    /// The texts that it showed, in their order.
    pub fn shown(&self) -> Vec<&str> {
        let texts = self.events.iter().filter_map(|event| match event {
            Event::Message { text, .. } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }
}

/// The value of an attribute.
pub fn attribute(element: &str, name: &str) -> String {
    let (_, rest) = element.split_once(&format!(" {name}='")).unwrap();
    rest.split('\'').next().unwrap().to_owned()
}

pub fn id_of(element: &str) -> String {
    attribute(element, "id")
}
