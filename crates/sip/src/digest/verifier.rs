//! The server's side: challenges, and the check of credentials.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::algorithm::{Algorithm, Exchange};
use super::fields::Fields;
use super::nonce::{NonceKey, Stamp};
use super::replay::{Replay, Use};
use crate::Method;
use crate::lex::quoted;

/// How to authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The realm of all users.
    pub realm: String,
    /// Algorithms to offer, the preferred one first (RFC 8760 §2.3).
    pub algorithms: Vec<Algorithm>,
    /// Seconds for which a nonce may be used, again and again with a growing count. A phone that is woken within it
    /// registers in one round trip.
    pub nonce_lifetime: u64,
    /// Nonces of which the use is remembered, about 60 octets each: as many as there are phones. Beyond it the oldest
    /// are forgotten together, and a phone whose count lags behind theirs is given a new nonce.
    pub max_nonces: usize,
}

impl Settings {
    /// SHA-256, then MD5; nonces for a day; two million of them.
    pub fn new(realm: impl Into<String>) -> Self {
        Self {
            realm: realm.into(),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            nonce_lifetime: 24 * 3600,
            max_nonces: 2_000_000,
        }
    }
}

/// Who sent the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated<'v> {
    /// The user name of the credentials.
    pub user: Cow<'v, str>,
}

/// Why a request is not authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// No credentials for our realm: challenge.
    #[error("no credentials for this realm")]
    Missing,
    /// Right password, but the nonce is too old or not ours: challenge with `stale`, and the client asks no one.
    #[error("nonce too old")]
    Stale,
    /// Unknown user or wrong password: challenge, or refuse.
    #[error("unknown user or wrong password")]
    BadCredentials,
    /// Right password, but this nonce count was used before: challenge with `stale`.
    #[error("nonce count used before")]
    Replayed,
    /// Credentials that nobody can read: `400`.
    #[error("malformed credentials")]
    Malformed,
}

impl Rejected {
    /// Should the challenge say `stale=true`?
    pub fn is_stale(self) -> bool {
        matches!(self, Self::Stale | Self::Replayed)
    }
}

/// Checks credentials. The key should be drawn anew at each start: the nonce counts that were used are not kept
/// beyond it. (A client with an old nonce is then told `stale`, and goes on without asking its user.)
///
/// Many may ask at once: what is remembered of nonces is behind locks, each for a part of them and held for a look-up.
#[derive(Debug)]
pub struct Verifier {
    key: NonceKey,
    settings: Settings,
    replay: Vec<Mutex<Replay>>,
}

/// So many parts.
const PARTS: usize = 16;

impl Verifier {
    /// A verifier whose nonces are good for this key alone.
    pub fn new(key: [u8; 32], settings: Settings) -> Self {
        let parts = settings.max_nonces.clamp(1, PARTS);
        let replay = || {
            let most = settings.max_nonces / parts;
            Mutex::new(Replay::new(most, settings.nonce_lifetime))
        };
        Self {
            key: NonceKey::new(key),
            replay: std::iter::repeat_with(replay).take(parts).collect(),
            settings,
        }
    }

    /// The values for WWW-Authenticate or Proxy-Authenticate, the preferred one first, each for a header field of its
    /// own. `salt` must not be used twice within a second.
    pub fn challenge(&self, now_unix_secs: u64, stale: bool, salt: u64) -> Vec<String> {
        let stamp = Stamp {
            seconds: now_unix_secs,
            salt,
        };
        let nonce = self.key.nonce(stamp);
        let realm = quoted(&self.settings.realm);
        let stale = if stale { ", stale=true" } else { "" };
        self.settings
            .algorithms
            .iter()
            .map(|algorithm| {
                let algorithm = algorithm.name();
                format!("Digest realm={realm}, nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}")
            })
            .collect()
    }

