//! FAST (XEP-0484): a client that has signed in is given a token, and signs in with it within one round trip from then on.
//! The mechanisms are those of draft-schmaus-kitten-sasl-ht-09: a hash of the token and of the channel.
//!
//! A client has two tokens at most, the one that it uses and the one that it was given last (XEP-0484 §5.1): whether that
//! one has arrived shows when it is used. Times are Unix seconds.

mod kept;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use super::mechanism::{Binds, Mechanism};
use super::{Binding, Hash, Key, MAX_NAME, Refusal};

/// Octets of entropy in a token.
pub const TOKEN_OCTETS: usize = 32;

/// How long tokens are good, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// From the making of a token on: after this a client needs its password.
    pub lifetime: u64,
    /// A token of this age is replaced when it is used.
    pub rotate_after: u64,
}

impl Default for Settings {
    /// Good for three weeks, replaced once a day.
    fn default() -> Self {
        Self {
            lifetime: 21 * 24 * 3600,
            rotate_after: 24 * 3600,
        }
    }
}

/// What the tokens of one client are made with. Whoever has read the store and has not the server's secret can make none
/// of them, and with another password of the user none of the old ones is any good.
#[derive(Clone)]
pub struct Maker(Key);

impl Maker {
    /// For one installation of a user's client. `secret` must stay the same for as long as tokens are to be good; `verifier`
    /// is what is kept of the user's password.
    pub fn new(secret: &[u8; 32], user: &str, client: &str, verifier: &str) -> Self {
        let mut parts: Vec<&[u8]> = vec![b"fast token"];
        for part in [user, client, verifier] {
            parts.extend([b"\0", part.as_bytes()]);
        }
        Self(Hash::Sha256.hmac(secret, &parts))
    }

    fn secret(&self, seed: &[u8; TOKEN_OCTETS]) -> [u8; TOKEN_OCTETS] {
        let mut secret = [0; TOKEN_OCTETS];
        secret.copy_from_slice(&Hash::Sha256.hmac(&self.0, &[seed]));
        secret
    }
}

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Maker(…)")
    }
}

/// A token: as good as a password for the one client.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is made of, which is all that is kept of it.
    seed: [u8; TOKEN_OCTETS],
    /// The token itself; the client has it as [`text`](Self::text).
    secret: [u8; TOKEN_OCTETS],
    /// The one mechanism that it is good for (XEP-0484 §3.4).
    pub mechanism: Mechanism,
    /// When it was made.
    pub issued: u64,
    /// From when on it is not good any more.
    pub expires: u64,
    /// The highest count that it was used with.
    pub count: Option<u32>,
}

impl Token {
    /// As the client has it.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            mechanism,
            expires,
            count,
            ..
        } = self;
        write!(f, "Token({mechanism:?}, until {expires}, {count:?})")
    }
}

/// What a client sent: not yet verified. Its tokens are looked up by the user and the id of its user agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Who wants to sign in, as they wrote it.
    pub user: String,
    /// The hash of token and channel.
    hashed: Key,
}

/// What else stood in the request (XEP-0484 §3.4, §3.6), or is known of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The attribute `count`.
    pub count: Option<u32>,
    /// It came as early data of TLS, so anybody may have sent it again.
    pub early: bool,
    /// The token is to be good no more after this.
    pub invalidate: bool,
}

impl Attempt {
    /// Reads the one message: a name, a zero, a hash.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(message: &[u8]) -> Result<Self, Refusal> {
        let end = message.iter().position(|octet| *octet == 0);
        let (user, hashed) = message.split_at(end.ok_or(Refusal::Malformed)?);
        let hashed = &hashed[1..];
        if user.len() > MAX_NAME {
            return Err(Refusal::TooLong);
        }
        let user = std::str::from_utf8(user).map_err(|_| Refusal::Malformed)?;
        if user.is_empty() || hashed.len() != Hash::Sha256.octets() {
            return Err(Refusal::Malformed);
        }
        Ok(Self {
            user: user.to_owned(),
            hashed: Key::from_slice(hashed),
        })
    }

    fn is_of(&self, token: &Token, channel: &[u8]) -> bool {
        let wanted = hashed(&token.text(), b"Initiator", channel);
        bool::from(wanted.ct_eq(&self.hashed))
    }
}

/// A client that is signed in by its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Goes with the success: the server's own proof.
    pub message: Vec<u8>,
    /// The token is old: make another with [`Slots::issue`] and send it with the success.
    pub rotate: bool,
}

