//! What a provider knows us by on the wire: Apple's provider token, Google's access token, the token
//! of Web Push. All start from a private key in PEM, all end as the value of an `authorization` header that is kept until it is about to expire.

pub(crate) mod access;
pub(crate) mod apns;
pub(crate) mod fcm;
pub(crate) mod vapid;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderValue;
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde::Serialize;
use thiserror::Error;

pub use access::Granted;
pub use apns::ApnsSigner;
pub use fcm::{FcmSigner, Refused, granted};
pub use vapid::VapidSigner;

/// A private key cannot be used. The text says what to do.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum KeyError {
    /// No private key in PEM.
    #[error(
        "the private key is not PEM (-----BEGIN PRIVATE KEY-----); use the file as the provider gave it"
    )]
    NotPem,
    /// PEM, but not PKCS#8.
    #[error("the private key is not PKCS#8; convert it with `openssl pkcs8 -topk8 -nocrypt`")]
    NotPkcs8,
    /// Not a P-256 key: neither Apple nor Web Push takes another.
    #[error(
        "the private key is not a P-256 key ({0}); for APNs use the .p8 file, for Web Push make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
    )]
    NotP256(String),
    /// Not an RSA key of 2048 bits or more: Google gives no other.
    #[error(
        "the private key is not an RSA key of at least 2048 bits ({0}); use the service account's own"
    )]
    NotRsa(String),
}

/// The DER inside of a PEM with a PKCS#8 key.
fn pkcs8(pem: &str) -> Result<Vec<u8>, KeyError> {
    match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
        Ok(PrivateKeyDer::Pkcs8(key)) => Ok(key.secret_pkcs8_der().to_vec()),
        Ok(_) => Err(KeyError::NotPkcs8),
        Err(_) => Err(KeyError::NotPem),
    }
}

/// The signing input of a JWT (RFC 7515 §5.1): both parts in unpadded base64url, joined by a dot.
fn signing_input(header: &impl Serialize, claims: &impl Serialize) -> String {
    let encode = |part: Vec<u8>| URL_SAFE_NO_PAD.encode(part);
    let header = encode(serde_json::to_vec(header).expect("strings and numbers are JSON"));
    let claims = encode(serde_json::to_vec(claims).expect("strings and numbers are JSON"));
    format!("{header}.{claims}")
}

fn bearer(token: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("Bearer {token}")).ok()
}
