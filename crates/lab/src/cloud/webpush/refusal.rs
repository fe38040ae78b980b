//! How a push is refused.

use super::super::record::Answer;
use bytes::Bytes;
use http::{
    HeaderValue, Response,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde_json::json;

/// Why a push was refused: RFC 8030 has statuses, and leaves the words to the push service.
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) retry_after: Option<u64>,
}

impl Refusal {
    pub(super) fn new(status: u16, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            retry_after: None,
        }
    }

    pub(super) fn response(&self) -> Response<Bytes> {
        let body = json!({ "code": self.status, "error": self.reason }).to_string();
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status.try_into().unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }

    pub(super) fn answer(&self) -> Answer {
        Answer {
            status: self.status,
            reason: Some(self.reason.clone()),
            id: None,
        }
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The words that go with a status when a fate or fault has none.
pub(super) fn usual(status: u16) -> &'static str {
    match status {
        404 => "no such subscription",
        410 => "the subscription is gone",
        413 => "too large",
        429 => "too many requests",
        503 => "come back later",
        _ => "ordered to fail",
    }
}
