//! Why a message, or one header field of it, could not be read.

use std::fmt;

/// Why a message was refused, in the words of the answer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{status} {reason}")]
pub struct ParseError {
    /// Status code of the answer: 400, 414, 501, 505 or 513.
    pub status: u16,
    /// Reason phrase of the answer; it says what is wrong.
    pub reason: &'static str,
}

impl ParseError {
    pub(crate) const fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason }
    }

    /// `400` with this reason.
    pub(crate) const fn bad(reason: &'static str) -> Self {
        Self::new(400, reason)
    }
}

/// Why one header field could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderError {
    /// Its canonical name.
    pub header: &'static str,
    /// Is it absent (and not malformed)?
    pub missing: bool,
}

impl HeaderError {
    pub(crate) const fn missing(header: &'static str) -> Self {
        Self {
            header,
            missing: true,
        }
    }

    pub(crate) const fn malformed(header: &'static str) -> Self {
        Self {
            header,
            missing: false,
        }
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.missing { "missing" } else { "malformed" };
        write!(f, "{what} {}", self.header)
    }
}

impl std::error::Error for HeaderError {}
