//! The refusal of a REGISTER (RFC 3261 §10.3).

use crate::{HeaderName, Message, ResponseBuilder};

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
