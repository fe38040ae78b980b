//! Digest credentials as a phone sends them (RFC 7616): the nonce of the last challenge with its count going up, for whatever it asks.

use super::{DOMAIN, PASSWORD};
use crate::wire::{Message, parameter};
use anyhow::{Context, Result};
use md5::{Digest as _, Md5};
use std::io::Write;

/// The client's own nonce (RFC 7616 §3.4); its worth is not what is measured here.
const CNONCE: &str = "0a4f113b";

pub(super) type Hex = [u8; 32];

/// What a user signs in with, and what the server has said last.
pub(crate) struct Credentials {
    user: u32,
    /// `MD5(user:realm:password)` (RFC 7616 §3.4.2).
    a1: Hex,
    nonce: Box<[u8]>,
    /// Uses of this nonce.
    count: u32,
}

/// What is asked, and where the answer to a challenge stands.
pub(super) struct Asked<'a> {
    pub(super) field: &'a str,
    pub(super) uri: &'a str,
    /// `MD5(method:uri)` (RFC 7616 §3.4.3).
    pub(super) a2: &'a Hex,
}

impl Credentials {
    /// Those of the user `uN`, who has not been challenged yet.
    pub(super) fn new(user: u32) -> Self {
        Self {
            user,
            a1: hash(&[format!("u{user}:{DOMAIN}:{PASSWORD}").as_bytes()]),
            nonce: Box::default(),
            count: 0,
        }
    }

    /// Takes the nonce of a challenge for MD5, which all servers offer.
    pub(super) fn challenged(&mut self, by: Message<'_>) -> Result<()> {
        let challenge = by.headers("WWW-Authenticate").find(|challenge| {
            parameter(challenge, "algorithm").is_none_or(|name| name.eq_ignore_ascii_case(b"MD5"))
                && parameter(challenge, "qop").is_some()
        });
        let nonce = challenge.and_then(|challenge| parameter(challenge, "nonce"));
        self.nonce = nonce.context("a challenge without MD5 and qop")?.into();
        self.count = 0;
        Ok(())
    }

    /// Writes the header field that signs this request; nothing before the first challenge.
    pub(super) fn sign(&mut self, asked: &Asked<'_>, into: &mut Vec<u8>) -> Result<()> {
        if self.nonce.is_empty() {
            return Ok(());
        }
        self.count += 1;
        let (user, Asked { field, uri, a2 }) = (self.user, asked);
        let nc = format!("{:08x}", self.count);
        let tail = format!(":{nc}:{CNONCE}:auth:");
        let response = hash(&[&self.a1, b":", &self.nonce, tail.as_bytes(), *a2]);
        write!(
            into,
            "{field}: Digest username=\"u{user}\", realm=\"{DOMAIN}\", nonce=\""
        )?;
        into.extend_from_slice(&self.nonce);
        write!(into, "\", uri=\"{uri}\", response=\"")?;
        into.extend_from_slice(&response);
        write!(
            into,
            "\", algorithm=MD5, qop=auth, nc={nc}, cnonce=\"{CNONCE}\"\r\n"
        )?;
        Ok(())
    }
}

/// MD5 of these one after the other, in hexadecimal.
pub(super) fn hash(parts: &[&[u8]]) -> Hex {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part);
    }
    let digest = md5.finalize();
    std::array::from_fn(|at| {
        let octet = digest[at / 2];
        DIGITS[usize::from(if at % 2 == 0 { octet >> 4 } else { octet & 15 })]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of RFC 7616 §3.9.1, for MD5.
    #[test]
    fn a_challenge_is_answered_as_the_rfc_does() {
        let a1 = hash(&[b"Mufasa:http-auth@example.org:Circle of Life"]);
        let a2 = hash(&[b"GET:/dir/index.html"]);
        let response = hash(&[
            &a1,
            b":7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v:00000001:f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth:",
            &a2,
        ]);
        assert_eq!(&response, b"8ca523f5e9506fed4657c9700eebdbec");
    }
}
