//! What is done with secrets alike wherever there are some.

use ring::hmac;

/// Whether two secrets are the same, in a time that does not tell where they differ.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    let differs = one
        .iter()
        .zip(other)
        .fold(0, |differs, (a, b)| differs | (a ^ b));
    one.len() == other.len() && differs == 0
}

/// A key for one purpose, made of a secret that serves several: what is signed for one is worth nothing for another.
pub(crate) fn key_for(purpose: &str, secret: &[u8]) -> hmac::Key {
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let key = hmac::sign(&secret, purpose.as_bytes());
    hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_the_same_or_not() {
        assert!(same(b"secret", b"secret"));
        for other in [&b""[..], b"secre", b"secrets", b"Secret"] {
            assert!(!same(b"secret", other));
        }
    }

    #[test]
    fn what_is_signed_for_one_purpose_is_worth_nothing_for_another() {
        let tag = hmac::sign(&key_for("one", b"secret"), b"text");
        assert!(hmac::verify(&key_for("one", b"secret"), b"text", tag.as_ref()).is_ok());
        assert!(hmac::verify(&key_for("other", b"secret"), b"text", tag.as_ref()).is_err());
    }
}
