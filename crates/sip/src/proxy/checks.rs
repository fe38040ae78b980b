//! What a request must pass before it is proxied (RFC 3261 §16.3 as updated by RFC 5393 §4.2.2). Syntax and scheme
//! have been looked at when it arrived.

use std::fmt;

use crate::transaction::branch::{Branch, Secret};
use crate::{HeaderName, Message};

/// A request was not taken up for proxying, and has been answered so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// 420, 482, 483 or 503; 481 if the transaction is over.
    pub status: u16,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the request was answered {} and is not proxied",
            self.status
        )
    }
}

impl std::error::Error for Refused {}

/// Why a request may not be forwarded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Objection {
    TooManyHops,
    Loop,
    /// These option tags are required and not known.
    Unsupported(String),
}

/// Looks for a reason not to forward the request.
pub(super) fn objection(
    secret: Secret,
    known_options: &[String],
    request: &Message,
) -> Option<Objection> {
    if matches!(request.max_forwards(), Ok(Some(0))) {
        return Some(Objection::TooManyHops);
    }
    let mut ours = request
        .vias()
        .flatten()
        .filter_map(|via| Branch::read(via.branch()?, secret))
        .peekable();
    if ours.peek().is_some() {
        let mark = loop_mark(secret, request);
        if ours.any(|branch| branch.loop_mark == mark) {
            return Some(Objection::Loop);
        }
    }
    let unsupported: Vec<_> = request
        .values(HeaderName::ProxyRequire)
        .map(String::from_utf8_lossy)
        .filter(|option| {
            !known_options
                .iter()
                .any(|known| known.eq_ignore_ascii_case(option))
        })
        .collect();
    (!unsupported.is_empty()).then(|| Objection::Unsupported(unsupported.join(", ")))
}

/// Says where a request was going when it came to us, and which request it is; never 0. A request that comes by again
/// with the same mark has looped, with another one it is on a spiral (RFC 5393 §4.2.1).
#[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
pub(super) fn loop_mark(secret: Secret, request: &Message) -> u32 {
    let number = request
        .cseq()
        .map(|cseq| cseq.number)
        .unwrap_or_default()
        .to_be_bytes();
    let from = request.from_tag().unwrap_or_default();
    let parts = [
        request.request_uri().as_bytes(),
        request.header(HeaderName::CallId).unwrap_or_default(),
        from.as_bytes(),
        &number,
    ];
    let routes = request.values(HeaderName::Route);
    secret.hash("loop", parts.into_iter().chain(routes)) as u32 | 1
}
