//! A client that has signed in says octets; another one is there as well. What the server writes can be read, each question is
//! answered once, and nothing is left of the two when they have gone. Shared with the fuzz target `im_questions`.

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{
    Address, ArchivePage, Behaviour, Card, Change, Now, Timestamp, User, delivery, user::Secrets,
    wake,
};
use hub::{Accounts, Hub, Output, People};
use im::{Input, Link, Role, Settings};
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use xmpp::{
    StreamId,
    jid::Jid,
    ns,
    stream::{Framing, Greeted, Opened},
    xml::{Element, Item, Limits, Reader},
};

const DOMAIN: &str = "here";
const HEADER: &[u8] = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='here' version='1.0'>";
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
/// As many elements of one run are enough.
const ELEMENTS: usize = 256;

/// A role and its hub, and all that is about them.
struct World {
    now: Now,
    hub: Hub,
    role: Role,
    inputs: VecDeque<Input>,
    cards: BTreeMap<Address, Card>,
    /// What each client reads of the server, by its stream.
    reads: [Reader; 2],
    got: [Vec<Element>; 2],
    ended: [bool; 2],
    /// Who has an address.
    is_bound: [bool; 2],
}

fn user((name, sha256): (&str, &str)) -> User {
    User {
        address: Address::new(name, DOMAIN).expect("an address"),
        display_name: String::new(),
        secrets: Secrets {
            md5: String::new(),
            sha256: sha256.to_owned(),
            scram: None,
        },
        forward: None,
    }
}

impl World {
    fn new() -> Self {
        let accounts = Accounts::default();
        for it in USERS {
            accounts.put(user(it));
        }
        let config = hub::Config {
            behaviour: Arc::new(Behaviour::default()),
            wake: wake::Timers::default(),
            delivery: delivery::Timers::default(),
            apps: Vec::new(),
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
        let settings = Settings::new(&[DOMAIN.to_owned()], [7; 32]).expect("a domain");
        Self {
            now: Now {
                instant: Instant::now(),
                wall: Timestamp(1_700_000_000_000),
            },
            hub: Hub::new(config, accounts.clone()),
            role: Role::new(settings, accounts, [8; 32]),
            inputs: VecDeque::new(),
            cards: BTreeMap::new(),
            reads: [(); 2].map(|()| Reader::new(Limits::default())),
            got: [Vec::new(), Vec::new()],
            ended: [false; 2],
            is_bound: [false; 2],
        }
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
            im::Output::SignedIn(..)
            | im::Output::Note(_)
            | im::Output::Refused(_)
            | im::Output::Published(..) => {}
            im::Output::End(stream) => self.ended[place(stream)] = true,
            im::Output::Post(user, post) => self.inputs.push_back(Input::Posted(user, post)),
            im::Output::Component(domain, post) => {
                self.inputs.push_back(Input::ForComponent(domain, post));
            }
            im::Output::Read(ticket, ..) => {
                let page = ArchivePage {
                    messages: Vec::new(),
                    is_complete: true,
                };
                self.inputs.push_back(Input::Page(ticket, Ok(page)));
            }
            im::Output::ReadCard(ticket, user) => {
                let card = self.cards.get(&user).cloned();
                self.inputs.push_back(Input::Card(ticket, Ok(card)));
            }
            im::Output::ReadTokens(ticket, ..) => {
                self.inputs.push_back(Input::Tokens(ticket, Ok(None)));
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
                    if let Change::PutCard { user, card } = change {
                        self.cards.insert(user, *card);
                    }
                }
                self.hub.handle(now, hub::Input::Saved(id, Ok(())));
            }
            Output::Fetch(device) => {
                let empty = hub::Input::Fetched(device, Some(Vec::new()));
                self.hub.handle(now, empty);
            }
            Output::Count(push, ..) => {
                self.hub.handle(now, hub::Input::Counted(push, None));
            }
            Output::FetchRoster(user) => {
                let empty = hub::Input::RosterRead(user, Some(Vec::new()));
                self.hub.handle(now, empty);
            }
            Output::Tell(user, word) => self.hub.handle(now, hub::Input::Told(user, word)),
            Output::Note(_) | Output::Measured(_) | Output::Push(_) | Output::Answer(..) => {}
            output => self
                .role
                .handle(now, self.hub.directory(), Input::Hub(output)),
        }
    }

    /// A client reads what the server wrote: all of it can be read.
    fn reads(&mut self, stream: StreamId, octets: &[u8]) {
        let reader = &mut self.reads[place(stream)];
        reader.push(octets);
        while let Some(item) = reader.next().expect("what the server writes can be read") {
            if let Item::Element(element) = item {
                if element.is(ns::SASL, "success") {
                    reader.restart();
                }
                self.got[place(stream)].push(element);
            }
        }
    }

    /// A client signs in and says that it is there.
    fn comes(&mut self, client: usize) {
        let (name, _) = USERS[client];
        // It was greeted before it got here.
        self.reads(stream(client), HEADER);
        let plain = STANDARD.encode(format!("\0{name}\0secret"));
        let greeted = Greeted {
            opened: Opened {
                to: Jid::parse(DOMAIN).expect("a domain"),
                from: None,
                lang: None,
            },
            secure: true,
            element: Element::new(ns::SASL, "auth")
                .with_attr("mechanism", "PLAIN")
                .with_text(&plain),
        };
        let link = Link {
            remote: SocketAddr::from(([10, 0, 0, 1], 5222)),
            framing: Framing::Tcp,
            exporter: None,
            end_point: None,
        };
        self.hears(Input::Greeted(
            stream(client),
            Box::new(greeted),
            Box::new(link),
        ));
        let bind = "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>it</resource></bind></iq>";
        self.says(client, format!("{bind}<presence/>").as_bytes());
        self.is_bound[client] = true;
        let is_bound =
            |it: &Element| it.attr("id") == Some("bind") && it.attr("type") == Some("result");
        assert!(self.got[client].iter().any(is_bound), "{name} is there");
        self.got[client].clear();
    }

    /// What a client says in a stream that is open, as far as it can be read; all of it that it asked and wants answered.
    fn says(&mut self, client: usize, octets: &[u8]) -> BTreeMap<String, usize> {
        let mut reader = Reader::new(Limits::default());
        reader.push(HEADER);
        let opened = reader.next().expect("a header").expect("all of it");
        if !self.is_bound[client] {
            self.hears(Input::Read(stream(client), opened));
        }
        reader.push(octets);
        let mut asked = BTreeMap::new();
        for _ in 0..ELEMENTS {
            let Ok(Some(item)) = reader.next() else {
                break;
            };
            if self.ended[client] {
                break;
            }
            if let Item::Element(element) = &item
                && let Some(id) = question(element)
            {
                *asked.entry(id.to_owned()).or_default() += 1;
            }
            self.hears(Input::Read(stream(client), item));
        }
        asked
    }

    /// The connections are lost, and so much time passes that nobody waits for them any more.
    fn ends(mut self) {
        for client in 0..USERS.len() {
            self.hears(Input::Gone(stream(client)));
        }
        for _ in 0..20 {
            self.now.instant += Duration::from_mins(1);
            self.now.wall = self.now.wall.plus(Duration::from_mins(1));
            self.role.handle_timeout(self.now, self.hub.directory());
            self.hub.handle_timeout(self.now);
            self.settle();
            while let Some(input) = self.inputs.pop_front() {
                self.hears(input);
            }
        }
        assert_eq!(self.role.load(), im::Load::default(), "nothing is left");
        assert_eq!(self.hub.load().available, 0);
    }
}

