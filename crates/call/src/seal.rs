//! What peers hand back to us is sealed, so that nobody can make it up.

use hmac::{Hmac, KeyInit, Mac, digest::array::Array};
use sha2::Sha256;

type HmacSha256 = Hmac<Sha256>;

/// A key for one purpose, made of a secret that serves several: what is sealed for one is worth nothing for another.
#[derive(Clone)]
pub(crate) struct SealKey(HmacSha256);

impl SealKey {
    /// The key for this purpose.
    pub(crate) fn new(purpose: &str, secret: &[u8]) -> Self {
        let key = mac(keyed(secret), &[purpose.as_bytes()]);
        Self(keyed(&key))
    }

    /// The seal of these parts, in this order.
    pub(crate) fn seal(&self, parts: &[&[u8]]) -> [u8; 32] {
        mac(self.0.clone(), parts)
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

fn keyed(key: &[u8]) -> HmacSha256 {
    // HMAC takes keys of any length (RFC 2104 §2); the type cannot say so.
    HmacSha256::new_from_slice(key).unwrap_or_else(|_| HmacSha256::new(&Array::default()))
}

fn mac(mut hmac: HmacSha256, parts: &[&[u8]]) -> [u8; 32] {
    for part in parts {
        hmac.update(part);
    }
    hmac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_for_one_purpose_is_worth_nothing_for_another() {
        let seal = |purpose, secret: &[u8]| SealKey::new(purpose, secret).seal(&[b"te", b"xt"]);
        assert_eq!(seal("one", b"secret"), seal("one", b"secret"));
        assert_ne!(seal("one", b"secret"), seal("other", b"secret"));
        assert_ne!(seal("one", b"secret"), seal("one", b"secrets"));
    }
}
