//! What one seed decides about a world before it begins, and what the operator of its server decided.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use call::{AppKey, Network, Settings, Shard as Number};
use domain::delivery::NameConversation;
use domain::user::{Scram, ScramKeys, Secrets};
use domain::{
    Address, AppId, AppProfile, Behaviour, DeviceId, Generation, Mode, NotificationId, Platform,
    Provider, User, behaviour::Incoming,
};
use hub::Accounts;
use push::seal::KeyPair;
use sip::digest::{Algorithm, ha1};
use sip::endpoint::Transport;
use xmpp::sasl::Hash;
use xmpp::sasl::scram::{ClientSettings, StoredKeys};

use crate::phone::{PhoneConfig, PushService, Tokens, XmppDoor};
use crate::rng::Rng;

/// The domain of all users.
pub const DOMAIN: &str = "sim.example";
pub(super) const PASSWORD: &str = "wakeup";
const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// What is taken out of the product, to see that the model notices.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Switch {
    /// Nothing: the product as it is.
    #[default]
    None,
    /// A sleeping device that comes back during a call is not sent the call.
    LateFork,
    /// An iPhone that was woken for a call which is over is not shown it.
    CallKit,
    /// A client of XMPP that does not acknowledge a message in time is not taken to be asleep for that.
    AckWindow,
    /// A client of XMPP that does not answer is never taken for gone.
    DeadConnection,
    /// A call over XMPP that is proposed again is taken for another one.
    CallsAgain,
    /// The store is said to have kept what it has not, and the server dies.
    Commit,
}

/// Where the server listens, by transport.
pub(super) fn listeners() -> [(Transport, SocketAddr); 3] {
    let at = |port| SocketAddr::from(([192, 0, 2, 1], port));
    [
        (Transport::Udp, at(5060)),
        (Transport::Tcp, at(5060)),
        (Transport::Tls, at(5061)),
    ]
}

/// Where it takes streams of XMPP, in TLS from the start.
pub(super) fn streams() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5223))
}

/// Everywhere that it is heard.
pub(super) fn places() -> impl Iterator<Item = SocketAddr> {
    let sip = listeners().map(|(_, address)| address);
    sip.into_iter().chain([streams()])
}

/// So many users; some have their calls forwarded to the next one.
pub(super) fn users(count: usize, rng: &mut Rng) -> Vec<User> {
    let names = NAMES.iter().take(count);
    let mut users: Vec<_> = names.filter_map(|name| user(name)).collect();
    for place in 0..users.len() {
        let next = (place + 1) % users.len();
        let forward = format!("sip:{}", users[next].address);
        users[place].forward = rng.chance(250).then_some(forward);
    }
    users
}

/// A user, by name.
pub(super) fn user(name: &str) -> Option<User> {
    Some(User {
        address: Address::new(name, DOMAIN).ok()?,
        display_name: name.to_owned(),
        secrets: secrets(name, PASSWORD),
        forward: None,
    })
}

/// What a password is checked against.
pub(super) fn secrets(name: &str, password: &str) -> Secrets {
    let ha1 = |algorithm| ha1(algorithm, name, DOMAIN, password);
    Secrets {
        md5: ha1(Algorithm::Md5),
        sha256: ha1(Algorithm::Sha256),
        scram: scram(password).map(Box::new),
        mark: 0,
    }
}

/// Worlds sign in often, and nobody guesses passwords in them.
const ITERATIONS: u32 = 1;

fn scram(password: &str) -> Option<Scram> {
    let keys = |hash| {
        let keys = StoredKeys::of(hash, password, [7; 16], ITERATIONS).ok()?;
        Some(ScramKeys {
            salt: keys.salt.to_vec(),
            stored: keys.stored_key.to_vec(),
            server: keys.server_key.to_vec(),
        })
    };
    Some(Scram {
        iterations: ITERATIONS,
        sha1: keys(Hash::Sha1)?,
        sha256: keys(Hash::Sha256)?,
    })
}

/// What the phones of a user know their password by.
pub(super) fn known_secrets(name: &str) -> Secrets {
    secrets(name, PASSWORD)
}

pub(super) fn services() -> [(PushService, Generation); 3] {
    let apns = |bundle: &str| PushService::Apns {
        team: "TEAM123456".to_owned(),
        bundle: bundle.to_owned(),
    };
    let fcm = PushService::Fcm {
        project: "sim-droid".to_owned(),
        package: "example.droid".to_owned(),
    };
    [
        (apns("example.phone"), Generation::DualChannel),
        (apns("example.pad"), Generation::SingleChannel),
        (fcm, Generation::DualChannel),
    ]
}

