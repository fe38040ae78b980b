//! Apple's provider token: an ES256 JWT that names the team and the moment it was made (RFC 7515, RFC 7518 §3.4).
//! Apple refuses one that is older than 60 minutes, and a new one sooner than 20 minutes after the last.

use super::{KeyError, bearer, pkcs8, signing_input};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderValue;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde::Serialize;
use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

/// Age in seconds at which a new token is made: in the middle of what Apple allows.
const REFRESH: u64 = 40 * 60;
/// The soonest, in seconds, that Apple takes another token.
const SOONEST: u64 = 20 * 60;

/// Signs provider tokens with a team's key.
pub struct ApnsSigner {
    team: String,
    key_id: String,
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl fmt::Debug for ApnsSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { team, key_id, .. } = self;
        f.debug_struct("ApnsSigner")
            .field("team", team)
            .field("key_id", key_id)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: u64,
}

impl ApnsSigner {
    /// Reads the key (`.p8`: PEM, PKCS#8, P-256).
    pub fn new(team: &str, key_id: &str, key_pem: &str) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8(key_pem)?, &random)
                .map_err(|rejected| KeyError::NotP256(rejected.to_string()))?;
        Ok(Self {
            team: team.to_owned(),
            key_id: key_id.to_owned(),
            key,
            random,
        })
    }

    /// A token made at `issued_at`, in seconds since the Unix epoch.
    ///
    /// # Panics
    /// If the system has no randomness to give, which nothing can go on without.
    pub fn sign(&self, issued_at: u64) -> String {
        let header = Header {
            alg: "ES256",
            kid: &self.key_id,
        };
        let claims = Claims {
            iss: &self.team,
            iat: issued_at,
        };
        let input = signing_input(&header, &claims);
        // The fixed form is R‖S, as JWS wants it, and not DER.
        let signature = self
            .key
            .sign(&self.random, input.as_bytes())
            .expect("the system gives randomness");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The one token of a team and key, kept while it is good.
#[derive(Debug)]
pub(crate) struct ApnsToken {
    signer: ApnsSigner,
    issued: Mutex<Option<Issued>>,
}

#[derive(Clone, Debug)]
struct Issued {
    value: HeaderValue,
    at: u64,
    /// When the provider last made us renew it before its time.
    forced_at: Option<u64>,
}

impl ApnsToken {
    pub(crate) fn new(signer: ApnsSigner) -> Self {
        Self {
            signer,
            issued: Mutex::new(None),
        }
    }

    /// The header's value. `now` in seconds since the Unix epoch. A clock that was set back behind the token's own time
    /// makes a new one as well: to Apple the old one is from the future.
    pub(crate) fn current(&self, now: u64) -> HeaderValue {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        match &*issued {
            Some(token) if token.at <= now && now - token.at < REFRESH => token.value.clone(),
            old => {
                let forced_at = old.as_ref().and_then(|old| old.forced_at);
                issued.insert(self.issue(now, forced_at)).value.clone()
            }
        }
    }

    /// Another token, after the provider called `refused` expired. `None` if the provider made us renew it less than
    /// 20 minutes ago: one more would break Apple's rule and not help, since then it is a clock that is wrong.
    pub(crate) fn renew(&self, refused: &HeaderValue, now: u64) -> Option<HeaderValue> {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        match &*issued {
            // Another push was quicker.
            Some(token) if token.value != *refused => Some(token.value.clone()),
            Some(Issued {
                forced_at: Some(last),
                ..
            }) if now.saturating_sub(*last) < SOONEST => None,
            _ => Some(issued.insert(self.issue(now, Some(now))).value.clone()),
        }
    }

    fn issue(&self, now: u64, forced_at: Option<u64>) -> Issued {
        Issued {
            value: bearer(&self.signer.sign(now)).expect("base64url and dots are a header value"),
            at: now,
            forced_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, KeyPair as _, UnparsedPublicKey};

    fn pem() -> String {
        rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .unwrap()
            .serialize_pem()
    }

    fn token() -> ApnsToken {
        ApnsToken::new(ApnsSigner::new("TEAM123456", "KEY1234567", &pem()).unwrap())
    }

    #[test]
    fn a_token_is_unpadded_and_signed_in_64_bytes_that_the_public_key_verifies() {
        let signer = ApnsSigner::new("TEAM123456", "KEY1234567", &pem()).unwrap();
        let jwt = signer.sign(1_700_000_000);
        assert!(!jwt.contains(['=', '+', '/']), "{jwt}");
        let parts: Vec<&str> = jwt.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            panic!("three parts: {jwt}")
        };
        let json = |part| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(json(header), r#"{"alg":"ES256","kid":"KEY1234567"}"#);
        assert_eq!(json(claims), r#"{"iss":"TEAM123456","iat":1700000000}"#);
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert_eq!(signature.len(), 64);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, signer.key.public_key())
            .verify(format!("{header}.{claims}").as_bytes(), &signature)
            .unwrap();
    }

    #[test]
    fn a_token_serves_forty_minutes() {
        let token = token();
        let first = token.current(1000);
        assert_eq!(token.current(1000 + REFRESH - 1), first);
        let second = token.current(1000 + REFRESH);
        assert_ne!(second, first);
        assert_eq!(token.current(1000 + REFRESH + 1), second);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_a_new_token() {
        let token = token();
        let first = token.current(10_000);
        assert_ne!(token.current(9_999), first);
    }

    #[test]
    fn a_refused_token_is_renewed_once_for_all_who_used_it_and_not_again_for_twenty_minutes() {
        let token = token();
        let first = token.current(1000);
        let second = token.renew(&first, 1001).unwrap();
        assert_ne!(second, first);
        assert_eq!(token.renew(&first, 1002), Some(second.clone()));
        assert_eq!(token.renew(&second, 1003), None);
        assert_eq!(token.current(1004), second);
        assert_ne!(token.renew(&second, 1001 + SOONEST).unwrap(), second);
    }

    #[test]
    fn a_key_that_cannot_be_used_says_what_to_do() {
        let error = |pem: &str| ApnsSigner::new("T", "K", pem).unwrap_err();
        assert_eq!(error("nonsense"), KeyError::NotPem);
        assert_eq!(
            error("-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n"),
            KeyError::NotPkcs8
        );
        let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384)
            .unwrap()
            .serialize_pem();
        assert!(matches!(error(&p384), KeyError::NotP256(_)));
    }
}
