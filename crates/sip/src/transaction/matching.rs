//! Which server transaction a request belongs to (RFC 3261 §17.2.3), as one number. It is a keyed hash: two
//! different requests do not meet in it but by an accident that nobody can arrange.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::branch::Secret;
use super::slab::Key;
use crate::{HeaderName, MAGIC_COOKIE, Message, Method, Via};

/// Server transactions by what their requests have in common.
pub(crate) type Index = HashMap<u64, Key, BuildHasherDefault<AlreadyHashed>>;

/// The transaction of a request with this method, or (for an ACK or CANCEL) of the request with that method that it
/// belongs to; `via` is its top one. `None` if what it is told by cannot be read.
pub(crate) fn transaction(
    secret: Secret,
    request: &Message,
    via: &Via<'_>,
    method: Method<'_>,
) -> Option<u64> {
    match via
        .branch()
        .filter(|branch| branch.starts_with(MAGIC_COOKIE))
    {
        Some(branch) => {
            let host = lower_case(via.host);
            let port = via.port.unwrap_or(0).to_be_bytes();
            Some(secret.hash(
                "transaction",
                [
                    branch.as_bytes(),
                    host.as_bytes(),
                    &port,
                    method.as_str().as_bytes(),
                ],
            ))
        }
        None => before_cookies(secret, request, method),
    }
}

/// Hosts are compared without regard to case.
fn lower_case(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|octet| octet.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// The same for clients of RFC 2543, whose branches are not unique. To is left out: the ACK has a tag there that the
/// INVITE had not.
fn before_cookies(secret: Secret, request: &Message, method: Method<'_>) -> Option<u64> {
    let number = request.cseq().ok()?.number.to_be_bytes();
    let from = request.from_tag().unwrap_or_default();
    Some(secret.hash(
        "transaction of RFC 2543",
        [
            request.request_uri().as_bytes(),
            from.as_bytes(),
            request.call_id().ok()?.as_bytes(),
            &number,
            request.values(HeaderName::Via).next()?,
            method.as_str().as_bytes(),
        ],
    ))
}

/// The INVITE within its dialog, by which the ACK to its 2xx is known; `to_tag` is that of the 2xx.
pub(crate) fn accepted(secret: Secret, message: &Message, to_tag: &str) -> Option<u64> {
    let number = message.cseq().ok()?.number.to_be_bytes();
    let from = message.from_tag().unwrap_or_default();
    Some(secret.hash(
        "accepted",
        [
            message.call_id().ok()?.as_bytes(),
            from.as_bytes(),
            to_tag.as_bytes(),
            &number,
        ],
    ))
}

/// Hashes what is a hash already.
#[derive(Default)]
pub(crate) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
