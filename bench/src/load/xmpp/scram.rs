//! A client's part in SCRAM-SHA-1 (RFC 5802), the one mechanism that all servers have as they come.

use crate::load::PASSWORD;
use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{digest, hmac, pbkdf2};
use std::{collections::HashMap, num::NonZeroU32};

/// Octets of SHA-1.
const LENGTH: usize = 20;

/// Keys of the one password, by salt and count of iterations: a phone keeps its own.
#[derive(Debug, Default)]
pub(crate) struct Keys(HashMap<(Vec<u8>, u32), [u8; LENGTH]>);

/// What the client says first, in base64.
pub(crate) fn first(user: u32) -> String {
    BASE64_STANDARD.encode(format!("n,,{}", bare(user)))
}

fn bare(user: u32) -> String {
    format!("n=u{user},r=bench{user}")
}

/// The answer to the server's challenge, both in base64.
pub(crate) fn answer(user: u32, challenge: &[u8], keys: &mut Keys) -> Result<String> {
    let challenge = String::from_utf8(BASE64_STANDARD.decode(challenge)?)?;
    let field = |name| challenge.split(',').find_map(|it| it.strip_prefix(name));
    let nonce = field("r=").context("no nonce")?;
    let salt = BASE64_STANDARD.decode(field("s=").context("no salt")?)?;
    let iterations = field("i=").context("no iterations")?.parse()?;
    let salted = keys.salted(salt, iterations)?;
    let client = mac(&salted, b"Client Key");
    let stored = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, client.as_ref());
    let last = format!("c=biws,r={nonce}");
    let signed = format!("{},{challenge},{last}", bare(user));
    let signature = mac(stored.as_ref(), signed.as_bytes());
    let proof: Vec<_> = client
        .as_ref()
        .iter()
        .zip(signature.as_ref())
        .map(|(key, signature)| key ^ signature)
        .collect();
    let proof = BASE64_STANDARD.encode(proof);
    Ok(BASE64_STANDARD.encode(format!("{last},p={proof}")))
}

impl Keys {
    fn salted(&mut self, salt: Vec<u8>, iterations: u32) -> Result<[u8; LENGTH]> {
        let count = NonZeroU32::new(iterations).context("no iterations")?;
        let key = self.0.entry((salt, iterations));
        Ok(*key.or_insert_with_key(|(salt, _)| {
            let mut salted = [0; LENGTH];
            let password = PASSWORD.as_bytes();
            pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, count, salt, password, &mut salted);
            salted
        }))
    }
}

fn mac(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key),
        text,
    )
}
