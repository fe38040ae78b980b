//! SCRAM (RFC 5802, RFC 7677): both ends prove that they know the password, and neither it nor anything to sign in with is
//! sent or kept. With a channel binding nobody in between can pass the proof on; with the hash of what was offered
//! (XEP-0474) nobody can talk the client into less.
//!
//! The server reads an [`Opening`], looks the user's [`StoredKeys`] up, answers with a [challenge](Opening::challenge), and
//! [verifies](Exchange::verify) the proof. The [`Client`] is that of the simulated phone.

mod client;
mod downgrade;

mod keys;
mod message;
mod server;

#[cfg(test)]
mod tests;

pub use client::{Client, ClientBinding, ClientError, ClientSettings, Ending};
pub use downgrade::Advertised;
pub use keys::{ITERATIONS, SALT_OCTETS, StoredKeys};
pub use server::{Exchange, Opening, Terms, Verified};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Octets of entropy in a nonce: 24 characters of it.
pub const NONCE_ENTROPY: usize = 18;

/// Longest nonce taken, in characters.
const MAX_NONCE: usize = 256;

/// Octets as text: base64 has no comma.
fn encode(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
