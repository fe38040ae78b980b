//! Pushes through somebody's push service: an app's publisher alone holds the platforms' keys, and gives out a tenant's
//! credentials instead. [`wire`] is what is said over REST, the same for both sides; the client is here, the service in
//! the server (`docs/adr/0012-the-push-service.md`).

pub mod wire;

use crate::{
    chance::entropy,
    exchange::urgency,
    outcome::{unavailable, wait, word},
    pool::{Fault, Pool, Urgency},
    token::access::{AccessToken, Granted, Kept},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{Notification, Outcome};
use http::{HeaderValue, Request, StatusCode, Uri, header, uri::Authority};
use std::{fmt, sync::Arc};
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
            let asked = reply.headers.get(header::RETRY_AFTER);
            let asked = asked.and_then(|asked| asked.to_str().ok());
            return said(reply.status.as_u16(), asked, &reply.body);
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
            return Err(match said(reply.status.as_u16(), None, &reply.body) {
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

/// What an answer of a service says, with its `retry-after`; else what its status does.
pub fn said(status: u16, retry_after: Option<&str>, body: &[u8]) -> Outcome {
    let said: Verdict = serde_json::from_slice(body).unwrap_or_default();
    if let Some(outcome) = said.outcome() {
        return outcome;
    }
    let reason = match said.detail {
        Some(detail) => format!("the push service: {}", word(&detail)),
        None => format!("the push service: HTTP {status}"),
    };
    match status {
        401 | 403 => Outcome::Unauthorized { reason },
        413 => Outcome::TooLarge,
        429 => {
            let asked = retry_after.and_then(|asked| asked.trim().parse().ok());
            Outcome::Throttled {
                retry_after: wait(asked.unwrap_or(10)),
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
    use std::time::Duration;

    fn says(status: u16, body: &str) -> Outcome {
        said(status, None, body.as_bytes())
    }

    #[test]
    fn nobody_is_kept_waiting_for_ever_and_no_log_is_filled() {
        let most = u64::MAX.to_string();
        let body = format!(r#"{{"outcome":"throttled","retry_after":{most}}}"#);
        let long = format!(r#"{{"detail":"{}"}}"#, "x".repeat(10_000));
        for outcome in [says(429, &body), said(429, Some(&most), long.as_bytes())] {
            let Outcome::Throttled {
                retry_after,
                reason,
            } = outcome
            else {
                panic!("{outcome:?}");
            };
            assert_eq!(retry_after, Duration::from_hours(24));
            assert!(reason.len() < 300, "{reason}");
        }
    }

    #[test]
    fn an_answer_means_what_it_says_and_else_what_its_status_does() {
        let dead = says(
            410,
            r#"{"status":410,"outcome":"token_dead","since":7,"reason":"Unregistered"}"#,
        );
        assert!(matches!(dead, Outcome::TokenDead { since: Some(_), .. }));
        // A page of some proxy kills no token.
        assert!(matches!(says(410, "gone"), Outcome::Refused { .. }));
        assert!(matches!(says(502, "<html>"), Outcome::Unavailable { .. }));
        assert!(matches!(says(403, "{}"), Outcome::Unauthorized { .. }));
        let throttled = says(429, r#"{"detail":"too many"}"#);
        assert!(throttled.reason().contains("too many"), "{throttled:?}");
        assert!(matches!(says(200, "{}"), Outcome::Unavailable { .. }));
    }
}
