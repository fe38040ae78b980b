//! The answer to a REGISTER (RFC 3261 §10.3 step 8).

use super::{Binding, Change};
use crate::{HeaderName, Message, ResponseBuilder};

/// What a REGISTER comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// All bindings of the address from now on, oldest first.
    pub bindings: Vec<Binding>,
    /// What changed, in the order of the request's contacts. Nothing changed if the client only asked.
    pub changes: Vec<Change>,
}

/// Why a REGISTER is refused; no binding changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{status} {reason}")]
pub struct Reject {
    /// Status code of the answer.
    pub status: u16,
    /// Reason phrase of the answer.
    pub reason: &'static str,
    /// Seconds for Min-Expires, with `423`.
    pub min_expires: Option<u32>,
}

impl Reject {
    pub(super) const fn new(status: u16, reason: &'static str) -> Self {
        Self {
            status,
            reason,
            min_expires: None,
        }
    }

    /// The answer, to which the caller may add.
    pub fn response(&self, request: &Message) -> ResponseBuilder {
        let response = ResponseBuilder::to(request, self.status, self.reason);
        match self.min_expires {
            Some(seconds) => response.header(HeaderName::MinExpires, seconds.to_string()),
            None => response,
        }
    }
}

impl Outcome {
    /// `200` with all bindings, and with the Path that was used if the client can read it (RFC 3327 §5.3). The
    /// caller may add Date, Service-Route, Feature-Caps.
    pub fn response(&self, request: &Message, now_ms: u64) -> ResponseBuilder {
        let mut response = ResponseBuilder::to(request, 200, "OK");
        for contact in self.contacts(now_ms) {
            response = response.header(HeaderName::Contact, contact);
        }
        if request.has_token(HeaderName::Supported, "path") {
            for path in request.headers(HeaderName::Path) {
                response = response.header(HeaderName::Path, path);
            }
        }
        response
    }

    /// Values of Contact for all bindings, each with its `expires`.
    pub fn contacts(&self, now_ms: u64) -> Vec<String> {
        self.bindings
            .iter()
            .map(|binding| binding.contact_value(now_ms))
            .collect()
    }
}
