//! Who sends (RFC 8292): `Authorization: vapid t=JWT, k=KEY`.

use super::{
    super::jwt::{Expired, Jwt},
    refusal::Refusal,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::Timestamp;
use ring::signature::ECDSA_P256_SHA256_FIXED;
use serde::Deserialize;

/// A token may not be good for longer than this, in seconds (RFC 8292 §2).
const LONGEST: u64 = 24 * 3600;

#[derive(Deserialize)]
struct Claims {
    aud: String,
    /// Unix seconds.
    exp: u64,
    sub: Option<String>,
}

/// The JWT in an `authorization` header.
pub(super) fn token(authorization: &str) -> Option<&str> {
    parameter(authorization, "t")
}

/// RFC 8292 §3: the scheme, then parameters in any order, with or without blanks after the commas.
fn parameter<'a>(authorization: &'a str, name: &str) -> Option<&'a str> {
    let (scheme, parameters) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("vapid") {
        return None;
    }
    let mut all = parameters
        .split(',')
        .filter_map(|parameter| parameter.trim().split_once('='));
    all.find_map(|(key, value)| (key == name).then(|| value.trim_matches('"')))
}

/// The sender's public key, if its token is good for `audience` now.
pub(super) fn check(
    authorization: Option<&str>,
    audience: &str,
    expired: &Expired,
    now: Timestamp,
) -> Result<Vec<u8>, Refusal> {
    // RFC 8292 §4.2.
    let missing = || Refusal::new(401, "no vapid token");
    let refused = |reason: &str| Refusal::new(403, reason);
    let authorization = authorization.ok_or_else(missing)?;
    let text = token(authorization).ok_or_else(missing)?;
    let key = parameter(authorization, "k").ok_or_else(missing)?;
    let key = URL_SAFE_NO_PAD
        .decode(key)
        .map_err(|_| refused("k is not base64url without padding"))?;
    let jwt = Jwt::<Claims>::read(text).ok_or_else(|| refused("t is no JWT with aud and exp"))?;
    if jwt.header.alg != "ES256" || !jwt.is_signed_by(&ECDSA_P256_SHA256_FIXED, &key) {
        return Err(refused("t is not signed with ES256 by the key k"));
    }
    let Claims { aud, exp, sub } = &jwt.claims;
    if aud != audience {
        return Err(refused(&format!("aud is {aud}, and not {audience}")));
    }
    let now = now.0 / 1000;
    if *exp <= now || expired.has(text) {
        return Err(refused("the token has expired"));
    }
    if exp - now > LONGEST {
        return Err(refused("exp is more than 24 hours ahead"));
    }
    let reachable = |sub: &String| sub.starts_with("mailto:") || sub.starts_with("https:");
    // RFC 8292 §2.1 only asks for it; push services there are that insist.
    if !sub.as_ref().is_some_and(reachable) {
        return Err(refused("sub is neither mailto: nor https:"));
    }
    Ok(key)
}
