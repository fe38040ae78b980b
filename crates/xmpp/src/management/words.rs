//! What the two ends say about management, as values; reading and writing them is up to who knows XML.

use std::time::Duration;

/// `<enable/>` (XEP-0198 §3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enable {
    /// The session is to be one that can be resumed.
    pub resume: bool,
    /// For so long, if it can be.
    pub max: Option<Duration>,
}

/// `<enabled/>` (XEP-0198 §3, §5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enabled {
    /// The session's id; `None`: it cannot be resumed.
    pub id: Option<String>,
    /// For so long can it be resumed, in whole seconds.
    pub max: Option<Duration>,
    /// Where to connect to for that, a host or an address with a port.
    pub location: Option<String>,
}

/// `<resume/>`, and `<resumed/>` as the answer (XEP-0198 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// So much has its sender handled.
    pub handled: u32,
    /// The session's id.
    pub previous: String,
}

/// `<failed/>` (XEP-0198 §3, §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What was handled of a session that is gone, if that is known: the client need not send it again.
    pub handled: Option<u32>,
    /// Why.
    pub why: WhyFailed,
}

/// Why there is no management, or no resumption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyFailed {
    /// No such session, or none any more: `<item-not-found/>`.
    NoSession,
    /// Not before a resource is bound, not twice, and not at all: `<unexpected-request/>`.
    OutOfTurn,
    /// Not here: `<feature-not-implemented/>`.
    NotHere,
    /// Not now: `<internal-server-error/>`.
    OurFault,
}

impl WhyFailed {
    /// The name of its stanza error condition (RFC 6120 §8.3.3).
    pub fn condition(self) -> &'static str {
        match self {
            Self::NoSession => "item-not-found",
            Self::OutOfTurn => "unexpected-request",
            Self::NotHere => "feature-not-implemented",
            Self::OurFault => "internal-server-error",
        }
    }
}
