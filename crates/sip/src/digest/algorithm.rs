//! The hash functions of digest, and the values that are hashed (RFC 7616 §3.4).

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

/// A hash function by its name in `algorithm=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `MD5`, for old phones.
    Md5,
    /// `SHA-256`.
    Sha256,
    /// `SHA-512-256`.
    Sha512_256,
}

/// Names, and order of strength, weakest first.
const NAMES: [(Algorithm, &str); 3] = [
    (Algorithm::Md5, "MD5"),
    (Algorithm::Sha256, "SHA-256"),
    (Algorithm::Sha512_256, "SHA-512-256"),
];

impl Algorithm {
    /// The algorithm of that name, in any case; without a name it is MD5 (RFC 7616 §3.3). `None` for those that we
    /// do not speak, the `-sess` ones among them.
    pub fn named(name: Option<&str>) -> Option<Self> {
        let name = name.unwrap_or("MD5");
        NAMES
            .iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(name))
            .map(|(algorithm, _)| *algorithm)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        NAMES[self.strength()].1
    }

    pub(super) fn strength(self) -> usize {
        match self {
            Self::Md5 => 0,
            Self::Sha256 => 1,
            Self::Sha512_256 => 2,
        }
    }

    /// The hash of the parts joined by colons, in small hexadecimal digits.
    fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Self::Md5 => hex(&Md5::digest(text)),
            Self::Sha256 => hex(&Sha256::digest(text)),
            Self::Sha512_256 => hex(&Sha512_256::digest(text)),
        }
    }
}

/// What a server keeps instead of a password, in hexadecimal digits (RFC 7616 §3.4.2). It is as good as the password
/// for this realm: keep it as secret.
pub fn ha1(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> String {
    algorithm.hash(&[user, realm, password])
}

/// What both sides feed into the response besides HA1 (RFC 7616 §3.4.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange<'a> {
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) nonce: &'a str,
    /// Eight hexadecimal digits.
    pub(super) nc: &'a str,
    pub(super) cnonce: &'a str,
}

impl Exchange<'_> {
    /// The response for `qop=auth`.
    pub(super) fn response(&self, algorithm: Algorithm, ha1: &str) -> String {
        let ha2 = algorithm.hash(&[self.method, self.uri]);
        algorithm.hash(&[ha1, self.nonce, self.nc, self.cnonce, "auth", &ha2])
    }
}

pub(super) fn hex(octets: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    octets
        .iter()
        .flat_map(|octet| [digit(octet >> 4), digit(*octet)])
        .collect()
}