/// A page, which no world of seeds has yet.
fn page() -> (PushService, Generation) {
    let page = PushService::WebPush {
        app: "example.page".to_owned(),
        service: "https://push.example".to_owned(),
    };
    (page, Generation::DualChannel)
}

/// How much there may be at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) messages_per_device: u64,
    pushes_in_flight: usize,
    held_calls: usize,
}

impl Limits {
    /// So much that no world reaches it.
    pub(super) const WIDE: Self = Self {
        messages_per_device: 1_000,
        pushes_in_flight: 100,
        held_calls: 100,
    };

    /// Whether no push has to wait for another one.
    pub(super) fn are_wide(self) -> bool {
        self.pushes_in_flight == Self::WIDE.pushes_in_flight
    }

    /// Whether a queue may be full.
    pub(super) fn few_messages(self) -> bool {
        self.messages_per_device < Self::WIDE.messages_per_device
    }

    /// Wide, or some of them so narrow that they are reached.
    pub(super) fn drawn(rng: &mut Rng) -> Self {
        let mut limits = Self::WIDE;
        if rng.chance(100) {
            limits.messages_per_device = 1 + rng.below(4);
        }
        if rng.chance(100) {
            limits.pushes_in_flight = 2;
        }
        if rng.chance(100) {
            limits.held_calls = 2;
        }
        limits
    }
}

/// What the operator decided about whoever is none of our users, with the number of the one that there is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outside {
    pub(super) number: Option<u8>,
    /// Strangers may call and write.
    pub(super) strangers: bool,
    /// It needs no password.
    pub(super) trusted: bool,
    /// Calls that reach nobody go there.
    pub(super) fallback: bool,
}

impl Outside {
    /// Any decision, about the phone of this number.
    pub(super) fn drawn(number: u8, rng: &mut Rng) -> Self {
        Self {
            number: Some(number),
            strangers: rng.chance(500),
            trusted: rng.chance(500),
            fallback: rng.chance(600),
        }
    }

    /// Whether this is its phone.
    pub(super) fn is(self, who: usize) -> bool {
        self.number.map(usize::from) == Some(who)
    }

    /// Whether it may call and write.
    pub(super) fn is_let_in(self) -> bool {
        self.strangers || self.trusted
    }

    /// What it is: a gateway in a domain of its own, at an address that does not change while it stays where it is.
    pub(super) fn phone(self, rng: &mut Rng) -> Option<PhoneConfig> {
        let (service, _) = rng.pick(&services())?.clone();
        let server = if self.fallback {
            listeners()[0]
        } else {
            *rng.pick(&listeners())?
        };
        Some(PhoneConfig {
            registers: false,
            auto_answer: Some(rng.between(Duration::ZERO, Duration::from_secs(20))),
            ..PhoneConfig::drawn("gateway", PASSWORD, "pbx.example", server, service, rng)
        })
    }

    fn fallback_uri(self) -> Option<String> {
        let number = self.number.filter(|_| self.fallback)?;
        Some(format!("sip:gateway@10.0.0.{number}:40001"))
    }

    fn trusted_network(self) -> Option<Network> {
        let number = self.number.filter(|_| self.trusted)?;
        format!("10.0.0.{number}").parse().ok()
    }
}

/// Any phone of a user.
pub(super) fn phone(user: &str, rng: &mut Rng) -> Option<PhoneConfig> {
    let (service, generation) = rng.pick(&services())?.clone();
    let server = *rng.pick(&listeners())?;
    let tokens = Tokens::drawn(&service, generation, rng);
    let seconds = Duration::from_secs;
    let mut xmpp = rng.chance(500).then(door);
    let sip = xmpp.is_none() || rng.chance(400);
    if let Some(door) = &mut xmpp {
        door.pushes = !sip && rng.chance(700);
        door.receipts = rng.chance(200);
        door.markers = rng.chance(500);
    }
    // The device that the API knows is that of the SIP door.
    let device_api = rng.chance(500).then(|| "https://sim.example".to_owned());
    Some(PhoneConfig {
        sip,
        xmpp,
        device_api: device_api.filter(|_| sip),
        generation,
        tokens,
        auto_answer: rng
            .chance(500)
            .then(|| rng.between(seconds(0), seconds(20))),
        expires: *rng.pick(&[seconds(600), seconds(3_600)])?,
        keys: KeyPair::from_bytes(rng.bytes(), rng.bytes()).ok(),
        ..PhoneConfig::drawn(user, PASSWORD, DOMAIN, server, service, rng)
    })
}

/// The XMPP door of a phone that hands no tokens over, and tells who asks that a message is there.
pub(super) fn door() -> XmppDoor {
    XmppDoor {
        scram: ClientSettings {
            min_iterations: ITERATIONS,
            ..ClientSettings::default()
        },
        ..XmppDoor::new(streams())
    }
}

