//! Pushes through somebody's push service: an app's publisher alone holds the platforms' keys, and gives out a tenant's
//! credentials instead. [`wire`] is what is said over REST, the same for both sides; the client is here, the service in
//! the server (`docs/adr/0012-the-push-service.md`).

pub mod wire;

use crate::{
    chance::entropy,
    exchange::urgency,
    outcome::unavailable,
    pool::{Fault, Pool, Reply, Urgency},
    token::access::{AccessToken, Granted, Kept},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{Notification, Outcome};
use http::{HeaderValue, Request, StatusCode, Uri, header, uri::Authority};
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::Instant;
use wire::{Submitted, Verdict};

/// The way to a push service, with its connections and its one access token.
pub(crate) struct Service {
    notifications: Uri,
    token_uri: Uri,
    /// The tenant's name and secret (RFC 6749 §2.3.1).
    basic: HeaderValue,
    pool: Arc<Pool>,
    token: AccessToken,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("notifications", &self.notifications)
            .finish_non_exhaustive()
    }
}

impl Service {
    pub(crate) fn new(
        authority: &Authority,
        (client_id, secret): (&str, &str),
        pool: Arc<Pool>,
    ) -> http::Result<Self> {
        let uri = |path: &str| {
            let uri = Uri::builder().scheme("https").authority(authority.clone());
            uri.path_and_query(path).build()
        };
        let basic = STANDARD.encode(format!("{client_id}:{secret}"));
        let mut basic = HeaderValue::try_from(format!("Basic {basic}"))?;
        basic.set_sensitive(true);
        Ok(Self {
            notifications: uri("/v1/notifications")?,
            token_uri: uri("/oauth/token")?,
            basic,
            pool,
            token: AccessToken::default(),
        })
    }

    pub(crate) async fn push(&self, push: &Notification) -> Outcome {
        let body = match serde_json::to_vec(&Submitted::from(push)) {
            Ok(body) => Bytes::from(body),
            Err(error) => {
                return Outcome::Refused {
                    reason: error.to_string(),
                };
            }
        };
        let mut renewed = false;
        loop {
            let authorization = match self.current().await {
                Ok(authorization) => authorization,
                Err(outcome) => return outcome,
            };
            let head = || {
                Request::post(self.notifications.clone())
                    .header(header::AUTHORIZATION, authorization.clone())
                    .header(header::CONTENT_TYPE, "application/json")
                    .header(header::CONTENT_LENGTH, body.len())
                    .body(())
            };
            let reply = self.pool.exchange(urgency(push), head, body.clone()).await;
            let reply = match reply {
                Ok(reply) => reply,
                Err(fault) => return unreachable(&fault),
            };
            // Our token has ended, or the service forgot it.
            if reply.status == StatusCode::UNAUTHORIZED && !renewed {
                self.token.forget(&authorization);
                renewed = true;
                continue;
            }
            return outcome(&reply);
        }
    }

    /// Its connections.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Gets a token ahead of need.
    pub(crate) async fn warm(&self) -> Result<(), Outcome> {
        self.current().await.map(drop)
    }

    async fn current(&self) -> Result<HeaderValue, Outcome> {
        self.token.current(async || self.ask().await).await
    }

    async fn ask(&self) -> Result<Kept, Outcome> {
        let body = Bytes::from_static(b"grant_type=client_credentials");
        let head = || {
            Request::post(self.token_uri.clone())
                .header(header::AUTHORIZATION, self.basic.clone())
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::CONTENT_LENGTH, body.len())
                .body(())
        };
        let asked = Instant::now();
        let reply = self.pool.exchange(Urgency::Call, head, body.clone()).await;
        let reply = reply.map_err(|fault| unreachable(&fault))?;
        if reply.status != StatusCode::OK {
            return Err(match outcome(&reply) {
                // An operator must act: the service does not know these credentials (RFC 6749 §5.2).
                Outcome::Refused { reason } => Outcome::Unauthorized { reason },
                outcome => outcome,
            });
        }
        let granted: Granted = serde_json::from_slice(&reply.body)
            .map_err(|error| unavailable(format!("no access token: {error}"), entropy()))?;
        let mut value = HeaderValue::try_from(format!("Bearer {}", granted.access_token))
            .map_err(|error| unavailable(format!("no access token: {error}"), entropy()))?;
        value.set_sensitive(true);
        Ok(Kept {
            value,
            until: granted.until(asked),
        })
    }
}

fn unreachable(fault: &Fault) -> Outcome {
    unavailable(format!("the push service: {fault}"), entropy())
}

/// What an answer of a service says; else what its status does.
fn outcome(reply: &Reply) -> Outcome {
    let said: Verdict = serde_json::from_slice(&reply.body).unwrap_or_default();
    if let Some(outcome) = said.outcome() {
        return outcome;
    }
    let status = reply.status;
    let reason = match said.detail {
        Some(detail) => format!("the push service: {detail}"),
        None => format!("the push service: HTTP {}", status.as_u16()),
    };
    match status.as_u16() {
        401 | 403 => Outcome::Unauthorized { reason },
        413 => Outcome::TooLarge,
        429 => {
            let asked = reply.headers.get(header::RETRY_AFTER);
            let asked = asked.and_then(|asked| asked.to_str().ok()?.parse().ok());
            Outcome::Throttled {
                retry_after: Duration::from_secs(asked.unwrap_or(10)),
                reason,
            }
        }
        400..=499 => Outcome::Refused { reason },
        _ => unavailable(reason, entropy()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn said(status: u16, body: &str) -> Outcome {
        outcome(&Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        })
    }

    #[test]
    fn an_answer_means_what_it_says_and_else_what_its_status_does() {
        let dead = said(
            410,
            r#"{"status":410,"outcome":"token_dead","since":7,"reason":"Unregistered"}"#,
        );
        assert!(matches!(dead, Outcome::TokenDead { since: Some(_), .. }));
        // A page of some proxy kills no token.
        assert!(matches!(said(410, "gone"), Outcome::Refused { .. }));
        assert!(matches!(said(502, "<html>"), Outcome::Unavailable { .. }));
        assert!(matches!(said(403, "{}"), Outcome::Unauthorized { .. }));
        let throttled = said(429, r#"{"detail":"too many"}"#);
        assert!(throttled.reason().contains("too many"), "{throttled:?}");
        assert!(matches!(said(200, "{}"), Outcome::Unavailable { .. }));
    }
}
