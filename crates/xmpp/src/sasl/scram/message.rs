//! The messages of SCRAM taken apart (RFC 5802 §7): attributes of one letter in their order, extensions behind them.

use super::{MAX_NONCE, decode};
use crate::sasl::{Refusal, gs2, prep};

/// `client-first-message-bare`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct First<'a> {
    /// Unescaped and prepared.
    pub(super) user: String,
    pub(super) nonce: &'a str,
}

impl<'a> First<'a> {
    pub(super) fn read(bare: &'a str) -> Result<Self, Refusal> {
        if bare.starts_with("m=") {
            return Err(Refusal::Extension);
        }
        let mut rest = Some(bare);
        let name = take(&mut rest, 'n')?;
        let nonce = take(&mut rest, 'r')?;
        extensions(rest)?;
        let name = gs2::unescape(name).ok_or(Refusal::Malformed)?;
        let user = prep::prepare(&name)?.into_owned();
        is_nonce(nonce)
            .then_some(Self { user, nonce })
            .ok_or(Refusal::Malformed)
    }
}

/// `server-first-message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenge<'a> {
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
    /// The hash of what was offered (XEP-0474 §6.1).
    pub(super) offered: Option<&'a str>,
}

impl<'a> Challenge<'a> {
    pub(super) fn read(message: &'a str) -> Result<Self, Refusal> {
        if message.starts_with("m=") {
            return Err(Refusal::Extension);
        }
        let mut rest = Some(message);
        let nonce = take(&mut rest, 'r')?;
        let salt = take(&mut rest, 's')?;
        let iterations = take(&mut rest, 'i')?;
        let found = extensions(rest)?;
        let salt = decode(salt).filter(|salt| !salt.is_empty());
        let plain = !iterations.starts_with('0') && iterations.bytes().all(|c| c.is_ascii_digit());
        let iterations = iterations.parse().ok().filter(|_| plain);
        Ok(Self {
            nonce: Some(nonce)
                .filter(|nonce| is_nonce(nonce))
                .ok_or(Refusal::Malformed)?,
            salt: salt.ok_or(Refusal::Malformed)?,
            iterations: iterations.ok_or(Refusal::Malformed)?,
            offered: found,
        })
    }
}

/// `client-final-message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Final<'a> {
    /// Header and data of the channel binding.
    pub(super) binding: Vec<u8>,
    pub(super) nonce: &'a str,
    pub(super) proof: Vec<u8>,
    /// All before the proof, as it is signed.
    pub(super) without_proof: &'a str,
}

impl<'a> Final<'a> {
    pub(super) fn read(message: &'a str) -> Result<Self, Refusal> {
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(Refusal::Malformed)?;
        let mut rest = Some(without_proof);
        let binding = take(&mut rest, 'c')?;
        let nonce = take(&mut rest, 'r')?;
        extensions(rest)?;
        Ok(Self {
            binding: decode(binding).ok_or(Refusal::Malformed)?,
            nonce,
            proof: decode(proof).ok_or(Refusal::Malformed)?,
            without_proof,
        })
    }
}

/// The value of the next attribute, which must be of this letter.
fn take<'a>(rest: &mut Option<&'a str>, letter: char) -> Result<&'a str, Refusal> {
    let (attribute, behind) = split(rest.ok_or(Refusal::Malformed)?);
    *rest = behind;
    let value = attribute.strip_prefix(letter);
    let value = value.and_then(|value| value.strip_prefix('='));
    value.ok_or(Refusal::Malformed)
}

/// Checks what stands behind the attributes that must be there. Extensions that we do not know are passed over (RFC 5802
/// §5.1); the one that we know is returned.
fn extensions(mut rest: Option<&str>) -> Result<Option<&str>, Refusal> {
    let mut offered = None;
    while let Some(attributes) = rest {
        let (attribute, behind) = split(attributes);
        rest = behind;
        match attribute.as_bytes() {
            [b'm', b'=', ..] => return Err(Refusal::Extension),
            [b'h', b'=', ..] if offered.is_none() => offered = Some(&attribute[2..]),
            [letter, b'=', _, ..] if letter.is_ascii_alphabetic() => {}
            _ => return Err(Refusal::Malformed),
        }
    }
    Ok(offered)
}

fn split(attributes: &str) -> (&str, Option<&str>) {
    match attributes.split_once(',') {
        Some((first, rest)) => (first, Some(rest)),
        None => (attributes, None),
    }
}

/// Printable, without a comma (RFC 5802 §7), and not too long.
fn is_nonce(nonce: &str) -> bool {
    let sound = |octet: u8| octet.is_ascii_graphic() && octet != b',';
    (1..=MAX_NONCE).contains(&nonce.len()) && nonce.bytes().all(sound)
}
