//! Users and their addresses.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::{fmt, str::FromStr, sync::Arc};

/// `name@domain`, in lower case: the same user whatever protocol writes to them.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(Arc<str>);

/// Why a text is no [`Address`].
#[derive(Debug, thiserror::Error, Eq, PartialEq)]
#[error("{0:?} is not an address: write it as name@domain")]
pub struct BadAddress(pub String);

impl Address {
    /// Longest address taken, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// The address of `name` at `domain`.
    pub fn new(name: &str, domain: &str) -> Result<Self, BadAddress> {
        let mut text = SmallVec::<[u8; 128]>::new();
        for part in [name, "@", domain] {
            text.extend_from_slice(part.as_bytes());
        }
        // Each request names some: where it is plain, no need to ask Unicode.
        let plain = text.is_ascii();
        text.make_ascii_lowercase();
        let whole = std::str::from_utf8(&text).unwrap_or_default();
        if !is_sound(name) || !is_sound(domain) || text.len() > Self::MAX_BYTES {
            return Err(BadAddress([name, "@", domain].concat()));
        }
        Ok(Self(if plain {
            whole.into()
        } else {
            whole.to_lowercase().into()
        }))
    }

    /// The part before the `@`.
    pub fn name(&self) -> &str {
        self.0.split_once('@').map_or("", |(name, _)| name)
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }

    /// The whole of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text can stand before or after the `@`.
fn is_sound(part: &str) -> bool {
    let breaks = |c: char| c == '@' || c.is_whitespace() || c.is_control();
    let sound = if part.is_ascii() {
        part.bytes()
            .all(|octet| octet.is_ascii_graphic() && octet != b'@')
    } else {
        !part.contains(breaks)
    };
    sound && !part.is_empty()
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (name, domain) = text
            .split_once('@')
            .ok_or_else(|| BadAddress(text.to_owned()))?;
        Self::new(name, domain)
    }
}

impl TryFrom<String> for Address {
    type Error = BadAddress;

    fn try_from(text: String) -> Result<Self, BadAddress> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.as_str().to_owned()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A person with an account.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Where they are reached.
    pub address: Address,
    /// Their name as others see it; empty if they gave none.
    pub display_name: String,
    /// What their password is checked against.
    pub secrets: Secrets,
    /// Where a call goes that reaches none of their devices: another address or a voicemail, as the signalling role
    /// writes it (`sip:…`). `None`: the caller hears that they are unavailable.
    pub forward: Option<String>,
}

/// Password verifiers: `H(name:domain:password)` in hex, one for each digest algorithm (RFC 7616 §3.4.2). The password
/// itself is never kept.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
pub struct Secrets {
    /// With MD5 (RFC 3261 §22 clients know no other).
    pub md5: String,
    /// With SHA-256 (RFC 8760).
    pub sha256: String,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_in_any_case() {
        assert_eq!(
            "Alice@Example.ORG".parse(),
            Address::new("alice", "example.org")
        );
    }

    #[test]
    fn an_address_needs_a_name_and_a_domain() {
        for text in [
            "alice",
            "@example.org",
            "alice@",
            "a b@example.org",
            "a@b@c",
            "",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
