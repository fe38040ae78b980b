//! How clients of OAuth that know nothing of us speak with us: what they are told (RFC 8414), the keys by which our tokens are told (RFC
//! 7517), and what they say, as a form (RFC 6749 §4.3.2, §6), where the rest of the API has JSON.

use crate::token_keys;
use axum::{
    extract::Query,
    http::{HeaderMap, Uri, header::CONTENT_TYPE},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Where a client signs in.
pub(crate) const TOKEN: &str = "/oauth/token";
/// Where it signs out.
pub(crate) const REVOKE: &str = "/oauth/revoke";
/// The keys by which tokens are told from others.
pub(crate) const JWKS: &str = "/oauth/jwks";
/// Where all that is told.
pub(crate) const METADATA: &str = "/.well-known/oauth-authorization-server";

/// What is to be known of this issuer, where a password may be tried or not.
pub(crate) fn metadata(issuer: &str, passwords: bool) -> Value {
    let grants: &[&str] = if passwords {
        &["password", "refresh_token"]
    } else {
        &["refresh_token"]
    };
    json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}{TOKEN}"),
        "revocation_endpoint": format!("{issuer}{REVOKE}"),
        "jwks_uri": format!("{issuer}{JWKS}"),
        "grant_types_supported": grants,
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
    })
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

/// What a request says, as a form or as JSON; nothing if it is neither.
pub(crate) fn said<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Option<T> {
    let kind = headers
        .get(CONTENT_TYPE)
        .map(axum::http::HeaderValue::as_bytes);
    if !kind.is_some_and(|it| it.starts_with(b"application/x-www-form-urlencoded")) {
        return serde_json::from_slice(body).ok();
    }
    let uri = format!("/?{}", std::str::from_utf8(body).ok()?);
    let uri: Uri = uri.parse().ok()?;
    let Query(said) = Query::try_from_uri(&uri).ok()?;
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_form_says_the_same_as_json() {
        let read = |kind: &'static str, body: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
            said::<BTreeMap<String, String>>(&headers, body)
        };
        let expected = BTreeMap::from([("password".to_owned(), "a&b #+\u{e9}%".to_owned())]);
        let json = "{\"password\": \"a&b #+\u{e9}%\"}";
        assert_eq!(
            read("application/json", json.as_bytes()),
            Some(expected.clone())
        );
        let form = b"password=a%26b+%23%2B%C3%A9%25";
        for kind in [
            "application/x-www-form-urlencoded",
            "application/x-www-form-urlencoded; charset=utf-8",
        ] {
            assert_eq!(read(kind, form), Some(expected.clone()), "{kind}");
        }
        assert_eq!(read("application/json", form), None);
        assert_eq!(read("application/x-www-form-urlencoded", &[0xff]), None);
    }
}
