//! A shard with its users, among them Alice at a trusted address and Bob with a phone, and the world around it: a store and push
//! clouds that say yes at once.

use anyhow::{Context, Result};
use bytes::Bytes;
use call::{AppKey, Role, Settings, Shared};
use domain::{
    Address, AppId, AppProfile, Change, Generation, Message as Chat, Now, Outcome, Platform,
    Provider, Timestamp, User, delivery::NameConversation, user::Secrets,
};
use hub::{Accounts, Hub, Pushed};
use shard::{Input, Output, Shard};
use sip::{
    Flow, HeaderName, Limits, Message, Method, Transport,
    digest::{self, Algorithm, Challenge, Login, Verifier, ha1},
    registrar::Policy,
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use xmpp::{
    StreamId,
    stream::{Domains, Framing, Greeted},
    xml::Item,
};

const DOMAIN: &str = "example.org";
const PASSWORD: &str = "secret";
const KEY: [u8; 32] = [7; 32];
/// 2026-01-01.
const BEGAN: u64 = 1_767_225_600;
/// After so long all transactions are over.
const PAUSE: Duration = Duration::from_secs(40);

/// Where Alice is, in 192.0.2.0/24.
pub(super) const ALICE: u8 = 10;
/// Where Bob's phone is.
pub(super) const BOB: u8 = 20;
/// Whether a phone names a push token.
pub(super) const PUSH: &str = ";pn-provider=apns;pn-param=TEAM123456.com.example.phone.voip;\
     pn-prid=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// See above.
pub(super) struct World {
    shard: Shard,
    now: Now,
    /// What was sent and not looked at.
    sent: Vec<(u8, Message)>,
    /// Messages that the store was asked to keep, until somebody has read one.
    kept: Vec<Arc<Chat>>,
    /// What was written to streams and not looked at.
    streams: Vec<(StreamId, Bytes)>,
    /// Ours, as streams name them.
    pub(super) domains: Domains,
    /// How many pushes were sent.
    pub(super) pushes: usize,
}

impl World {
    /// With Alice and Bob.
    pub(super) fn new() -> Result<Self> {
        Self::of(["alice", "bob"].map(str::to_owned))
    }

    pub(super) fn of(names: impl IntoIterator<Item = String>) -> Result<Self> {
        let accounts = Accounts::default();
        for name in names {
            accounts.put(user(&name)?);
        }
        let hub = Hub::new(hub_config(), accounts.clone());
        let settings = settings()?;
        let shared = Shared::new(KEY, &settings.domains);
        let im = im::Settings::new(&settings.domains, KEY)?;
        let domains = im.domains.clone();
        let im = im::Role::new(im, accounts.clone(), [4; 32]);
        let role = Role::new(settings, shared, accounts, [3; 32]);
        Ok(Self {
            shard: Shard::new(hub, role, im),
            now: Now {
                instant: Instant::now(),
                wall: Timestamp(BEGAN * 1000),
            },
            sent: Vec::new(),
            kept: Vec::new(),
            streams: Vec::new(),
            domains,
            pushes: 0,
        })
    }

    /// Lets time pass until nothing is under way: the tables stay as they are.
    pub(super) fn pause(&mut self) {
        let until = self.now.instant + PAUSE;
        while let Some(at) = self.shard.next_timeout(self.now).filter(|at| *at < until) {
            self.wait(at.max(self.now.instant + Duration::from_millis(1)));
        }
        self.wait(until);
        self.sent.clear();
    }

    fn wait(&mut self, until: Instant) {
        let passed = until.saturating_duration_since(self.now.instant);
        self.now.instant = until;
        self.now.wall = self.now.wall.plus(passed);
        self.shard.handle_timeout(self.now);
        self.perform();
    }

    /// Something arrives from there.
    pub(super) fn receive(&mut self, from: u8, text: String) -> Result<()> {
        let message = Message::parse(text.into(), &Limits::default())?;
        self.take(from, message);
        Ok(())
    }

    /// A message arrives from there.
    pub(super) fn take(&mut self, from: u8, message: Message) {
        self.shard
            .handle(self.now, Input::Received(flow(from), message));
        self.perform();
    }

    /// A client begins to sign in.
    pub(super) fn greeted(&mut self, stream: StreamId, greeted: Box<Greeted>) {
        let link = Box::new(im::Link {
            remote: flow(BOB).remote,
            framing: Framing::Tcp,
            exporter: None,
            end_point: None,
            edge: None,
        });
        self.im(im::Input::Greeted(stream, greeted, link));
    }

    /// A client goes on.
    pub(super) fn says(&mut self, stream: StreamId, item: Item) {
        self.im(im::Input::Read(stream, item));
    }

    fn im(&mut self, input: im::Input) {
        self.shard.handle(self.now, Input::Im(input));
        self.perform();
    }

    /// What was written to a stream; what was written to others is forgotten.
    pub(super) fn written(&mut self, stream: StreamId) -> String {
        self.kept.clear();
        let mut written = Vec::new();
        for (_, octets) in self.streams.drain(..).filter(|(to, _)| *to == stream) {
            written.extend_from_slice(&octets);
        }
        String::from_utf8(written).unwrap_or_default()
    }

    /// What was sent there first, of a request this method, else with this status.
    pub(super) fn sent(&mut self, to: u8, what: &str) -> Result<Message> {
        let is = |message: &Message| match message.status() {
            Some(status) => what.parse() == Ok(status),
            None => message.method().is_some_and(|it| it.as_str() == what),
        };
        let place = self.sent.iter().position(|(at, it)| *at == to && is(it));
        let place = place.with_context(|| format!("no {what} was sent to {to}"))?;
        Ok(self.sent.swap_remove(place).1)
    }

    fn perform(&mut self) {
        while let Some(output) = self.shard.poll() {
            let answer = match output {
                Output::Transmit(transmit) => {
                    let to = match transmit.flow.remote.ip() {
                        std::net::IpAddr::V4(ip) => ip.octets()[3],
                        std::net::IpAddr::V6(_) => 0,
                    };
                    let message = Message::parse(transmit.bytes, &Limits::default());
                    self.sent.extend(message.ok().map(|message| (to, message)));
                    continue;
                }
                Output::Im(im::Output::Write(stream, octets)) => {
                    self.streams.push((stream, octets));
                    continue;
                }
                Output::Im(im::Output::Post(to, post)) => Input::Im(im::Input::Posted(to, post)),
                Output::Tell(to, word) => Input::Told(to, word),
                Output::FetchRoster(user) => Input::RosterRead(user, Some(Vec::new())),
                Output::Save(id, changes) => {
                    self.kept
                        .extend(changes.into_iter().find_map(|change| match change {
                            Change::Archive(message) => Some(message),
                            _ => None,
                        }));
                    Input::Saved(id, Ok(()))
                }
                // Read once at most: from then on the lane knows what waits.
                Output::Fetch(device) => Input::Fetched(device, Some(self.kept.clone())),
                Output::Count(push, ..) => Input::Counted(push, None),
                Output::Push(order) => {
                    self.pushes += 1;
                    Input::Pushed(Pushed {
                        push: order.push,
                        device: order.device,
                        token: order.notification.token.into(),
                        outcome: Outcome::Accepted {
                            provider_id: String::new(),
                        },
                    })
                }
                _ => continue,
            };
            self.shard.handle(self.now, answer);
        }
    }
}

fn user(name: &str) -> Result<User> {
    let secret = |algorithm| ha1(algorithm, name, DOMAIN, PASSWORD);
    Ok(User {
        address: Address::new(name, DOMAIN)?,
        display_name: String::new(),
        secrets: Secrets {
            md5: secret(Algorithm::Md5),
            sha256: secret(Algorithm::Sha256),
            scram: None,
            mark: 0,
        },
        forward: None,
    })
}

fn app() -> AppProfile {
    AppProfile {
        app: AppId::from("com.example.phone"),
        platform: Platform::Ios,
        provider: Provider::Apns,
        generation: Generation::SingleChannel,
    }
}

fn hub_config() -> hub::Config {
    hub::Config {
        behaviour: Arc::default(),
        wake: domain::wake::Timers::default(),
        delivery: domain::delivery::Timers::default(),
        apps: vec![app()],
        devices_per_user: 10,
        messages_per_device: 1000,
        pushes_in_flight: 1000,
        register_at: "sip:192.0.2.1".into(),
        people: hub::People::default(),
        idle_after: Duration::from_mins(5),
        conversations: NameConversation::by(|from, _| from.to_owned()),
        seed: [5; 32],
    }
}

fn settings() -> Result<Settings> {
    let trusted = format!("192.0.2.{ALICE}/32").parse();
    Ok(Settings {
        domains: Arc::new([DOMAIN.to_owned()]),
        node: "192.0.2.1".to_owned(),
        registrar: Policy {
            max_expires: 30 * 24 * 3600,
            ..Policy::default()
        },
        fallback: None,
        trusted: vec![trusted.map_err(|error: String| anyhow::anyhow!(error))?],
        strangers: false,
        held_calls: 1000,
        requests_per_source: 1000,
        bearers: None,
        authz_server: None,
        relaying: call::Relaying::Off,
        calls: call::CallLimits {
            per_caller: domain::quota::Allowance::ALL,
            per_callee: domain::quota::Allowance::ALL,
            per_server: domain::quota::Allowance::ALL,
        },
        apps: Arc::new([AppKey {
            profile: app(),
            param: "TEAM123456.com.example.phone".to_owned(),
        }]),
        bound: Arc::new([(Transport::Udp, flow(0).local)]),
        is_local: Arc::new(|_| false),
        shard: call::Shard { number: 0, of: 1 },
        secret: vec![1; 32],
        seed: [2; 32],
    })
}

fn flow(host: u8) -> Flow {
    let at = |host| SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), 5060));
    Flow {
        transport: Transport::Udp,
        local: at(1),
        remote: at(host),
        id: 0,
    }
}