fn stream(client: usize) -> StreamId {
    StreamId(client as u64 + 1)
}

fn place(stream: StreamId) -> usize {
    usize::from(stream.0 == 2)
}

/// The id of a question that we answer, and not a client.
fn question(element: &Element) -> Option<&str> {
    let kind = element.attr("type")?;
    let is_asked = element.is(ns::CLIENT, "iq") && (kind == "get" || kind == "set");
    let is_for_client = element.attr("to").is_some_and(|to| to.contains('/'));
    let id = element.attr("id").filter(|id| !id.is_empty());
    id.filter(|_| is_asked && !is_for_client)
}

/// See above. How many questions were answered.
pub(crate) fn questions(octets: &[u8]) -> usize {
    let mut world = World::new();
    world.comes(1);
    world.comes(0);
    let asked = world.says(0, octets);
    let mut answered: BTreeMap<String, usize> = BTreeMap::new();
    for element in &world.got[0] {
        let is_answer = matches!(element.attr("type"), Some("result" | "error"));
        if let Some(id) = element
            .attr("id")
            .filter(|_| is_answer && element.is(ns::CLIENT, "iq"))
        {
            *answered.entry(id.to_owned()).or_default() += 1;
        }
    }
    let mut total = 0;
    for (id, times) in asked {
        let got = answered.get(&id).copied().unwrap_or_default();
        total += got;
        // Whose stream has ended waits for nothing.
        assert!(
            got == times || world.ended[0],
            "{id}: asked {times} times, answered {got} times"
        );
    }
    world.ends();
    total
}
