//! What clients of OAuth that know nothing of us are told (RFC 8414), and the keys by which our tokens are told (RFC 7517).

use crate::{authorize::AUTHORIZE, token_keys};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Where a client signs in.
pub(crate) const TOKEN: &str = "/oauth/token";
/// Where it signs out.
pub(crate) const REVOKE: &str = "/oauth/revoke";
/// The keys by which tokens are told from others.
pub(crate) const JWKS: &str = "/oauth/jwks";
/// Where all that is told.
pub(crate) const METADATA: &str = "/.well-known/oauth-authorization-server";

/// What is to be known of this issuer: where a password may be tried or not, and whether there is a page for that.
pub(crate) fn metadata(issuer: &str, (passwords, page): (bool, bool)) -> Value {
    let grants: &[&str] = match (passwords, page) {
        (true, true) => &["password", "refresh_token", "authorization_code"],
        (true, false) => &["password", "refresh_token"],
        // A code that was got where there is a page is no password.
        (false, true) => &["refresh_token", "authorization_code"],
        (false, false) => &["refresh_token"],
    };
    let mut document = json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}{TOKEN}"),
        "revocation_endpoint": format!("{issuer}{REVOKE}"),
        "jwks_uri": format!("{issuer}{JWKS}"),
        "grant_types_supported": grants,
        "response_types_supported": Value::Array(Vec::new()),
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
    });
    if passwords && page {
        document["authorization_endpoint"] = format!("{issuer}{AUTHORIZE}").into();
        document["response_types_supported"] = json!(["code"]);
        document["response_modes_supported"] = json!(["query"]);
        document["code_challenge_methods_supported"] = json!(["S256"]);
        // RFC 9207.
        document["authorization_response_iss_parameter_supported"] = true.into();
    }
    document
}

/// Public keys of Ed25519 (RFC 8037), each with the name by which tokens say that it has signed them.
pub(crate) fn keys<K: AsRef<[u8]>>(all: &[K]) -> Value {
    let key = |key: &K| {
        let x = URL_SAFE_NO_PAD.encode(key);
        let kid = token_keys::id(key.as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x})
    };
    json!({ "keys": all.iter().map(key).collect::<Vec<_>>() })
}
