//! By what push services know us: a JWT for each of them, signed with the one key that the app's clients subscribed with
//! (RFC 8292).

use super::{KeyError, pkcs8, signing_input};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderValue;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde::Serialize;
use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

/// How long a token is good, in seconds: half of what is allowed (RFC 8292 §2), for clocks that differ.
const LIFE: u64 = 12 * 3600;
/// Age in seconds at which a new one is made.
const REFRESH: u64 = LIFE / 2;
/// Push services for which a token is kept; for one more all are made anew.
const KEPT: usize = 256;

/// Signs tokens with an app's key.
pub struct VapidSigner {
    contact: String,
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl fmt::Debug for VapidSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VapidSigner")
            .field("public_key", &self.public_key())
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Header {
    typ: &'static str,
    alg: &'static str,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    exp: u64,
    sub: &'a str,
}

impl VapidSigner {
    /// Reads the key (PEM, PKCS#8, P-256). `contact` is a `mailto:` or `https:` URI.
    pub fn new(key_pem: &str, contact: &str) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8(key_pem)?, &random)
                .map_err(|rejected| KeyError::NotP256(rejected.to_string()))?;
        Ok(Self {
            contact: contact.to_owned(),
            key,
            random,
        })
    }

    /// What clients subscribe with (`applicationServerKey`), and the `k` of the header (RFC 8292 §3.2): base64url.
    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.public_key())
    }

    /// The value of `authorization` (RFC 8292 §3) for the push service at `origin`, made at `now`, in seconds since the
    /// Unix epoch.
    ///
    /// # Panics
    /// If the system has no randomness to give, which nothing can go on without.
    pub fn authorization(&self, origin: &str, now: u64) -> String {
        let header = Header {
            typ: "JWT",
            alg: "ES256",
        };
        let claims = Claims {
            aud: origin,
            exp: now + LIFE,
            sub: &self.contact,
        };
        let input = signing_input(&header, &claims);
        let signature = self
            .key
            .sign(&self.random, input.as_bytes())
            .expect("the system gives randomness");
        let signature = URL_SAFE_NO_PAD.encode(signature);
        format!("vapid t={input}.{signature}, k={}", self.public_key())
    }
}

/// The tokens of an app, kept while they are good.
#[derive(Debug)]
pub(crate) struct VapidTokens {
    signer: VapidSigner,
    kept: Mutex<HashMap<String, (u64, HeaderValue)>>,
}

impl VapidTokens {
    pub(crate) fn new(signer: VapidSigner) -> Self {
        Self {
            signer,
            kept: Mutex::default(),
        }
    }

    /// The header's value for the push service at `origin`. A clock that was set back makes a new one.
    pub(crate) fn current(&self, origin: &str, now: u64) -> HeaderValue {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, value)) = kept.get(origin)
            && *made <= now
            && now - made < REFRESH
        {
            return value.clone();
        }
        if kept.len() >= KEPT && !kept.contains_key(origin) {
            kept.clear();
        }
        let mut value = HeaderValue::try_from(self.signer.authorization(origin, now))
            .expect("base64url, dots and commas are a header value");
        value.set_sensitive(true);
        kept.insert(origin.to_owned(), (now, value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    fn signer() -> VapidSigner {
        let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
        VapidSigner::new(&pem, "mailto:push@example.net").unwrap()
    }

    #[test]
    fn a_token_names_the_push_service_and_whom_to_ask_and_is_signed_by_the_key_beside_it() {
        let signer = signer();
        let value = signer.authorization("https://push.example.net", 1_700_000_000);
        let (token, key) = value
            .strip_prefix("vapid t=")
            .unwrap()
            .split_once(", k=")
            .unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, decode(key))
            .verify(signed.as_bytes(), &decode(signature))
            .unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let json = |text: &str| String::from_utf8(decode(text)).unwrap();
        assert_eq!(json(header), r#"{"typ":"JWT","alg":"ES256"}"#);
        assert_eq!(
            json(claims),
            r#"{"aud":"https://push.example.net","exp":1700043200,"sub":"mailto:push@example.net"}"#
        );
    }

    #[test]
    fn each_push_service_has_a_token_of_its_own_for_six_hours() {
        let tokens = VapidTokens::new(signer());
        let first = tokens.current("https://a.example", 1000);
        assert_ne!(tokens.current("https://b.example", 1000), first);
        assert_eq!(
            tokens.current("https://a.example", 1000 + REFRESH - 1),
            first
        );
        assert_ne!(tokens.current("https://a.example", 1000 + REFRESH), first);
        let set_back = tokens.current("https://a.example", 999);
        assert_ne!(set_back, first);
    }

    #[test]
    fn so_many_push_services_are_remembered_and_not_more() {
        let tokens = VapidTokens::new(signer());
        for n in 0..=KEPT {
            tokens.current(&format!("https://{n}.example"), 1000);
        }
        assert!(tokens.kept.lock().unwrap().len() <= KEPT);
    }
}
