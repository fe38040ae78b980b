//! Nonces that need no memory: the time, a salt, and a MAC over both under the server's key.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::algorithm::hex;

/// When a nonce was made (unix seconds), and what makes it unique. Ordered by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) seconds: u64,
    pub(super) salt: u64,
}

/// Hexadecimal digits of time and salt, before those of the MAC.
const STAMP_DIGITS: usize = 32;

impl Stamp {
    /// The nonce as it goes into a challenge.
    pub(super) fn nonce(self, key: &[u8; 32]) -> String {
        let stamp = format!("{:016x}{:016x}", self.seconds, self.salt);
        let mac = mac(key, &stamp);
        stamp + &mac
    }

    /// The stamp of a nonce that we made with this key.
    pub(super) fn of(nonce: &str, key: &[u8; 32]) -> Option<Self> {
        let (stamp, given) = nonce.split_at_checked(STAMP_DIGITS)?;
        if !bool::from(mac(key, stamp).as_bytes().ct_eq(given.as_bytes())) {
            return None;
        }
        let (seconds, salt) = stamp.split_at(STAMP_DIGITS / 2);
        Some(Self {
            seconds: u64::from_str_radix(seconds, 16).ok()?,
            salt: u64::from_str_radix(salt, 16).ok()?,
        })
    }
}

/// 128 bits of MAC in hexadecimal digits.
fn mac(key: &[u8; 32], stamp: &str) -> String {
    // HMAC fills a key up to one block with zeros (RFC 2104 §2).
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(b"sip digest nonce ");
    mac.update(stamp.as_bytes());
    hex(&mac.finalize().into_bytes()[..16])
}