    /// Checks the values of Authorization or Proxy-Authorization; of several the first for our realm counts.
    /// `ha1` looks up what [`ha1`](super::ha1) makes of the password, by user name: its digits, by whatever holds them.
    ///
    /// # Errors
    /// What to do about it.
    pub fn verify<'v, H: AsRef<[u8]>>(
        &self,
        now_unix_secs: u64,
        method: Method<'_>,
        credentials: impl IntoIterator<Item = &'v [u8]>,
        ha1: impl FnOnce(&str, Algorithm) -> Option<H>,
    ) -> Result<Authenticated<'v>, Rejected> {
        let fields = self.ours(credentials)?;
        let given = Given::read(&fields).ok_or(Rejected::Malformed)?;
        if !self.settings.algorithms.contains(&given.algorithm) {
            return Err(Rejected::BadCredentials);
        }
        let known = ha1(given.user, given.algorithm);
        let exchange = Exchange {
            method: method.as_str(),
            ..given.exchange
        };
        // Hashed for a stranger too, so that the time taken does not tell who is one.
        let digits = known.as_ref().map_or(&[][..], AsRef::as_ref);
        let wanted = exchange.response(given.algorithm, digits);
        if !wanted.is(given.response) || known.is_none() {
            return Err(Rejected::BadCredentials);
        }
        self.check_nonce(now_unix_secs, &given)?;
        let user = fields.take("username").ok_or(Rejected::Malformed)?;
        Ok(Authenticated { user })
    }

    fn ours<'v>(
        &self,
        credentials: impl IntoIterator<Item = &'v [u8]>,
    ) -> Result<Fields<'v>, Rejected> {
        let mut rejected = Rejected::Missing;
        for value in credentials {
            match Fields::read(value) {
                Some(fields) if fields.get("realm") == Some(&self.settings.realm) => {
                    return Ok(fields);
                }
                None if is_digest(value) => rejected = Rejected::Malformed,
                // Of another scheme, or for another realm and so for another server on the way.
                _ => {}
            }
        }
        Err(rejected)
    }

    fn check_nonce(&self, now: u64, given: &Given<'_>) -> Result<(), Rejected> {
        let oldest = now.saturating_sub(self.settings.nonce_lifetime);
        let stamp = self.key.open(given.exchange.nonce);
        let stamp = stamp.ok_or(Rejected::Stale)?;
        let mut replay = self.replay_of(stamp);
        replay.forget_before(oldest);
        if stamp.seconds < oldest {
            return Err(Rejected::Stale);
        }
        match replay.note(stamp, given.count) {
            Use::Fresh => Ok(()),
            Use::Again => Err(Rejected::Replayed),
            Use::Forgotten => Err(Rejected::Stale),
        }
    }

    fn replay_of(&self, stamp: Stamp) -> MutexGuard<'_, Replay> {
        // The salt may be random or a count: its lowest digits spread either way.
        let part = stamp.salt % self.replay.len() as u64;
        let part = usize::try_from(part).unwrap_or_default();
        self.replay[part]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        let parts = self.replay.iter();
        parts.map(|part| part.lock().unwrap().len()).sum()
    }
}

fn is_digest(value: &[u8]) -> bool {
    value
        .get(..6)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"Digest"))
}

/// Credentials as given.
struct Given<'f> {
    user: &'f str,
    algorithm: Algorithm,
    response: &'f str,
    count: u32,
    exchange: Exchange<'f>,
}

impl<'f> Given<'f> {
    /// `None` if a field is absent or makes no sense. We always offer `qop=auth`, so it must be used.
    fn read(fields: &'f Fields<'_>) -> Option<Self> {
        let nc = fields
            .get("nc")
            .filter(|nc| nc.len() == 8 && nc.bytes().all(|octet| octet.is_ascii_hexdigit()))?;
        fields
            .get("qop")
            .filter(|qop| qop.eq_ignore_ascii_case("auth"))?;
        Some(Self {
            user: fields.get("username")?,
            algorithm: Algorithm::named(fields.get("algorithm"))?,
            response: fields.get("response")?,
            // It counts from 1 (RFC 7616 §3.4).
            count: u32::from_str_radix(nc, 16).ok().filter(|nc| *nc > 0)?,
            exchange: Exchange {
                method: "",
                uri: fields.get("uri")?,
                nonce: fields.get("nonce")?,
                nc,
                cnonce: fields.get("cnonce")?,
            },
        })
    }
}
