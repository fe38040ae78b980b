//! Access and refresh tokens: who, until when, sealed with a key of ours. Nothing is kept of them.

use crate::{hex, secret};
use domain::{Address, Timestamp, User};
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
    /// With this secret, which may serve other ends as well; tokens of another one are no good.
    pub fn new(secret: &[u8]) -> Self {
        Self {
            key: secret::key_for("access-tokens", secret),
        }
    }

    /// A token for a user, good as long as their password stays the same.
    pub(super) fn issue(&self, user: &User, kind: Kind, now: Timestamp) -> String {
        let (name, life) = match kind {
            Kind::Access => ("a", ACCESS),
            Kind::Refresh => ("r", REFRESH),
        };
        let until = now.plus(life).0;
        let claims = format!(
            "{name}.{until}.{}",
            hex::encode(user.address.as_str().as_bytes())
        );
        let seal = hmac::sign(&self.key, &sealed(&claims, user));
        format!("{claims}.{}", hex::encode(seal.as_ref()))
    }

    /// Whose token it says to be: ask [`AccessTokens::is_access`] next.
    pub fn claimed(token: &str) -> Option<Address> {
        let user = hex::decode(token.split('.').nth(2)?)?;
        String::from_utf8(user).ok()?.parse().ok()
    }

    /// Whether it lets this user in now.
    pub fn is_access(&self, token: &str, user: &User, now: Timestamp) -> bool {
        self.is_good(token, Kind::Access, user, now)
    }

    /// Whether it is a token of this user, of this kind, and not too old.
    pub(super) fn is_good(&self, token: &str, kind: Kind, user: &User, now: Timestamp) -> bool {
        let opens = || {
            let (claims, seal) = token.rsplit_once('.')?;
            hmac::verify(&self.key, &sealed(claims, user), &hex::decode(seal)?).ok()?;
            let mut parts = claims.split('.');
            let (name, until) = (parts.next()?, parts.next()?.parse::<u64>().ok()?);
            let fits = name == if kind == Kind::Access { "a" } else { "r" };
            Some(fits && now.0 < until)
        };
        opens().unwrap_or(false)
    }
}

/// What is sealed: the claims, and the password as they are to be good for it only.
fn sealed(claims: &str, user: &User) -> Vec<u8> {
    let User {
        address, secrets, ..
    } = user;
    format!("{claims}\0{address}\0{}", secrets.sha256).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bob(password: &str) -> User {
        crate::accounts::user(
            Address::new("bob", "localhost").unwrap(),
            password,
            crate::accounts::Ways::Digest,
        )
    }

    #[test]
    fn a_token_is_good_for_one_thing_and_for_its_time() {
        let tokens = AccessTokens::new(b"key");
        let bob = bob("wakeup");
        let token = tokens.issue(&bob, Kind::Access, Timestamp(0));
        let good = |kind, now| tokens.is_good(&token, kind, &bob, Timestamp(now));
        let hour = 3_600_000;
        assert_eq!(AccessTokens::claimed(&token), Some(bob.address.clone()));
        assert!(good(Kind::Access, hour - 1));
        assert!(!good(Kind::Access, hour));
        assert!(!good(Kind::Refresh, 0));
        assert!(!AccessTokens::new(b"other").is_good(&token, Kind::Access, &bob, Timestamp(0)));
        let other = token.replacen("a.", "r.", 1);
        assert!(!tokens.is_good(&other, Kind::Refresh, &bob, Timestamp(0)));
        for nonsense in ["", ".", "a.b.c.d", "é.é"] {
            assert!(!tokens.is_good(nonsense, Kind::Access, &bob, Timestamp(0)));
            assert_eq!(AccessTokens::claimed(nonsense), None);
        }
    }

    #[test]
    fn a_new_password_ends_all_tokens() {
        let tokens = AccessTokens::new(b"key");
        let token = tokens.issue(&bob("old"), Kind::Refresh, Timestamp(0));
        assert!(tokens.is_good(&token, Kind::Refresh, &bob("old"), Timestamp(1)));
        assert!(!tokens.is_good(&token, Kind::Refresh, &bob("new"), Timestamp(1)));
    }
}
