//! Users and their addresses.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use smallvec::SmallVec;
use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

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

    /// The address of a name as protocols have it that allow any character in it: what no name may hold in XMPP is escaped
    /// (XEP-0106), so that an address is the same for all of them. `Err`: it begins or ends with a space, or is none otherwise.
    pub fn of_name(name: &str, domain: &str) -> Result<Self, BadAddress> {
        match escaped(name) {
            Some(name) => Self::new(&name, domain),
            None => Err(BadAddress([name, "@", domain].concat())),
        }
    }

    /// The same of a name as somebody writes it who may mean either form: if it is no name of XMPP's it is the other.
    pub fn given(name: &str, domain: &str) -> Result<Self, BadAddress> {
        if name.chars().any(|c| code_of(c).is_some()) {
            Self::of_name(name, domain)
        } else {
            Self::new(name, domain)
        }
    }

    /// The name that [`Address::of_name`] was given, in lower case.
    pub fn plain_name(&self) -> Cow<'_, str> {
        unescaped(self.name())
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

/// What no name may hold in XMPP, and the two digits that stand for it there behind a backslash (XEP-0106).
const CODES: [(char, &str); 9] = [
    (' ', "20"),
    ('"', "22"),
    ('&', "26"),
    ('\'', "27"),
    ('/', "2f"),
    (':', "3a"),
    ('<', "3c"),
    ('>', "3e"),
    ('@', "40"),
];
/// The same of the backslash, which only needs it where it would be taken for one of these.
const BACKSLASH: (char, &str) = ('\\', "5c");

fn code_of(c: char) -> Option<&'static str> {
    let row = CODES.iter().find(|(it, _)| *it == c)?;
    Some(row.1)
}

/// What the two digits stand for with which a text begins.
fn coded(text: &str) -> Option<char> {
    let digits = text.get(..2)?;
    let mut rows = CODES.iter().chain([&BACKSLASH]);
    let row = rows.find(|(_, code)| code.eq_ignore_ascii_case(digits))?;
    Some(row.0)
}

/// A name as XMPP has it (XEP-0106); `None`: it begins or ends with a space.
fn escaped(name: &str) -> Option<String> {
    if name.starts_with(' ') || name.ends_with(' ') {
        return None;
    }
    let mut text = String::with_capacity(name.len());
    for (at, c) in name.char_indices() {
        let is_taken_for_one = || coded(&name[at + c.len_utf8()..]).is_some();
        match code_of(c) {
            Some(code) => text.extend(["\\", code]),
            None if c == BACKSLASH.0 && is_taken_for_one() => text.extend(["\\", BACKSLASH.1]),
            None => text.push(c),
        }
    }
    Some(text)
}

/// What was [`escaped`]. A space that was not, since it stands at an end, stays as it is.
fn unescaped(name: &str) -> Cow<'_, str> {
    if !name.contains(BACKSLASH.0) {
        return Cow::Borrowed(name);
    }
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let is_at_an_end = || text.is_empty() || after.len() == 2;
        match coded(after).filter(|_| c == BACKSLASH.0) {
            Some(plain) if plain != ' ' || !is_at_an_end() => {
                text.push(plain);
                rest = &after[2..];
            }
            _ => {
                text.push(c);
                rest = after;
            }
        }
    }
    Cow::Owned(text)
}

/// An address as it stands in a URI: its name as it is outside XMPP (RFC 7247, XEP-0106), and what may not stand there escaped,
/// octet by octet (RFC 3986; RFC 3261 §19.1.2). Other texts than addresses likewise.
pub fn in_uri(address: &str) -> String {
    let mut text = String::with_capacity(address.len());
    if let Some((name, domain)) = address.split_once('@') {
        escape(&mut text, &unescaped(name), b"-_.!~*'()&=+$,");
        text.push('@');
        escape(&mut text, domain, b"-_.!~*'()&=+$,@[]:");
    } else {
        escape(&mut text, address, b"-_.!~*'()&=+$,@[]:");
    }
    text
}

