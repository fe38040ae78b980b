//! Google's token endpoint: an assertion signed by a service account (RFC 7523) becomes an access token.

use super::{
    super::{State, config::FcmProject, entropy, jwt::Jwt, locked, now},
    error::json_response,
};
use bytes::Bytes;
use domain::Timestamp;
use http::{Method, Request, Response, header::CONTENT_TYPE, uri::Authority};
use ring::signature::RSA_PKCS1_2048_8192_SHA256;
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Where it is.
pub(super) const PATH: &str = "/token";

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Google's own endpoint, good as audience besides the lab's.
const GOOGLE: &str = "https://oauth2.googleapis.com/token";
/// Either lets a client send.
const SCOPES: [&str; 2] = [
    "https://www.googleapis.com/auth/firebase.messaging",
    "https://www.googleapis.com/auth/cloud-platform",
];
/// An assertion lives no longer.
const ASSERTION: Duration = Duration::from_hours(1);
/// Clocks may differ by this much.
const CLOCK_SKEW: Duration = Duration::from_mins(5);
/// An access token lives so long. Google answers a second less than the hour.
const ACCESS: Duration = Duration::from_secs(3599);

#[derive(Deserialize)]
struct Claims {
    iss: String,
    #[serde(default)]
    scope: String,
    aud: String,
    iat: u64,
    exp: u64,
}

/// The access tokens given out, oldest first.
pub(super) struct AccessTokens {
    state: Arc<State>,
    given: Mutex<VecDeque<AccessToken>>,
}

struct AccessToken {
    text: String,
    account: String,
    expires: Timestamp,
}

/// RFC 6749 §5.2.
type OAuthError = (u16, &'static str, &'static str);

impl AccessTokens {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self {
            state,
            given: Mutex::default(),
        }
    }

    /// The service account that an access token stands for, if it is good.
    pub(super) fn account(&self, token: &str) -> Option<String> {
        let now = now();
        locked(&self.given)
            .iter()
            .find(|given| given.text == token && given.expires > now)
            .map(|given| given.account.clone())
    }

    /// The access token is good no more.
    pub(super) fn revoke(&self, token: &str) {
        locked(&self.given).retain(|given| given.text != token);
    }

    /// `POST /token`.
    pub(super) fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        match self.grant(request) {
            Ok(token) => json_response(
                200,
                &json!({
                    "access_token": token,
                    "expires_in": ACCESS.as_secs(),
                    "token_type": "Bearer",
                }),
            ),
            Err((status, error, description)) => json_response(
                status,
                &json!({ "error": error, "error_description": description }),
            ),
        }
    }

    fn grant(&self, request: &Request<Bytes>) -> Result<String, OAuthError> {
        if request.method() != Method::POST {
            return Err((405, "invalid_request", "Use POST."));
        }
        let is_form = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        if !is_form {
            let wanted = "Content-Type must be application/x-www-form-urlencoded.";
            return Err((400, "invalid_request", wanted));
        }
        let field = |wanted: &str| {
            form_urlencoded::parse(request.body())
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
        };
        match field("grant_type").as_deref() {
            Some(GRANT) => {}
            Some(_) => return Err((400, "unsupported_grant_type", "Invalid grant_type.")),
            None => return Err((400, "invalid_request", "Missing grant_type.")),
        }
        let assertion = field("assertion").ok_or((400, "invalid_request", "Missing assertion."))?;
        let account = check(
            &assertion,
            &self.state.config.fcm_projects,
            &audiences(request),
            self.state.clock(),
        )?;
        Ok(self.give(account))
    }

    fn give(&self, account: String) -> String {
        let text = format!("ya29.c.lab-{}", entropy::base64url(48));
        let mut given = locked(&self.given);
        while given.len() >= self.state.limits().access_tokens.max(1) {
            given.pop_front();
        }
        given.push_back(AccessToken {
            text: text.clone(),
            account,
            expires: now().plus(ACCESS),
        });
        text
    }
}

/// This endpoint as the client calls it, and Google's.
fn audiences(request: &Request<Bytes>) -> [String; 2] {
    let authority = request.uri().authority().map(Authority::as_str);
    let host = request
        .headers()
        .get("host")
        .and_then(|value| value.to_str().ok());
    let here = authority.or(host).unwrap_or_default();
    [format!("https://{here}{PATH}"), GOOGLE.to_owned()]
}

/// Checks an assertion; says whose it is.
fn check(
    assertion: &str,
    projects: &[FcmProject],
    audiences: &[String],
    now: Timestamp,
) -> Result<String, OAuthError> {
    let refused = |description| Err((400, "invalid_grant", description));
    let Some(jwt) = Jwt::<Claims>::read(assertion) else {
        return refused(
            "Invalid JWT: not three parts of unpadded base64url with the claims iss, scope, aud, exp, iat.",
        );
    };
    let claims = &jwt.claims;
    let mut keys = projects
        .iter()
        .filter(|project| project.service_account == claims.iss)
        .map(|project| &project.public_key)
        .peekable();
    if keys.peek().is_none() {
        return refused("Invalid grant: account not found");
    }
    let signed = keys.any(|key| jwt.is_signed_by(&RSA_PKCS1_2048_8192_SHA256, key));
    if jwt.header.alg != "RS256" || !signed {
        return refused("Invalid JWT Signature.");
    }
    if !audiences.contains(&claims.aud) {
        return refused("Invalid JWT: aud must be the token endpoint.");
    }
    let issued = Timestamp(claims.iat.saturating_mul(1000));
    let expires = Timestamp(claims.exp.saturating_mul(1000));
    if issued > now.plus(CLOCK_SKEW)
        || expires.plus(CLOCK_SKEW) < now
        || expires <= issued
        || expires.since(issued) > ASSERTION
    {
        return refused(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable \
             timeframe. Check your iat and exp values in the JWT claim.",
        );
    }
    let scoped = claims
        .scope
        .split_ascii_whitespace()
        .any(|scope| SCOPES.contains(&scope));
    if !scoped {
        return Err((
            400,
            "invalid_scope",
            "Invalid OAuth scope or ID token audience provided.",
        ));
    }
    Ok(jwt.claims.iss)
}
