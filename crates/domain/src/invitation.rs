//! Invitations: who has one may make an account, once.

use crate::{Address, Timestamp};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// An invitation as it is kept: without the word by which it is used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invitation {
    /// Which: see [`digest`].
    pub token: Box<str>,
    /// Whose contact the new user becomes.
    pub inviter: Option<Address>,
    /// The only address that it is good for.
    pub address: Option<Address>,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// By what an invitation is kept and found: SHA-256 of its word, in hex. So who reads the store cannot use it.
pub fn digest(word: &str) -> Box<str> {
    let mut text = String::with_capacity(64);
    for octet in Sha256::digest(word) {
        // Into memory, which takes it.
        let _ = write!(text, "{octet:02x}");
    }
    text.into()
}
