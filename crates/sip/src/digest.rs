//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760) with `qop=auth`: the server's side, which remembers nothing
//! of those who have not authenticated, and the client's side for the simulated phone.

mod algorithm;
mod client;
mod fields;
mod nonce;
mod replay;
mod verifier;

#[cfg(test)]
mod tests;

pub use algorithm::{Algorithm, ha1};
pub use client::{Challenge, Login};
pub use verifier::{Authenticated, Rejected, Settings, Verifier};
