//! Nonces that need no memory: the time, a salt, and a MAC over both under the server's key.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::algorithm::Digits;

/// When a nonce was made (unix seconds), and what makes it unique. Ordered by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Stamp {
    pub(super) seconds: u64,
    pub(super) salt: u64,
}

/// Hexadecimal digits of time and salt, before those of the MAC.
const STAMP_DIGITS: usize = 32;

/// The server's key, already taken in: it costs half of a MAC.
#[derive(Clone)]
pub(super) struct NonceKey(Hmac<Sha256>);

impl NonceKey {
    pub(super) fn new(key: [u8; 32]) -> Self {
        // HMAC fills a key up to one block with zeros (RFC 2104 §2).
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(&key);
        let mut mac = Hmac::new(&block.into());
        mac.update(b"sip digest nonce ");
        Self(mac)
    }

    /// The nonce as it goes into a challenge.
    pub(super) fn nonce(&self, stamp: Stamp) -> String {
        let mut nonce = format!("{:016x}{:016x}", stamp.seconds, stamp.salt);
        let mac = self.mac(nonce.as_bytes());
        nonce.push_str(mac.as_str());
        nonce
    }

    /// The stamp of a nonce that we made with this key.
    pub(super) fn open(&self, nonce: &str) -> Option<Stamp> {
        let (stamp, given) = nonce.split_at_checked(STAMP_DIGITS)?;
        let mac = self.mac(stamp.as_bytes());
        if !bool::from(mac.as_str().as_bytes().ct_eq(given.as_bytes())) {
            return None;
        }
        let (seconds, salt) = stamp.split_at_checked(STAMP_DIGITS / 2)?;
        Some(Stamp {
            seconds: u64::from_str_radix(seconds, 16).ok()?,
            salt: u64::from_str_radix(salt, 16).ok()?,
        })
    }

    /// 128 bits of MAC in hexadecimal digits.
    fn mac(&self, stamp: &[u8]) -> Digits {
        let mac = self.0.clone().chain_update(stamp).finalize();
        Digits::of(&mac.into_bytes()[..16])
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey")
    }
}