/// The tokens of one client, as they are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slots {
    /// The one that it uses.
    pub current: Option<Token>,
    /// The one that it was given last; if it had another before, it has not used this one yet.
    pub new: Option<Token>,
}

impl Slots {
    /// Makes a token for a client that is fully signed in. Keep the slots before the client is told. One that was made
    /// before and never used is forgotten (XEP-0484 §3.5), unless the client has no other: it may be in use, since using
    /// an only token changes nothing here. The seed must never be used twice.
    pub fn issue(
        &mut self,
        now: u64,
        mechanism: Mechanism,
        (seed, maker): ([u8; TOKEN_OCTETS], &Maker),
        settings: Settings,
    ) -> &Token {
        if self.current.is_none() {
            self.current = self.new.take();
        }
        self.new.insert(Token {
            seed,
            secret: maker.secret(&seed),
            mechanism,
            issued: now,
            expires: now.saturating_add(settings.lifetime),
            count: None,
        })
    }

    /// Verifies a client that chose `mechanism`. If it succeeds the slots may have changed: keep them before the client is
    /// told. A client that comes back with its only token and no count changes nothing, and waits for no disk.
    ///
    /// # Errors
    /// What is wrong. That a token has expired or was used before hears only who has it.
    pub fn verify(
        &mut self,
        now: u64,
        mechanism: Mechanism,
        attempt: &Attempt,
        circumstances: Circumstances,
        bindings: &[Binding],
        settings: Settings,
    ) -> Result<Accepted, Refusal> {
        let channel = channel(mechanism, bindings)?;
        let has = |slot: &Option<Token>| match slot {
            Some(token) => attempt.is_of(token, channel),
            None => false,
        };
        // Both are hashed, so that the time taken does not tell which it was.
        let (is_new, is_current) = (has(&self.new), has(&self.current));
        let slot = match (is_new, is_current) {
            (true, _) => &mut self.new,
            (_, true) => &mut self.current,
            _ => return Err(Refusal::BadCredentials),
        };
        let token = slot.as_mut().ok_or(Refusal::BadCredentials)?;
        check(now, token, mechanism, circumstances)?;
        token.count = circumstances.count.or(token.count);
        let accepted = Accepted {
            message: hashed(&token.text(), b"Responder", channel).to_vec(),
            rotate: !circumstances.invalidate
                && now.saturating_sub(token.issued) >= settings.rotate_after,
        };
        if circumstances.invalidate {
            // The client signs out: what it was given and has not used goes too.
            *self = Self::default();
        } else if is_new && self.current.is_some() {
            self.current = self.new.take();
        }
        Ok(accepted)
    }
}

/// What must be right of a token besides its hash (XEP-0484 §5.1).
fn check(
    now: u64,
    token: &Token,
    mechanism: Mechanism,
    circumstances: Circumstances,
) -> Result<(), Refusal> {
    if token.mechanism != mechanism {
        return Err(Refusal::WrongMechanism);
    }
    if now >= token.expires {
        return Err(Refusal::Expired);
    }
    match (circumstances.count, token.count) {
        (None, _) if circumstances.early => Err(Refusal::CountMissing),
        (Some(count), Some(used)) if count <= used => Err(Refusal::Replayed),
        _ => Ok(()),
    }
}

/// The octets of the channel binding that a mechanism has.
fn channel(mechanism: Mechanism, bindings: &[Binding]) -> Result<&[u8], Refusal> {
    match mechanism.binds() {
        _ if !mechanism.is_fast() => Err(Refusal::NotOffered),
        Binds::By(kind) => Binding::find(bindings, kind).ok_or(Refusal::BindingUnknown),
        Binds::Never | Binds::Any => Ok(&[]),
    }
}

fn hashed(token: &str, role: &[u8], channel: &[u8]) -> Key {
    Hash::Sha256.hmac(token.as_bytes(), &[role, channel])
}

/// The client's message, for a token as it has it.
///
/// # Errors
/// If the connection lacks the channel binding.
pub fn initiate(
    user: &str,
    token: &str,
    mechanism: Mechanism,
    bindings: &[Binding],
) -> Result<Vec<u8>, Refusal> {
    let hashed = hashed(token, b"Initiator", channel(mechanism, bindings)?);
    Ok([user.as_bytes(), b"\0", &hashed].concat())
}

/// Has the server proved to the client that it knows the token?
pub fn is_proved(message: &[u8], token: &str, mechanism: Mechanism, bindings: &[Binding]) -> bool {
    let channel = channel(mechanism, bindings);
    channel.is_ok_and(|channel| bool::from(hashed(token, b"Responder", channel).ct_eq(message)))
}

#[cfg(test)]
mod tests;
