//! What is kept of a password (RFC 5802 §3): with it a proof can be checked, but none can be made.

use std::fmt;

use crate::sasl::{Hash, Key, Refusal, hash::xor, prep};

/// Octets of a salt that we make.
pub const SALT_OCTETS: usize = 16;

/// How often the password is hashed in keys that we make. RFC 7677 §4 asks for 4096 at least; a phone does this many in a
/// few milliseconds, each time that it signs in with its password.
pub const ITERATIONS: u32 = 10_000;

/// What is kept of a password, for one hash function.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKeys {
    /// Unique to the password, known to everybody.
    pub salt: Key,
    /// How often it was hashed.
    pub iterations: u32,
    /// The hash of the client's key: checks the proof of the client.
    pub stored_key: Key,
    /// Makes the proof of the server.
    pub server_key: Key,
}

impl StoredKeys {
    /// The keys of a password. It takes as long as the iterations say: at the setting of a password, not at a sign-in.
    ///
    /// # Errors
    /// [`Refusal::BadName`] if nobody can have such a password, see [`prep::prepare`].
    pub fn of(
        hash: Hash,
        password: &str,
        salt: [u8; SALT_OCTETS],
        iterations: u32,
    ) -> Result<Self, Refusal> {
        let password = prep::prepare(password)?;
        let salted = hash.stretch(password.as_bytes(), &salt, iterations);
        Ok(Self {
            salt: Key::from_slice(&salt),
            iterations,
            stored_key: hash.digest(&[&client_key(hash, &salted)]),
            server_key: server_key(hash, &salted),
        })
    }

    /// Keys for a user that does not exist: the same at each try, and no password belongs to them. Whoever asks sees a salt
    /// like any other, and fails at the end like anybody with a wrong password (RFC 5802 §9).
    pub(super) fn made_up(hash: Hash, secret: &[u8; 32], user: &str) -> Self {
        // An account is found in any case, so its salt is the same in any case too.
        let user = user.to_lowercase();
        let made = |what: &[u8]| hash.hmac(secret, &[what, user.as_bytes()]);
        let mut salt = made(b"scram salt ");
        salt.truncate(SALT_OCTETS);
        Self {
            salt,
            iterations: ITERATIONS,
            stored_key: made(b"scram stored key "),
            server_key: made(b"scram server key "),
        }
    }
}

impl fmt::Debug for StoredKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredKeys(…)")
    }
}

pub(super) fn client_key(hash: Hash, salted: &[u8]) -> Key {
    hash.hmac(salted, &[b"Client Key"])
}

pub(super) fn server_key(hash: Hash, salted: &[u8]) -> Key {
    hash.hmac(salted, &[b"Server Key"])
}

/// `a XOR b`: from key and signature the proof, and from proof and signature the key.
pub(super) fn combined(a: &[u8], b: &[u8]) -> Key {
    let mut combined = Key::from_slice(a);
    xor(&mut combined, b);
    combined
}
