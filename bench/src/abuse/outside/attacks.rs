//! The attacks on an edge, each with the least that brings it about.

use super::{phone::Phone, quic};
use crate::{
    abuse::{
        attacker::{Done, Stands, address},
        attacks::connections::{held, hellos},
        messages::status,
    },
    load::{DOMAIN, PASSWORD},
    reveille::Reveille,
};
use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::Ed25519KeyPair,
};
use rustls::ClientConfig;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// Connections over which nothing comes, and whence.
const IDLE: (usize, u32) = (10_000, 250);
/// Connections whose answers nobody reads.
const DEAF: usize = 100;
/// An edge asks for a token so many times a connection.
const TOKENS: u32 = 6;
/// A source that is kept out comes again after so long.
const PAUSE: Duration = Duration::from_millis(5);

/// What is attacked.
pub(super) struct Target {
    /// SIP over TLS.
    pub(super) at: SocketAddr,
    pub(super) tls: Arc<ClientConfig>,
    /// Where insides dial it.
    pub(super) tunnel: SocketAddr,
    pub(super) tokens: Tokens,
    /// The number of a user who has an account and means ill.
    pub(super) bad_user: u32,
    pub(super) stop: AtomicBool,
}

impl Stands for Target {
    fn stands(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

/// Access tokens that a stranger may have.
pub(super) struct Tokens {
    /// One of the user who means ill, still good.
    own: String,
    /// The same as long as nobody had signed that user out.
    replayed: String,
    /// What it says, changed.
    forged: String,
    /// What it says, signed by somebody else's key.
    foreign: String,
}

impl Tokens {
    /// Those of a user at an inside.
    pub(super) fn of(inside: &Reveille, user: u32) -> Result<Self> {
        let replayed = inside.access_token(user)?;
        inside.sign_out(user)?;
        let own = inside.access_token(user)?;
        let [header, claims, _] = parts(&own)?;
        let mut said = URL_SAFE_NO_PAD.decode(claims)?;
        let at = memchr::memmem::find(&said, format!("u{user}@").as_bytes());
        said[at.context("a token names its user")? + 1] = b'0';
        let forged = format!(
            "{header}.{}.{}",
            URL_SAFE_NO_PAD.encode(said),
            parts(&own)?[2]
        );
        let mut seed = [0; 32];
        let random = SystemRandom::new().fill(&mut seed);
        random.map_err(|_| anyhow::anyhow!("the system gives no random octets"))?;
        let key = Ed25519KeyPair::from_seed_unchecked(&seed);
        let key = key.map_err(|error| anyhow::anyhow!("a key: {error}"))?;
        let text = format!("{header}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes()));
        Ok(Self {
            foreign: format!("{text}.{signature}"),
            own,
            replayed,
            forged,
        })
    }
}

fn parts(token: &str) -> Result<[&str; 3]> {
    let parts: Vec<_> = token.split('.').collect();
    parts.try_into().map_err(|_| anyhow::anyhow!("no token"))
}

/// An attack.
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) run: fn(&Target) -> Result<Done>,
    /// Why the edge refuses it, one of these at least; nothing where a kernel or QUIC does without a word.
    pub(super) reasons: &'static [&'static str],
    /// So many of its requests may reach the inside, which alone knows whether a user is signed out.
    pub(super) may_reach: u64,
}

const fn attack(
    name: &'static str,
    run: fn(&Target) -> Result<Done>,
    reasons: &'static [&'static str],
    may_reach: u64,
) -> Attack {
    Attack {
        name,
        run,
        reasons,
        may_reach,
    }
}

/// All of them.
pub(super) const ATTACKS: [Attack; 10] = [
    attack(
        "TLS handshakes, one source",
        |target| hellos(target, target.at, &target.tls, 1),
        &["silent", "connections", "shed", "banned"],
        0,
    ),
    attack(
        "TLS handshakes, 250 sources",
        |target| hellos(target, target.at, &target.tls, 250),
        &["silent", "connections", "shed", "banned"],
        0,
    ),
    attack(
        "QUIC: first packets, 250 sources",
        quic::first_packets,
        &[],
        0,
    ),
    attack(
        "QUIC: handshakes that go no further",
        quic::half_handshakes,
        &[],
        0,
    ),
    attack(
        "10,000 idle connections, 250 sources",
        |target| Ok(held(target, target.at, (b"", IDLE.0), IDLE.1)),
        &["silent", "connections"],
        0,
    ),
    attack("100 who read no answer", |target| Ok(deaf(target)), &[], 0),
    attack(
        "forged tokens",
        |target| shows(target, &target.tokens.forged, target.bad_user),
        &["bad_token"],
        0,
    ),
    attack(
        "tokens of another system",
        |target| shows(target, &target.tokens.foreign, target.bad_user),
        &["bad_token"],
        0,
    ),
    attack(
        "a token of who was signed out",
        |target| shows(target, &target.tokens.replayed, target.bad_user),
        &["bad_token"],
        8,
    ),
    attack(
        "a good token for somebody else",
        |target| shows(target, &target.tokens.own, 0),
        &["another_user"],
        0,
    ),
];

/// Shows a token for a user, as often as one connection may and then over another one, from 50 sources.
fn shows(target: &Target, token: &str, user: u32) -> Result<Done> {
    let mut done = Done::default();
    let mut number = 0;
    let shown = format!("Authorization: Bearer {token}\r\n");
    while target.stands() {
        number += 1;
        // A source that is banned gets no connection, and comes again.
        let Ok(mut phone) = Phone::connect(address(number % 50), target) else {
            thread::sleep(PAUSE);
            continue;
        };
        for step in 0..TOKENS {
            let draft = phone.register(user, 1_000_000 + number * TOKENS + step);
            let text = draft.text(0, &shown);
            done.sends(text.len());
            let Some(answer) = phone.asks(&draft, &text) else {
                break;
            };
            done.gets(answer.len());
            anyhow::ensure!(
                status(&answer, &draft.id) != Some(200),
                "a token that is no good was taken"
            );
        }
    }
    Ok(done)
}

/// Connections that say more and more, and read nothing of what is answered.
fn deaf(target: &Target) -> Done {
    let mut done = Done::default();
    let mut phones: Vec<Phone> = Vec::new();
    let mut number = 0;
    while target.stands() {
        while phones.len() < DEAF && target.stands() {
            number += 1;
            let Ok(mut phone) = Phone::connect(address(number % 50), target) else {
                break;
            };
            if phone.is_up() {
                phones.push(phone);
            }
        }
        phones.retain_mut(|phone| {
            number += 1;
            let mut draft = phone.register(target.bad_user, 2_000_000 + number);
            draft.method = "OPTIONS";
            let text = draft.text(0, "");
            done.sends(text.len());
            phone.says(&text).is_ok()
        });
    }
    done
}

impl Reveille {
    /// An access token of a user, for the password.
    fn access_token(&self, user: u32) -> Result<String> {
        let grant = format!(
            "{{\"grant_type\":\"password\",\"username\":\"u{user}@{DOMAIN}\",\"password\":\"{PASSWORD}\"}}"
        );
        let granted: serde_json::Value =
            serde_json::from_slice(&self.asked("POST", "/oauth/token", "", &grant)?)?;
        let token = granted["access_token"].as_str();
        Ok(token.context("no access token")?.to_owned())
    }

    /// Whatever the user has signed in is signed out.
    fn sign_out(&self, user: u32) -> Result<()> {
        let path = format!("/api/v1/users/u{user}@{DOMAIN}");
        let token = self.admin_token()?;
        self.asked("PUT", &path, &token, "{\"sign_out\":true}")
            .map(drop)
    }
}
