//! The hash functions of SCRAM and of hashed tokens, HMAC and the stretching of a password over them.

use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::Key;

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hash {
    /// SHA-1, 20 octets: what RFC 6120 §13.8.1 asks of everybody.
    Sha1,
    /// SHA-256, 32 octets (RFC 7677).
    Sha256,
}

/// Octets that both take in at once.
const BLOCK: usize = 64;

impl Hash {
    /// Octets of a hash.
    pub fn octets(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The hash of the parts one behind the other.
    pub(super) fn digest(self, parts: &[&[u8]]) -> Key {
        match self {
            Self::Sha1 => digest::<Sha1>(parts),
            Self::Sha256 => digest::<Sha256>(parts),
        }
    }

    /// The MAC of the parts one behind the other.
    pub(crate) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Key {
        let block = self.block(key);
        match self {
            Self::Sha1 => mac(Hmac::<Sha1>::new(&block.into()), parts),
            Self::Sha256 => mac(Hmac::<Sha256>::new(&block.into()), parts),
        }
    }

    /// `Hi` of RFC 5802 §2.2: PBKDF2 with an output of one hash. It takes as long as the iterations say.
    pub(super) fn stretch(self, password: &[u8], salt: &[u8], iterations: u32) -> Key {
        let block = self.block(password);
        match self {
            Self::Sha1 => stretch(&Hmac::<Sha1>::new(&block.into()), salt, iterations),
            Self::Sha256 => stretch(&Hmac::<Sha256>::new(&block.into()), salt, iterations),
        }
    }

    /// A key as HMAC takes it: hashed if it is longer than a block, filled up with zeros (RFC 2104 §2).
    fn block(self, key: &[u8]) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        if key.len() > BLOCK {
            block[..self.octets()].copy_from_slice(&self.digest(&[key]));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        block
    }
}

fn digest<H: Digest>(parts: &[&[u8]]) -> Key {
    let mut hash = H::new();
    for part in parts {
        hash.update(part);
    }
    Key::from_slice(&hash.finalize())
}

fn mac<M: Mac>(mut mac: M, parts: &[&[u8]]) -> Key {
    for part in parts {
        mac.update(part);
    }
    Key::from_slice(&mac.finalize().into_bytes())
}

fn stretch<M: Mac + Clone>(keyed: &M, salt: &[u8], iterations: u32) -> Key {
    let mut last = mac(keyed.clone(), &[salt, &1_u32.to_be_bytes()]);
    let mut sum = last.clone();
    for _ in 1..iterations {
        last = mac(keyed.clone(), &[&last]);
        xor(&mut sum, &last);
    }
    sum
}

/// Each octet of the first with that of the second.
pub(super) fn xor(first: &mut [u8], second: &[u8]) {
    for (first, second) in first.iter_mut().zip(second) {
        *first ^= second;
    }
}

/// In hexadecimal digits, as test vectors are printed.
#[cfg(test)]
pub(super) fn hex(octets: &[u8]) -> String {
    let digits = octets.iter().map(|octet| format!("{octet:02x}"));
    digits.collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6070 §2 and RFC 2202 §3; the long key is the sixth case of the latter.
    #[test]
    fn vectors_of_pbkdf2_and_hmac() {
        for (iterations, wanted) in [
            (1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
            (2, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"),
            (4096, "4b007901b765489abead49d926f721d065a429c1"),
        ] {
            let found = hex(&Hash::Sha1.stretch(b"password", b"salt", iterations));
            assert_eq!(found, wanted, "{iterations}");
        }
        let long = [0xaa; 80];
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let found = Hash::Sha1.hmac(&long, &[text]);
        assert_eq!(hex(&found), "aa4ae5e15272d00e95705637ce8a3b55ed402112");
    }
}
