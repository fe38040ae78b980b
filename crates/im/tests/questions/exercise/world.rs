//! A role and its hub, and all that is about them: clouds that take every push, and whoever has a stream.

use super::{
    peer::{DOMAIN, Peer, header},
    store::Store,
    strangers::SECRETS,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{
    Address, AppProfile, Behaviour, Generation, Message, Now, Outcome, Platform, Provider,
    Timestamp, User, delivery, user::Secrets, wake,
};
use hub::{Accounts, Bearers, Hub, NotDone, Output, People, PushOrder, Pushed, Ticket};
use im::{Input, Link, Role, Settings};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use xmpp::{
    StreamId, ns,
    sasl::{fast, mechanism::Mechanism},
    stream::{Framing, Greeted, Then},
    xml::{Element, Item},
};

/// An app's own server, which is a component.
const SERVER: &str = "app.example";
/// An app that we push to ourselves.
const APP: &str = "com.example.app";
/// SHA-256 of `name:here:secret`.
const USERS: [(&str, &str); 2] = [
    (
        "alice",
        "1c032e35d50f36319642214b9f0475eb80f62ff89365f3e5aa2c2ee157dd5306",
    ),
    (
        "bob",
        "9b9d1a7fbbb8f4fbf4591de890aba6eac9b5b46e437c72ce6fcce2436429ecc8",
    ),
];
/// Alice's token of OAuth, that nobody guesses: whose it says to be stands before the dot.
const BEARER: &str = "alice.2f7c1d9be05f4c0f";
/// As many elements of one run are enough.
const ELEMENTS: usize = 256;

/// See above.
pub(super) struct World {
    now: Now,
    hub: Hub,
    role: Role,
    inputs: VecDeque<Input>,
    store: Store,
    peers: BTreeMap<u64, Peer>,
    /// What those who connect may say without knowing it.
    noted: BTreeMap<&'static str, String>,
}

fn bearers() -> Bearers {
    Bearers {
        made: Arc::new(|token, _| {
            let user = Address::new(token.split('.').next()?, DOMAIN).ok()?;
            (token == BEARER).then(|| (user, String::new()))
        }),
        is_of: Arc::new(|_, _| true),
    }
}

fn link() -> Link {
    Link {
        remote: SocketAddr::from(([10, 0, 0, 1], 5222)),
        edge: None,
        framing: Framing::Tcp,
        exporter: None,
        end_point: None,
    }
}

fn user((name, sha256): (&str, &str)) -> User {
    User {
        address: Address::new(name, DOMAIN).expect("an address"),
        display_name: String::new(),
        secrets: Secrets {
            md5: String::new(),
            sha256: sha256.to_owned(),
            scram: None,
            mark: 0,
        },
        forward: None,
    }
}

impl World {
    pub(super) fn new() -> Self {
        let accounts = Accounts::default();
        for it in USERS {
            accounts.put(user(it));
        }
        let app = AppProfile {
            app: APP.into(),
            platform: Platform::Ios,
            provider: Provider::Apns,
            generation: Generation::DualChannel,
        };
        let config = hub::Config {
            behaviour: Arc::new(Behaviour::default()),
            wake: wake::Timers::default(),
            delivery: delivery::Timers::default(),
            apps: vec![app, im::app_of(SERVER)],
            devices_per_user: 5,
            messages_per_device: 20,
            pushes_in_flight: 1,
            register_at: "".into(),
            people: People {
                domains: [DOMAIN.to_owned()].into(),
                ..People::default()
            },
            conversations: delivery::NameConversation::by(|from, _| from.to_owned()),
            seed: [7; 32],
            idle_after: Duration::from_mins(5),
        };
        let settings = Settings {
            components: [SERVER.into()].into(),
            bearers: Some(bearers()),
            ..Settings::new(&[DOMAIN.to_owned()], [7; 32]).expect("a domain")
        };
        Self {
            now: Now {
                instant: Instant::now(),
                wall: Timestamp(1_700_000_000_000),
            },
            hub: Hub::new(config, accounts.clone()),
            role: Role::new(settings, accounts, [8; 32]),
            inputs: VecDeque::new(),
            store: Store::default(),
            peers: BTreeMap::new(),
            noted: BTreeMap::new(),
        }
    }

    /// Who has this stream.
    pub(super) fn peer(&mut self, stream: StreamId) -> &mut Peer {
        self.peers.get_mut(&stream.0).expect("a peer")
    }

    fn hears(&mut self, input: Input) {
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            self.role.handle(self.now, self.hub.directory(), input);
            self.settle();
        }
    }

    /// Carries words until nobody has more to say.
    fn settle(&mut self) {
        loop {
            if let Some(output) = self.role.poll() {
                self.role_says(output);
            } else if let Some(output) = self.hub.poll() {
                self.hub_says(output);
            } else {
                break;
            }
        }
    }

    fn role_says(&mut self, output: im::Output) {
        match output {
            im::Output::Write(stream, octets) => self.reads(stream, &octets),
            im::Output::SignedIn(stream, anew) => self.peer(stream).has_signed_in(anew),
            im::Output::Note(_) | im::Output::Refused(_) | im::Output::Published(..) => {}
            im::Output::End(stream) => self.peer(stream).has_ended = true,
            im::Output::Post(user, post) => self.inputs.push_back(Input::Posted(user, post)),
            im::Output::Component(domain, post) => {
                self.inputs.push_back(Input::ForComponent(domain, post));
            }
            im::Output::Read(ticket, user, query) => {
                let page = self.store.page(&user, &query).ok_or(NotDone::Missing);
                self.inputs.push_back(Input::Page(ticket, page));
            }
            im::Output::ReadCard(ticket, user) => {
                let card = self.store.card(&user);
                self.inputs.push_back(Input::Card(ticket, Ok(card)));
            }
            im::Output::ReadTokens(ticket, user, client) => {
                let kept = self.store.tokens(user, client);
                self.inputs.push_back(Input::Tokens(ticket, Ok(kept)));
            }
            im::Output::Account(ticket, _) => {
                self.inputs.push_back(Input::Account(ticket, Ok(())));
            }
            im::Output::Hub(input) => self.hub.handle(self.now, input),
        }
    }

    fn hub_says(&mut self, output: Output) {
        let now = self.now;
        match output {
            Output::Save(id, changes) => {
                for change in changes {
                    self.store.keeps(change);
                }
                self.hub.handle(now, hub::Input::Saved(id, Ok(())));
            }
            Output::Fetch(device) => {
                let head = self.store.head(&device);
                self.hub
                    .handle(now, hub::Input::Fetched(device, Some(head)));
            }
            Output::Count(push, ..) => {
                self.hub.handle(now, hub::Input::Counted(push, None));
            }
            Output::FetchRoster(user) => {
                let empty = hub::Input::RosterRead(user, Some(Vec::new()));
                self.hub.handle(now, empty);
            }
            Output::Tell(user, word) => self.hub.handle(now, hub::Input::Told(user, word)),
            // As a shard does it.
            Output::Push(order) if self.role.carries(&order.notification.app) => {
                let directory = self.hub.directory();
                self.role.handle(now, directory, Input::Push(order));
            }
            Output::Push(order) => self.hub.handle(now, hub::Input::Pushed(accepted(*order))),
            Output::Note(_) | Output::Measured(_) | Output::Answer(..) => {}
            output => self
                .role
                .handle(now, self.hub.directory(), Input::Hub(output)),
        }
    }

    fn reads(&mut self, stream: StreamId, octets: &[u8]) {
        if let Some(peer) = self.peers.get_mut(&stream.0) {
            peer.reads(octets, &mut self.noted);
        }
    }

    /// A phone of Alice's writes to Bob.
    pub(super) fn is_sent(&mut self, message: Arc<Message>) {
        let arrived = hub::Input::Arrived(Ticket(1), message);
        self.hub.handle(self.now, arrived);
        self.goes_on();
    }

    /// The app's own server connects, and has shown its secret.
    pub(super) fn server_connects(&mut self, stream: StreamId) {
        self.peers.insert(stream.0, Peer::component());
        self.hears(Input::Component(stream, SERVER.into()));
    }

    /// Somebody connects.
    pub(super) fn connects(&mut self, stream: StreamId) {
        self.peers.insert(stream.0, Peer::new());
    }

    /// A client signs in, and has no address yet.
    pub(super) fn signs_in(&mut self, stream: StreamId, name: &str) {
        self.connects(stream);
        let plain = STANDARD.encode(format!("\0{name}\0secret"));
        let header = header(ns::CLIENT);
        let auth = format!(
            "{header}<auth xmlns='{}' mechanism='PLAIN'>{plain}</auth>{header}",
            ns::SASL
        );
        self.says(stream, auth.as_bytes());
    }

    /// A client signs in and says that it is there.
    pub(super) fn comes(&mut self, stream: StreamId, name: &str) {
        self.signs_in(stream, name);
        let bind = "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>it</resource></bind></iq>";
        self.says(stream, format!("{bind}<presence/>").as_bytes());
        let is_bound =
            |it: &Element| it.attr("id") == Some("bind") && it.attr("type") == Some("result");
        assert!(self.peer(stream).got().any(is_bound), "{name} is there");
    }

    /// What somebody says, as far as it can be read; all of it that they asked us and want answered, by an id that they used for nobody
    /// else.
    pub(super) fn says(&mut self, stream: StreamId, octets: &[u8]) -> BTreeMap<String, usize> {
        let octets = self.filled_in(octets);
        self.peer(stream).says.push(&octets);
        let (mut asked, mut others) = (BTreeMap::new(), BTreeSet::new());
        for _ in 0..ELEMENTS {
            let peer = self.peer(stream);
            if peer.has_ended {
                break;
            }
            let Ok(Some(item)) = peer.says.next() else {
                break;
            };
            if let Item::Element(element) = &item
                && let Some((id, is_ours)) = question(element)
            {
                if is_ours {
                    *asked.entry(id.to_owned()).or_default() += 1;
                } else {
                    others.insert(id.to_owned());
                }
            }
            self.is_heard(stream, item);
        }
        // Nobody can tell whose answer it is.
        asked.retain(|id, _| !others.contains(id));
        asked
    }

    /// Puts in what somebody says who knows it.
    fn filled_in(&self, octets: &[u8]) -> Vec<u8> {
        let [plain, bearer, token] = SECRETS;
        let mechanism = Mechanism::HtSha256None;
        let given = self.noted.get(token).map_or("", String::as_str);
        let shown = fast::initiate("alice", given, mechanism, &[]).expect("a message");
        let known = [
            (plain, STANDARD.encode("\0alice\0secret")),
            (
                bearer,
                STANDARD.encode(format!("n,,\u{1}auth=Bearer {BEARER}\u{1}\u{1}")),
            ),
            (token, STANDARD.encode(shown)),
            ("{header}", header(ns::CLIENT)),
        ];
        let noted = ["{id}", "{iq}"].map(|it| (it, self.noted.get(it).cloned()));
        let noted = noted.map(|(name, value)| (name, value.unwrap_or_default()));
        known
            .into_iter()
            .chain(noted)
            .fold(octets.to_vec(), |octets, (name, value)| {
                replaced(&octets, name.as_bytes(), value.as_bytes())
            })
    }

    /// As the task of a connection does it.
    fn is_heard(&mut self, stream: StreamId, mut item: Item) {
        let mut begins = false;
        if let Item::Element(element) = &mut item {
            element.rescope(ns::COMPONENT, ns::CLIENT);
            begins = element.is(ns::SASL, "auth") || element.is(ns::SASL2, "authenticate");
        }
        let peer = self.peer(stream);
        let Some(greeter) = peer
            .greeter
            .as_mut()
            .filter(|_| begins || peer.opened.is_none())
        else {
            return self.hears(Input::Read(stream, item));
        };
        let (answer, then) = greeter.handle(item, "id");
        for piece in answer.pieces() {
            self.reads(stream, piece);
        }
        match then {
            Then::Greeted(greeted) => self.is_greeted(stream, greeted),
            Then::Read => {}
            Then::StartTls | Then::Component(_) | Then::Close => {
                self.peer(stream).has_ended = true;
            }
        }
    }

    fn is_greeted(&mut self, stream: StreamId, greeted: Box<Greeted>) {
        self.peer(stream).opened = Some(greeted.opened.clone());
        self.hears(Input::Greeted(stream, greeted, Box::new(link())));
    }

    /// A connection is lost.
    pub(super) fn is_lost(&mut self, stream: StreamId) {
        self.hears(Input::Gone(stream));
    }

    fn goes_on(&mut self) {
        self.settle();
        while let Some(input) = self.inputs.pop_front() {
            self.hears(input);
        }
    }

    /// The connections are lost, and so much time passes that nobody waits for them any more.
    pub(super) fn ends(mut self) {
        let streams: Vec<u64> = self.peers.keys().copied().collect();
        for stream in streams {
            self.is_lost(StreamId(stream));
        }
        // Who can be woken is waited for for 72 hours.
        let times = [Duration::from_mins(1), Duration::from_hours(4)];
        for time in times.into_iter().flat_map(|it| [it; 20]) {
            self.now.instant += time;
            self.now.wall = self.now.wall.plus(time);
            self.role.handle_timeout(self.now, self.hub.directory());
            self.hub.handle_timeout(self.now);
            self.goes_on();
        }
        assert_eq!(self.role.load(), im::Load::default(), "nothing is left");
        assert_eq!(self.hub.load().available, 0);
    }
}

/// A cloud takes a push.
fn accepted(order: PushOrder) -> Pushed {
    Pushed {
        push: order.push,
        device: order.device,
        token: order.notification.token.into(),
        outcome: Outcome::Accepted {
            provider_id: "1".to_owned(),
        },
    }
}

fn replaced(octets: &[u8], name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut rest = octets;
    let mut whole = Vec::new();
    while let Some(place) = rest.windows(name.len()).position(|it| it == name) {
        whole.extend_from_slice(&rest[..place]);
        whole.extend_from_slice(value);
        rest = &rest[place + name.len()..];
    }
    whole.extend_from_slice(rest);
    whole
}

/// The id of a question, and whether we answer it, and not a client or a server beside ours.
fn question(element: &Element) -> Option<(&str, bool)> {
    let kind = element.attr("type")?;
    let is_asked = element.is(ns::CLIENT, "iq") && (kind == "get" || kind == "set");
    let is_for_others = element
        .attr("to")
        .is_some_and(|to| to.contains('/') || to.contains(SERVER));
    let id = element.attr("id").filter(|id| !id.is_empty());
    id.filter(|_| is_asked).map(|id| (id, !is_for_others))
}
