//! Access and refresh tokens: who, until when, sealed with a key of ours. Nothing is kept of them.

use domain::{Address, Timestamp};
use ring::hmac;
use std::time::Duration;

/// Life of an access token (`behaviour.md` 7).
pub(super) const ACCESS: Duration = Duration::from_hours(1);
/// Life of a refresh token (`behaviour.md` 7).
const REFRESH: Duration = Duration::from_hours(60 * 24);

/// What a token is good for.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Calling the API.
    Access,
    /// Getting new tokens.
    Refresh,
}

/// Makes tokens and checks them.
#[derive(Debug)]
pub struct AccessTokens {
    key: hmac::Key,
}

impl AccessTokens {
    /// With this key; tokens of another key are no good.
    pub fn new(key: &[u8]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    pub(super) fn issue(&self, user: &Address, kind: Kind, now: Timestamp) -> String {
        let (name, life) = match kind {
            Kind::Access => ("a", ACCESS),
            Kind::Refresh => ("r", REFRESH),
        };
        let claims = format!(
            "{name}.{}.{}",
            now.plus(life).0,
            hex(user.as_str().as_bytes())
        );
        let seal = hmac::sign(&self.key, claims.as_bytes());
        format!("{claims}.{}", hex(seal.as_ref()))
    }

    pub(super) fn check(&self, token: &str, kind: Kind, now: Timestamp) -> Option<Address> {
        let (claims, seal) = token.rsplit_once('.')?;
        hmac::verify(&self.key, claims.as_bytes(), &unhex(seal)?).ok()?;
        let mut parts = claims.split('.');
        let (name, until, user) = (parts.next()?, parts.next()?, parts.next()?);
        let fits = name == if kind == Kind::Access { "a" } else { "r" };
        let lives = now.0 < until.parse().ok()?;
        let user = String::from_utf8(unhex(user)?).ok()?;
        if fits && lives {
            user.parse().ok()
        } else {
            None
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |text, byte| {
            text + &format!("{byte:02x}")
        })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_one_thing_and_for_its_time() {
        let tokens = AccessTokens::new(b"key");
        let bob = Address::new("bob", "localhost").unwrap();
        let token = tokens.issue(&bob, Kind::Access, Timestamp(0));
        let hour = 3_600_000;
        assert_eq!(
            tokens.check(&token, Kind::Access, Timestamp(hour - 1)),
            Some(bob)
        );
        assert_eq!(tokens.check(&token, Kind::Access, Timestamp(hour)), None);
        assert_eq!(tokens.check(&token, Kind::Refresh, Timestamp(0)), None);
        assert_eq!(
            AccessTokens::new(b"other").check(&token, Kind::Access, Timestamp(0)),
            None
        );
        let other = token.replacen("a.", "r.", 1);
        assert_eq!(tokens.check(&other, Kind::Refresh, Timestamp(0)), None);
        for nonsense in ["", ".", "a.b.c.d", "é.é"] {
            assert_eq!(tokens.check(nonsense, Kind::Access, Timestamp(0)), None);
        }
    }
}