fn apps() -> Vec<AppKey> {
    let app = |(service, generation): (PushService, Generation)| {
        let (app, platform, provider, param) = match service {
            PushService::Apns { team, bundle } => {
                let param = format!("{team}.{bundle}");
                (bundle, Platform::Ios, Provider::Apns, param)
            }
            PushService::Fcm { project, package } => {
                (package, Platform::Android, Provider::Fcm, project)
            }
            PushService::WebPush { app, .. } => {
                (app, Platform::Web, Provider::WebPush, String::new())
            }
        };
        AppKey {
            profile: AppProfile {
                app: AppId::from(app),
                platform,
                provider,
                generation,
            },
            param,
        }
    };
    let all = services().into_iter().chain([page()]);
    all.map(app).collect()
}

/// What the operator knows of an app.
pub(super) fn profile(app: &AppId) -> Option<AppProfile> {
    let mut all = apps().into_iter().map(|it| it.profile);
    all.find(|it| it.app == *app)
}

fn behaviour(switch: Switch) -> Behaviour {
    let table = Behaviour::default();
    if switch != Switch::LateFork {
        return table;
    }
    table.with(Mode::Suspended, Incoming::Call, |rule| rule.keep = false)
}

/// So long that it never comes.
const NEVER: Duration = Duration::from_hours(24);

/// The server's secret for XMPP: the same in each of its lives, or no session would go on after one.
const SECRET: [u8; 32] = [7; 32];

/// An XMPP role. The secret is the same at all of them, the seed is not.
pub(super) fn im(accounts: Accounts, seed: [u8; 32], switch: Switch) -> im::Role {
    let settings = im::Settings::new(&[DOMAIN.to_owned()], SECRET);
    let mut settings = settings.expect("a domain");
    if switch == Switch::DeadConnection {
        settings.policy.dead_after = NEVER;
    }
    if switch == Switch::CallsAgain {
        settings.calls_known = Duration::ZERO;
    }
    im::Role::new(settings, accounts, seed)
}

/// So long a device is in use after its user did something at it.
pub(super) const IDLE_AFTER: Duration = Duration::from_mins(5);

/// The name of a conversation.
pub(super) fn conversation(from: &str, to: &Address) -> String {
    let with = DeviceId::from(to.as_str());
    NotificationId::of("conversation", from, &with).into()
}

/// For the hubs.
pub(super) fn hub(switch: Switch, limits: Limits) -> hub::Config {
    hub::Config {
        behaviour: Arc::new(behaviour(switch)),
        wake: domain::wake::Timers {
            closing: if switch == Switch::CallKit {
                Duration::ZERO
            } else {
                domain::wake::Timers::default().closing
            },
            ..domain::wake::Timers::default()
        },
        delivery: domain::delivery::Timers {
            acknowledge: if switch == Switch::AckWindow {
                NEVER
            } else {
                domain::delivery::Timers::default().acknowledge
            },
            ..domain::delivery::Timers::default()
        },
        apps: apps().into_iter().map(|app| app.profile).collect(),
        devices_per_user: 8,
        messages_per_device: limits.messages_per_device,
        pushes_in_flight: limits.pushes_in_flight,
        idle_after: IDLE_AFTER,
        register_at: "sip:192.0.2.1:5060".into(),
        people: hub::People {
            domains: Arc::new([DOMAIN.to_owned()]),
            ..hub::People::default()
        },
        conversations: NameConversation::by(conversation),
        seed: [0; 32],
    }
}

/// For the SIP roles.
pub(super) fn call(shards: usize, outside: Outside, limits: Limits) -> Settings {
    Settings {
        domains: Arc::new([DOMAIN.to_owned()]),
        node: DOMAIN.to_owned(),
        registrar: sip::registrar::Policy::default(),
        fallback: outside.fallback_uri(),
        trusted: outside.trusted_network().into_iter().collect(),
        strangers: outside.strangers,
        held_calls: limits.held_calls,
        requests_per_source: 1000,
        bearers: None,
        authz_server: None,
        relaying: call::Relaying::Off,
        // What nobody here would call too often.
        calls: call::CallLimits {
            per_caller: domain::quota::Allowance::ALL,
            per_callee: domain::quota::Allowance::ALL,
            per_server: domain::quota::Allowance::ALL,
        },
        apps: apps().into(),
        bound: Arc::new(listeners()),
        is_local: Arc::new(|_| false),
        shard: Number {
            number: 0,
            of: shards,
        },
        secret: vec![7; 32],
        seed: [0; 32],
    }
}
