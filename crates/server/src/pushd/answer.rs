//! What senders hear: one table of statuses, and problem documents (RFC 9457) with what became of the push in them.

use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use domain::{Outcome, PushEnd};
use push::rest::wire::Verdict;
use pushd::Reply;
use serde::Serialize;

/// Statuses by outcome (`contract.md`). What is not here was taken.
const STATUSES: &[(&str, u16)] = &[
    ("token_dead", 410),
    ("refused", 422),
    ("too_large", 413),
    ("throttled", 429),
    ("unavailable", 503),
    // The publisher's credentials at the provider, and not the sender's here.
    ("unauthorized", 502),
    ("replaced", 409),
    ("expired", 504),
    ("queued", 202),
];

/// The status of an outcome.
pub(super) fn status(outcome: &str) -> StatusCode {
    let found = STATUSES.iter().find(|(name, _)| *name == outcome);
    found
        .and_then(|(_, status)| StatusCode::from_u16(*status).ok())
        .unwrap_or(StatusCode::OK)
}

/// Why a request is not done.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    verdict: Box<Verdict>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

impl Problem {
    pub(super) fn new(status: StatusCode, outcome: &str, detail: impl Into<String>) -> Self {
        Self {
            status,
            verdict: Box::new(Verdict {
                detail: Some(detail.into()),
                ..Verdict::bare(outcome)
            }),
        }
    }

    /// The request, or the push in it, is wrong.
    pub(super) fn refused(status: StatusCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut problem = Self::new(status, "refused", detail.clone());
        problem.verdict.reason = Some(detail);
        problem
    }

    pub(super) fn token() -> Self {
        let detail = "this needs an access token from POST /oauth/token";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    pub(super) fn not_let() -> Self {
        let detail = "this tenant may not push to this app: `reveille tenant allow` lets it";
        Self::new(StatusCode::FORBIDDEN, "unauthorized", detail)
    }

    pub(super) fn stopping() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "the service is shutting down",
        )
    }

    /// What became of the push, for one of a batch.
    pub(super) fn into_verdict(self) -> Verdict {
        *self.verdict
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            verdict: &self.verdict,
        };
        let mut response = (self.status, Json(document)).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, kind);
        if let Some(seconds) = self.verdict.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let how = HeaderValue::from_static("Bearer realm=\"push\"");
            headers.insert(WWW_AUTHENTICATE, how);
        }
        response
    }
}

/// What the machine says, as an answer: good, or a problem.
pub(super) fn verdict(reply: Reply) -> Result<Verdict, Problem> {
    let verdict = match reply {
        Reply::Told(outcome) => Verdict::from(&outcome),
        Reply::Ended(end) => Verdict::from(&end),
        Reply::Queued => Verdict::bare("queued"),
        Reply::NotLet => return Err(Problem::not_let()),
        Reply::Busy { wait, of } => {
            let busy = Outcome::Throttled {
                retry_after: wait,
                reason: format!("too many {of} of this tenant"),
            };
            Verdict::from(&busy)
        }
        Reply::NotSaved => {
            let detail = "it could not be saved: nothing is promised";
            return Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                detail,
            ));
        }
    };
    let status = status(&verdict.outcome);
    if status.is_success() {
        Ok(verdict)
    } else {
        Err(Problem {
            status,
            verdict: Box::new(verdict),
        })
    }
}

/// What became of a push, for whoever asks: no problem, whatever it was.
pub(super) fn ended(end: &PushEnd) -> Verdict {
    end.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_outcome_has_the_status_of_the_contract() {
        let reason = String::new;
        let retry_after = Duration::from_millis(1500);
        for (outcome, expected) in [
            (
                Outcome::Accepted {
                    provider_id: reason(),
                },
                200,
            ),
            (
                Outcome::TokenDead {
                    since: None,
                    reason: reason(),
                },
                410,
            ),
            (Outcome::Refused { reason: reason() }, 422),
            (
                Outcome::Throttled {
                    retry_after,
                    reason: reason(),
                },
                429,
            ),
            (
                Outcome::Unavailable {
                    retry_after,
                    reason: reason(),
                },
                503,
            ),
            (Outcome::Unauthorized { reason: reason() }, 502),
            (Outcome::TooLarge, 413),
        ] {
            let name = outcome.name();
            let (status, wait) = match verdict(Reply::Told(outcome)) {
                Ok(said) => (status(&said.outcome), None),
                Err(problem) => {
                    let response = problem.into_response();
                    let wait = response.headers().get(RETRY_AFTER).cloned();
                    (response.status(), wait)
                }
            };
            assert_eq!(status.as_u16(), expected, "{name}");
            let waits = matches!(expected, 429 | 503);
            assert_eq!(wait.is_some_and(|it| it == "2"), waits, "{name}");
        }
    }
}
