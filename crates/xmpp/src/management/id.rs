//! Ids of sessions that can be resumed: nobody guesses one, and nobody else's is any good.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Octets of entropy in an id.
pub const ID_ENTROPY: usize = 16;

/// Octets of the check behind them.
const CHECK: usize = 16;

/// The server's key for ids, the same at all its shards and after a restart.
#[derive(Clone)]
pub struct IdKey(Hmac<Sha256>);

impl IdKey {
    /// Of 32 octets of entropy, which are secret.
    pub fn new(key: [u8; 32]) -> Self {
        // HMAC fills a key up to one block with zeros (RFC 2104 §2).
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(&key);
        let mut mac = Hmac::new(&block.into());
        mac.update(b"xmpp session id ");
        Self(mac)
    }

    /// The id of a session of this user. The entropy must never be used twice (XEP-0198 §5).
    pub fn id(&self, user: &str, entropy: [u8; ID_ENTROPY]) -> String {
        let mut octets = entropy.to_vec();
        octets.extend(self.check(user, &entropy));
        URL_SAFE_NO_PAD.encode(octets)
    }

    /// Have we given this id to this user? Asked before any table is, so that guessing costs nobody but who guesses.
    pub fn is_id(&self, user: &str, id: &str) -> bool {
        // An id of another length is none of ours, and is not decoded.
        let expected = (ID_ENTROPY + CHECK) * 4;
        let octets = Some(id)
            .filter(|id| id.len() == expected.div_ceil(3))
            .and_then(|id| URL_SAFE_NO_PAD.decode(id).ok());
        octets.is_some_and(|octets| {
            let (entropy, check) = octets.split_at(ID_ENTROPY);
            bool::from(self.check(user, entropy).ct_eq(check))
        })
    }

    fn check(&self, user: &str, entropy: &[u8]) -> [u8; CHECK] {
        let mac = self.0.clone().chain_update(entropy).chain_update(user);
        let mut check = [0; CHECK];
        check.copy_from_slice(&mac.finalize().into_bytes()[..CHECK]);
        check
    }
}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_good_for_its_user_and_under_its_key_alone() {
        let key = IdKey::new([1; 32]);
        let id = key.id("alice@example.org", [2; ID_ENTROPY]);
        assert!(key.is_id("alice@example.org", &id));
        assert!(!key.is_id("bob@example.org", &id));
        assert!(!IdKey::new([3; 32]).is_id("alice@example.org", &id));
        let mut touched = id.clone().into_bytes();
        for place in 0..touched.len() {
            let was = touched[place];
            touched[place] = if was == b'A' { b'B' } else { b'A' };
            let text = std::str::from_utf8(&touched).expect("text");
            assert!(!key.is_id("alice@example.org", text), "{place}");
            touched[place] = was;
        }
        for bad in ["", "A", &id[1..], &(id.clone() + "A"), &"é".repeat(21)] {
            assert!(!key.is_id("alice@example.org", bad), "{bad}");
        }
    }
}
