//! An edge that is attacked, and the tokens that a stranger may have.

use crate::{
    abuse::attacker::Stands,
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
};

/// In seconds.
const LONG_AGO: u64 = 1_600_000_000;

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
    pub(super) own: String,
    /// The same as long as nobody had signed that user out.
    pub(super) replayed: String,
    /// What it says, changed.
    pub(super) forged: String,
    /// What it says, signed by somebody else's key.
    pub(super) foreign: String,
    /// The same as it would be had it been made long ago.
    pub(super) expired: String,
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
        let mut old: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
        for at in ["iat", "exp"] {
            old[at] = LONG_AGO.into();
        }
        let old = URL_SAFE_NO_PAD.encode(old.to_string());
        Ok(Self {
            foreign: signed(&format!("{header}.{claims}"), &seed)?,
            expired: signed(&format!("{header}.{old}"), &inside.token_seed()?)?,
            own,
            replayed,
            forged,
        })
    }
}

/// This, with the signature of a key.
fn signed(text: &str, seed: &[u8]) -> Result<String> {
    let key = Ed25519KeyPair::from_seed_unchecked(seed);
    let key = key.map_err(|error| anyhow::anyhow!("a key: {error}"))?;
    let signature = URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes()));
    Ok(format!("{text}.{signature}"))
}

fn parts(token: &str) -> Result<[&str; 3]> {
    let parts: Vec<_> = token.split('.').collect();
    parts.try_into().map_err(|_| anyhow::anyhow!("no token"))
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

    /// Of the key that signs its tokens; no stranger has it.
    fn token_seed(&self) -> Result<Vec<u8>> {
        let keys = std::fs::read(self.folder().join("token-keys.json"))?;
        let keys: serde_json::Value = serde_json::from_slice(&keys)?;
        let seed = keys[0]["seed"].as_str().context("no key of tokens")?;
        Ok(URL_SAFE_NO_PAD.decode(seed)?)
    }

    /// Whatever the user has signed in is signed out.
    fn sign_out(&self, user: u32) -> Result<()> {
        let path = format!("/api/v1/users/u{user}@{DOMAIN}");
        let token = self.admin_token()?;
        self.asked("PUT", &path, &token, "{\"sign_out\":true}")
            .map(drop)
    }
}