fn escape(text: &mut String, part: &str, allowed: &[u8]) {
    use std::fmt::Write as _;
    for octet in part.bytes() {
        if octet.is_ascii_alphanumeric() || allowed.contains(&octet) {
            text.push(char::from(octet));
        } else {
            // Writing to a String does not fail.
            let _ = write!(text, "%{octet:02X}");
        }
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

/// Password verifiers: `H(name:domain:password)` in hex, one for each digest algorithm (RFC 7616 §3.4.2), and keys for SCRAM. The
/// password itself is never kept.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
pub struct Secrets {
    /// With MD5 (RFC 3261 §22 clients know no other).
    pub md5: String,
    /// With SHA-256 (RFC 8760).
    pub sha256: String,
    /// For SCRAM, if they were made when the password was set.
    pub scram: Option<Box<Scram>>,
    /// Drawn at random each time that the user gets a password or is signed out, and never 0: what was made for their clients before is
    /// no good any more. 0: not since there are marks.
    pub mark: i64,
}

impl Secrets {
    /// What everything is made of that is made for a client of this user to sign in with: another one after another password, and
    /// after each time that they were signed out. Without a mark it is as it was before there were marks.
    pub fn stamp(&self) -> String {
        match self.mark {
            0 => self.sha256.clone(),
            mark => format!("{} {mark}", self.sha256),
        }
    }

    /// Whether it is the password of this address: compared in a time that says nothing of it.
    pub fn is_of(&self, address: &Address, password: &str) -> bool {
        let mut hash = Sha256::new();
        for part in [&*address.plain_name(), ":", address.domain(), ":", password] {
            hash.update(part);
        }
        let given = hash.finalize();
        let digits = given.iter().flat_map(|octet| [octet >> 4, octet & 15]);
        let kept = self
            .sha256
            .bytes()
            .map(|digit| char::from(digit).to_digit(16));
        let differs = digits.zip(kept.chain(std::iter::repeat(None)));
        let same = differs.fold(true, |same, (given, kept)| {
            same & (kept == Some(u32::from(given)))
        });
        same & (self.sha256.len() == 64)
    }
}

/// What SCRAM checks a password against (RFC 5802 §3).
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
pub struct Scram {
    /// How often the hash was applied.
    pub iterations: u32,
    /// For SCRAM-SHA-1.
    pub sha1: ScramKeys,
    /// For SCRAM-SHA-256.
    pub sha256: ScramKeys,
}

/// The keys of one hash: they do not tell the password. Each has a salt of its own, as made-up ones for users that do not
/// exist have.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
pub struct ScramKeys {
    /// What was hashed with the password.
    pub salt: Vec<u8>,
    /// By which the client shows that it knows the password.
    pub stored: Vec<u8>,
    /// By which we show that we know it.
    pub server: Vec<u8>,
}

impl Scram {
    /// Octets of the salt.
    pub const SALT: usize = 16;
    const SHA1: usize = 20;
    const SHA256: usize = 32;

    /// All of it, for the store.
    pub fn encode(&self) -> Vec<u8> {
        let keys = [&self.sha1, &self.sha256];
        let parts = keys.map(|keys| [&keys.salt, &keys.stored, &keys.server]);
        let iterations = self.iterations.to_be_bytes();
        let parts = parts.into_iter().flatten().flatten();
        iterations.iter().chain(parts).copied().collect()
    }

    /// What [`Scram::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (iterations, mut rest) = bytes.split_first_chunk()?;
        let mut take = |octets: usize| {
            let (part, left) = rest.split_at_checked(octets)?;
            rest = left;
            Some(part.to_vec())
        };
        let mut keys = |octets| {
            Some(ScramKeys {
                salt: take(Self::SALT)?,
                stored: take(octets)?,
                server: take(octets)?,
            })
        };
        let (sha1, sha256) = (keys(Self::SHA1)?, keys(Self::SHA256)?);
        rest.is_empty().then_some(Self {
            iterations: u32::from_be_bytes(*iterations),
            sha1,
            sha256,
        })
    }
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scram(…)")
    }
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
    fn an_address_stands_in_a_uri_with_what_may_not_stand_there_escaped() {
        for (address, text) in [
            ("bob@example.org", "bob@example.org"),
            ("+4930@[2001:db8::1]", "+4930@[2001:db8::1]"),
            ("jörg@example.org", "j%C3%B6rg@example.org"),
            ("a\"<b>#%;?/@h", "a%22%3Cb%3E%23%25%3B%3F%2F@h"),
            ("a\r\nb", "a%0D%0Ab"),
        ] {
            assert_eq!(in_uri(address), text);
        }
    }

    #[test]
    fn a_name_that_xmpp_does_not_have_is_escaped_there_and_is_itself_in_a_uri() {
        for (name, local, uri) in [
            ("d'artagnan", r"d\27artagnan", "d'artagnan"),
            ("a b", r"a\20b", "a%20b"),
            ("a@b:c", r"a\40b\3ac", "a%40b%3Ac"),
            ("\"&'/<>", r"\22\26\27\2f\3c\3e", "%22&'%2F%3C%3E"),
            // A backslash that could be taken for one of these, and others.
            (r"a\27b", r"a\5c27b", "a%5C27b"),
            (r"a\5c", r"a\5c5c", "a%5C5c"),
            (r"a\b\", r"a\b\", "a%5Cb%5C"),
            ("plain", "plain", "plain"),
        ] {
            let address = Address::of_name(name, "h").unwrap();
            assert_eq!(address.name(), local);
            assert_eq!(address.plain_name(), name);
            assert_eq!(in_uri(address.as_str()), format!("{uri}@h"));
        }
        assert!(Address::of_name(" a", "h").is_err() && Address::of_name("a ", "h").is_err());
        assert_eq!(
            Address::new(r"\20a\20", "h").unwrap().plain_name(),
            r"\20a\20"
        );
        let either = ["d'artagnan", r"d\27artagnan"].map(|it| Address::given(it, "h"));
        assert_eq!(either[0], either[1]);
        assert_eq!(Address::given("Alice", "h"), Address::new("alice", "h"));
    }

    #[test]
    fn a_password_is_told_from_others() {
        let alice = Address::new("alice", "localhost").unwrap();
        let hash = "1f02d9a93c7df2a86b440dc51fe4ae938f522a0a78523a52656f92ff7531cedd";
        let with = |sha256: &str| Secrets {
            md5: String::new(),
            sha256: sha256.to_owned(),
            scram: None,
            mark: 0,
        };
        assert!(with(hash).is_of(&alice, "wakeup"));
        for (kept, password) in [
            (hash, "wakeup "),
            (hash, ""),
            (&hash[..63], "wakeup"),
            ("", ""),
        ] {
            assert!(!with(kept).is_of(&alice, password), "{kept} {password:?}");
        }
        assert!(!with(&hash.replace('1', "0")).is_of(&alice, "wakeup"));
    }

    #[test]
    fn what_was_made_for_clients_before_there_were_marks_is_good_until_there_is_one() {
        let with = |mark| Secrets {
            md5: String::new(),
            sha256: "hash".to_owned(),
            scram: None,
            mark,
        };
        assert_eq!(with(0).stamp(), "hash");
        let stamps = [0, 1, -1].map(|mark| with(mark).stamp());
        assert!(stamps[0] != stamps[1] && stamps[1] != stamps[2] && stamps[0] != stamps[2]);
    }

    #[test]
    fn keys_come_back_as_they_were_and_nothing_else_is_taken_for_them() {
        let keys = |octets, first| ScramKeys {
            salt: vec![first + 2; Scram::SALT],
            stored: vec![first; octets],
            server: vec![first + 1; octets],
        };
        let scram = Scram {
            iterations: 4096,
            sha1: keys(Scram::SHA1, 2),
            sha256: keys(Scram::SHA256, 5),
        };
        let bytes = scram.encode();
        assert_eq!(Scram::decode(&bytes), Some(scram));
        assert_eq!(Scram::decode(&bytes[1..]), None);
        assert_eq!(Scram::decode(&[&bytes[..], b"x"].concat()), None);
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
