//! Errors of the APIs, as problem documents (RFC 7807).

use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use hub::NotDone;
use std::time::Duration;
use store::StoreError;

/// What went wrong, for whoever asked.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    /// Seconds.
    retry_after: Option<u64>,
    /// Its name in OAuth (RFC 6749 §5.2).
    error: Option<&'static str>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            retry_after: None,
            error: None,
        }
    }

    /// The same with its name in OAuth.
    pub(crate) fn named(self, error: &'static str) -> Self {
        Self {
            error: Some(error),
            ..self
        }
    }

    /// Whether a document is one with that name.
    pub(crate) fn is_named(error: &str, document: &[u8]) -> bool {
        let document: Result<serde_json::Value, _> = serde_json::from_slice(document);
        document.is_ok_and(|it| it["error"] == error)
    }

    /// What it is in HTTP.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// In words.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// A token is missing, or is none that is good here (RFC 6750 §3).
    pub(crate) fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// Not now (RFC 6585 §4).
    pub(crate) fn try_again(detail: &str, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait.as_secs().max(1)),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
        }
    }

    /// The role has stopped.
    pub(super) fn stopping() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server is shutting down",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut document = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(error) = self.error {
            document["error"] = error.into();
        }
        let mut response = (self.status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.status == StatusCode::UNAUTHORIZED {
            // Which RFC 9110 §15.5.2 wants of each such answer.
            let scheme = HeaderValue::from_static("Bearer realm=\"reveille\"");
            headers.insert(WWW_AUTHENTICATE, scheme);
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::Missing { .. } => StatusCode::NOT_FOUND,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

impl From<NotDone> for Problem {
    fn from(error: NotDone) -> Self {
        let status = match error {
            NotDone::BadName | NotDone::Oneself => StatusCode::BAD_REQUEST,
            NotDone::Missing | NotDone::NoSuchDomain => StatusCode::NOT_FOUND,
            NotDone::NotLet => StatusCode::FORBIDDEN,
            NotDone::NoSuchApp | NotDone::DeadToken => StatusCode::UNPROCESSABLE_ENTITY,
            NotDone::Exists
            | NotDone::Changed
            | NotDone::TooManyDevices
            | NotDone::TooManyContacts
            | NotDone::TooManyBlocks
            | NotDone::QueueFull => StatusCode::CONFLICT,
            NotDone::Overloaded | NotDone::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

pub(crate) async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is nothing at this address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shows_no_good_token_is_told_what_to_show() {
        let told = |problem: Problem| {
            let response = problem.into_response();
            response.headers().get(WWW_AUTHENTICATE).cloned()
        };
        let scheme = told(Problem::unauthorized("no token")).unwrap();
        assert_eq!(scheme, "Bearer realm=\"reveille\"");
        let other = Problem::new(StatusCode::FORBIDDEN, "not for you");
        assert_eq!(told(other), None);
    }
}