/// A user's REGISTERs: with digest, as a phone refreshes.
pub(super) struct Registers {
    user: String,
    challenge: Challenge,
}

impl Registers {
    /// Bob's.
    pub(super) fn new() -> Result<Self> {
        Self::of("bob".to_owned(), 1)
    }

    /// With a nonce of this salt.
    pub(super) fn of(user: String, salt: u64) -> Result<Self> {
        let verifier = Verifier::new(KEY, digest::Settings::new(DOMAIN));
        let challenges = verifier.challenge(BEGAN, false, salt);
        let challenge = challenges
            .iter()
            .filter_map(|value| Challenge::parse(value.as_bytes()))
            .find(|challenge| challenge.algorithm == Algorithm::Md5)
            .context("a challenge")?;
        Ok(Self { user, challenge })
    }

    /// The one of this number, from 1. `push`: what its Contact says of pushes.
    pub(super) fn request(&self, count: u32, push: &str) -> String {
        let user = &self.user;
        let login = Login {
            user,
            password: PASSWORD,
        };
        let uri = "sip:example.org";
        let credentials = self
            .challenge
            .answer(login, Method::Register, uri, count, "0a4f113b");
        format!(
            "REGISTER {uri} SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK{user}{count};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:{user}@{DOMAIN}>;tag=f1\r\n\
             To: <sip:{user}@{DOMAIN}>\r\n\
             Call-ID: 4f3bb8008e228c263ed40571\r\n\
             CSeq: {count} REGISTER\r\n\
             Contact: <sip:{user}@192.0.2.20:5060{push}>;\
             +sip.instance=\"<urn:uuid:00000000-0000-4000-8000-00000000000a>\"\r\n\
             Expires: 604800\r\n\
             User-Agent: bench\r\n\
             Authorization: {credentials}\r\n\
             Content-Length: 0\r\n\r\n"
        )
    }
}

/// A request of Alice's to Bob. What is in a dialog has the answer that made it.
pub(super) fn request(method: &str, run: usize, answer: Option<&Message>) -> String {
    let field = |name| answer.and_then(|answer| answer.header_text(name));
    let to = field(HeaderName::To).unwrap_or("<sip:bob@example.org>");
    let route = field(HeaderName::RecordRoute);
    let route = route.map_or_else(String::new, |route| format!("Route: {route}\r\n"));
    let uri = if answer.is_some() {
        "sip:bob@192.0.2.20:5060"
    } else {
        "sip:bob@example.org"
    };
    let cseq = if method == "BYE" { 2 } else { 1 };
    format!(
        "{method} {uri} SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{method}{run}\r\n\
         {route}\
         Max-Forwards: 70\r\n\
         From: <sip:alice@example.org>;tag=a{run}\r\n\
         To: {to}\r\n\
         Call-ID: c-{run}@192.0.2.10\r\n\
         CSeq: {cseq} {method}\r\n\
         Contact: <sip:alice@192.0.2.10>\r\n\
         User-Agent: bench\r\n\
         Content-Length: 0\r\n\r\n"
    )
}
