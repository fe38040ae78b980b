//! Google's access token: an RS256 assertion signed with the service account's key, exchanged at the account's
//! `token_uri` (RFC 7523 §2.1).

use super::{
    KeyError,
    access::{AccessToken, Granted, Kept},
    bearer, pkcs8, signing_input,
};
use crate::{
    outcome::{unavailable, word},
    pool::{Fault, Pool, Urgency},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use domain::Outcome;
use http::{HeaderValue, Request, Uri, header};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};
use tokio::time::Instant;

/// What an access token may be used for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// RFC 7523 §2.1, form-encoded.
const GRANT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
/// How long an assertion is good, in seconds; Google takes no longer.
const ASSERTION: u64 = 3600;

/// Signs assertions with a service account's key.
pub struct FcmSigner {
    email: String,
    audience: String,
    key: RsaKeyPair,
    random: SystemRandom,
}

impl fmt::Debug for FcmSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FcmSigner")
            .field("email", &self.email)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Header {
    alg: &'static str,
    typ: &'static str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
}

impl FcmSigner {
    /// Reads the key (PEM, PKCS#8, RSA of 2048 bits or more). `audience` is the `token_uri`.
    pub fn new(email: &str, key_pem: &str, audience: &str) -> Result<Self, KeyError> {
        let key = RsaKeyPair::from_pkcs8(&pkcs8(key_pem)?)
            .map_err(|rejected| KeyError::NotRsa(rejected.to_string()))?;
        Ok(Self {
            email: email.to_owned(),
            audience: audience.to_owned(),
            key,
            random: SystemRandom::new(),
        })
    }

    /// An assertion made at `issued_at`, in seconds since the Unix epoch (RFC 7523 §3).
    ///
    /// # Panics
    /// If the system has no randomness to give, which nothing can go on without.
    pub fn assertion(&self, issued_at: u64) -> String {
        let header = Header {
            alg: "RS256",
            typ: "JWT",
        };
        let claims = Claims {
            iss: &self.email,
            scope: SCOPE,
            aud: &self.audience,
            iat: issued_at,
            exp: issued_at + ASSERTION,
        };
        let input = signing_input(&header, &claims);
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &self.random,
                input.as_bytes(),
                &mut signature,
            )
            .expect("the buffer has the size of the modulus");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The one access token of a service account, kept while it is good.
#[derive(Debug)]
pub(crate) struct FcmToken {
    signer: FcmSigner,
    uri: Uri,
    pool: Arc<Pool>,
    token: AccessToken,
}

/// RFC 6749 §5.2.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl FcmToken {
    pub(crate) fn new(signer: FcmSigner, uri: Uri, pool: Arc<Pool>) -> Self {
        Self {
            signer,
            uri,
            pool,
            token: AccessToken::default(),
        }
    }

    /// The header's value; or the outcome of a push that cannot get one. `now` in seconds since the Unix epoch.
    pub(crate) async fn current(&self, now: u64, entropy: u64) -> Result<HeaderValue, Outcome> {
        self.token
            .current(async || self.ask(now, entropy).await)
            .await
    }

    /// Forgets `refused`, which the provider does not take any more, unless another push already did.
    pub(crate) fn forget(&self, refused: &HeaderValue) {
        self.token.forget(refused);
    }

    async fn ask(&self, now: u64, entropy: u64) -> Result<Kept, Outcome> {
        let body = Bytes::from(format!("{GRANT}{}", self.signer.assertion(now)));
        let request = || {
            Request::post(self.uri.clone())
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::CONTENT_LENGTH, body.len())
                .body(())
        };
        let asked = Instant::now();
        let reply = self
            .pool
            .exchange(Urgency::Call, request, body.clone())
            .await;
        let failed = |reason: String| unavailable(format!("no access token: {reason}"), entropy);
        let reply = reply.map_err(|fault: Fault| failed(fault.to_string()))?;
        let granted =
            granted(reply.status.as_u16(), &reply.body).map_err(|refused| match refused {
                Refused::Credentials(reason) => Outcome::Unauthorized { reason },
                Refused::Trouble(reason) => failed(reason),
            })?;
        let value = bearer(&granted.access_token)
            .ok_or_else(|| failed("it has characters that it cannot have".into()))?;
        Ok(Kept {
            value,
            until: granted.until(asked),
        })
    }
}

/// Why there is no token.
#[derive(Debug)]
pub enum Refused {
    /// An operator must act.
    Credentials(String),
    /// Try later.
    Trouble(String),
}

/// RFC 6749 §5: 400 and 401 refuse the credentials; anything else but 200 is trouble.
///
/// # Errors
/// Why there is none.
pub fn granted(status: u16, body: &[u8]) -> Result<Granted, Refused> {
    match status {
        200 => serde_json::from_slice(body).map_err(|error| Refused::Trouble(error.to_string())),
        400 | 401 | 403 => {
            let said: Refusal = serde_json::from_slice(body).unwrap_or_default();
            let [error, error_description] =
                [said.error, said.error_description].map(|it| word(&it));
            Err(Refused::Credentials(
                format!("no access token: HTTP {status} {error} {error_description}")
                    .trim_end()
                    .to_owned(),
            ))
        }
        _ => Err(Refused::Trouble(format!("HTTP {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    const PEM: &str = include_str!("../../tests/support/test_only_rsa.pem");

    #[test]
    fn an_assertion_says_who_asks_whom_for_what_and_is_signed() {
        let signer = FcmSigner::new("r@example.org", PEM, "https://oauth.example/token").unwrap();
        let jwt = signer.assertion(1_700_000_000);
        let parts: Vec<&str> = jwt.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            panic!("three parts: {jwt}")
        };
        let decode = |part| URL_SAFE_NO_PAD.decode(part).unwrap();
        assert_eq!(decode(header), br#"{"alg":"RS256","typ":"JWT"}"#);
        let claims_read: serde_json::Value = serde_json::from_slice(&decode(claims)).unwrap();
        assert_eq!(
            claims_read,
            serde_json::json!({
                "iss": "r@example.org",
                "scope": SCOPE,
                "aud": "https://oauth.example/token",
                "iat": 1_700_000_000,
                "exp": 1_700_003_600,
            })
        );
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, signer.key.public().as_ref())
            .verify(format!("{header}.{claims}").as_bytes(), &decode(signature))
            .unwrap();
    }

    #[test]
    fn a_key_of_another_kind_says_what_to_do() {
        let p256 = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let error =
            FcmSigner::new("r@example.org", &p256, "https://oauth.example/token").unwrap_err();
        assert!(matches!(error, KeyError::NotRsa(_)), "{error}");
    }
}
