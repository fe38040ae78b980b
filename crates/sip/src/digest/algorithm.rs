//! The hash functions of digest, and the values that are hashed (RFC 7616 §3.4).

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};
use subtle::ConstantTimeEq;

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

    /// The hash of the parts joined by colons.
    fn hash(self, parts: &[&[u8]]) -> Digits {
        match self {
            Self::Md5 => joined::<Md5>(parts),
            Self::Sha256 => joined::<Sha256>(parts),
            Self::Sha512_256 => joined::<Sha512_256>(parts),
        }
    }
}

fn joined<H: Digest>(parts: &[&[u8]]) -> Digits {
    let mut hash = H::new();
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    Digits::of(&hash.finalize())
}

/// What a server keeps instead of a password, in hexadecimal digits (RFC 7616 §3.4.2). It is as good as the password
/// for this realm: keep it as secret.
pub fn ha1(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> String {
    let parts = [user, realm, password].map(str::as_bytes);
    algorithm.hash(&parts).as_str().to_owned()
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
    pub(super) fn response(&self, algorithm: Algorithm, ha1: &[u8]) -> Digits {
        let ha2 = algorithm.hash(&[self.method, self.uri].map(str::as_bytes));
        let [nonce, nc, cnonce] = [self.nonce, self.nc, self.cnonce].map(str::as_bytes);
        let ha2 = ha2.as_str().as_bytes();
        algorithm.hash(&[ha1, nonce, nc, cnonce, b"auth", ha2])
    }
}

/// A hash in small hexadecimal digits.
#[derive(Clone, Copy)]
pub(super) struct Digits {
    digits: [u8; MOST_DIGITS],
    length: usize,
}

/// Of 256 bits.
const MOST_DIGITS: usize = 64;

impl Digits {
    pub(super) fn of(octets: &[u8]) -> Self {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let mut digits = [0; MOST_DIGITS];
        for (pair, octet) in digits.chunks_exact_mut(2).zip(octets) {
            pair[0] = DIGITS[usize::from(octet >> 4)];
            pair[1] = DIGITS[usize::from(octet & 15)];
        }
        Self {
            digits,
            length: MOST_DIGITS.min(octets.len() * 2),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits[..self.length]).unwrap_or_default()
    }

    /// The same digits, in any case? It takes the same time wherever they differ.
    pub(super) fn is(&self, given: &str) -> bool {
        let mut small = [0; MOST_DIGITS];
        for (small, given) in small.iter_mut().zip(given.bytes()) {
            *small = given.to_ascii_lowercase();
        }
        let (small, wanted) = (&small[..self.length], &self.digits[..self.length]);
        given.len() == self.length && bool::from(small.ct_eq(wanted))
    }
}
