//! Reads signed tokens (RFC 7515 compact form) as strictly as the platforms do: three parts, base64url without padding,
//! the signature in its raw form.

#[cfg(test)]
mod exercise;

use super::locked;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{UnparsedPublicKey, VerificationAlgorithm};
use serde::de::DeserializeOwned;
use std::{collections::VecDeque, sync::Mutex};

/// Longest token that is looked at.
const MOST_BYTES: usize = 8 * 1024;
/// Tokens that were made to expire early are remembered, at most so many; the oldest is forgotten first.
const MOST_EXPIRED: usize = 1_000;

/// A token, read but not yet verified.
pub(super) struct Jwt<'a, Claims> {
    pub(super) header: Header,
    pub(super) claims: Claims,
    signed: &'a str,
    signature: Vec<u8>,
}

/// The part of the JOSE header that the platforms use.
#[derive(serde::Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    #[serde(default)]
    pub(super) kid: Option<String>,
}

impl<'a, Claims: DeserializeOwned> Jwt<'a, Claims> {
    /// Nothing if it is no such token or lacks a claim.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        if text.len() > MOST_BYTES {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        Some(Self {
            header: decode(header)?,
            claims: decode(claims)?,
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// Whether `key` signed it. For ES256 that means 64 bytes, R and S after each other (RFC 7518 §3.4); a DER
    /// signature does not pass.
    pub(super) fn is_signed_by(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        key: &[u8],
    ) -> bool {
        UnparsedPublicKey::new(algorithm, key)
            .verify(self.signed.as_bytes(), &self.signature)
            .is_ok()
    }
}

fn decode<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// Tokens that were told to be expired before their time.
#[derive(Default)]
pub(super) struct Expired(Mutex<VecDeque<String>>);

impl Expired {
    /// Expires a token.
    pub(super) fn add(&self, token: &str) {
        let mut tokens = locked(&self.0);
        if tokens.len() == MOST_EXPIRED {
            tokens.pop_front();
        }
        tokens.push_back(token.to_owned());
    }

    /// Whether it was.
    pub(super) fn has(&self, token: &str) -> bool {
        locked(&self.0).iter().any(|one| one == token)
    }
}
