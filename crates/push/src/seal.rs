//! Sealing for one device: RFC 8291 over RFC 8188 `aes128gcm`, a single record. What the clouds carry is padded to
//! whole blocks, so that its size says little of what is inside. [`unseal`] is the device's side; the simulated phone
//! uses it. Pure but for [`Entropy::random`] and [`KeyPair::generate`], which draw randomness at the rim.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::device::SealingKey;
use p256::{PublicKey, SecretKey, ecdh::diffie_hellman, elliptic_curve::sec1::ToSec1Point};
use ring::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use std::fmt;
use thiserror::Error;

/// Longest plaintext that is sealed. With it a push still fits every platform's limit (base64url included).
pub const MAX_PLAINTEXT: usize = 2048 - 1;
/// Longest body of a Web Push message that is sealed as a whole. With it the message has no more than 4096 bytes, which
/// every push service takes (RFC 8030 §7.2).
pub const MAX_MESSAGE: usize = 7 * BLOCK - 1;
/// Plaintexts are padded to a multiple of this.
pub const BLOCK: usize = 512;

/// Record size in the header: the one record is smaller than that (RFC 8291 §4).
const RECORD_SIZE: u32 = 4096;
const SALT: usize = 16;
const PUBLIC: usize = 65;
/// Salt, record size, length of the key id, key id (RFC 8188 §2.1).
const HEADER: usize = SALT + 4 + 1 + PUBLIC;
/// Ends the plaintext of the last record; zeros may follow (RFC 8188 §2).
const LAST_RECORD: u8 = 2;

/// Why something cannot be sealed or opened.
#[derive(Copy, Clone, Debug, Eq, Error, PartialEq)]
pub enum SealError {
    /// The device's key is no uncompressed P-256 point, or its secret has not 16 bytes.
    #[error("the device's sealing key is not a P-256 point and a 16-byte secret in base64url")]
    Key,
    /// More than [`MAX_PLAINTEXT`].
    #[error("more than {MAX_PLAINTEXT} bytes to seal")]
    TooLong,
    /// The ephemeral key is zero or beyond the curve's order: draw again. One draw in 2³² is.
    #[error("the ephemeral key is out of range")]
    Entropy,
    /// Not sealed for this device, or changed on the way.
    #[error("cannot be opened: not sealed for this device, or changed on the way")]
    Broken,
}

/// The randomness that one sealing uses up. Never use it twice.
#[derive(Clone)]
pub struct Entropy {
    /// Becomes the sender's private key.
    pub ephemeral: [u8; 32],
    /// The record's salt.
    pub salt: [u8; SALT],
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy")
    }
}

impl Entropy {
    /// Draws from the system.
    ///
    /// # Panics
    /// If the system has no randomness to give, which nothing can go on without.
    pub fn random() -> Self {
        Self {
            ephemeral: random_scalar(),
            salt: random(),
        }
    }
}

/// A device's own key pair, of which the server gets [`KeyPair::public`].
#[derive(Clone)]
pub struct KeyPair {
    secret: SecretKey,
    auth: [u8; 16],
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair")
            .field("public", &self.public())
            .finish_non_exhaustive()
    }
}

impl KeyPair {
    /// Draws a new one from the system.
    ///
    /// # Panics
    /// If the system has no randomness to give, which nothing can go on without.
    pub fn generate() -> Self {
        Self::from_bytes(random_scalar(), random()).expect("the scalar was drawn in range")
    }

    /// From a private key and an authentication secret.
    pub fn from_bytes(secret: [u8; 32], auth: [u8; 16]) -> Result<Self, SealError> {
        let secret = SecretKey::from_slice(&secret).map_err(|_| SealError::Entropy)?;
        Ok(Self { secret, auth })
    }

    /// What the server needs in order to seal (RFC 8291 §3.1).
    pub fn public(&self) -> SealingKey {
        SealingKey {
            p256dh: URL_SAFE_NO_PAD.encode(encode(&self.secret.public_key())),
            auth: URL_SAFE_NO_PAD.encode(self.auth),
        }
    }
}

/// Checks a key that a device hands over, so that a bad one is refused then and not at the first push.
pub fn check_key(key: &SealingKey) -> Result<(), SealError> {
    decode_key(key).map(|_| ())
}

/// Seals `plaintext` for the device that `key` belongs to.
pub fn seal(key: &SealingKey, plaintext: &[u8], entropy: &Entropy) -> Result<Vec<u8>, SealError> {
    if plaintext.len() > MAX_PLAINTEXT {
        return Err(SealError::TooLong);
    }
    seal_padded(key, plaintext, entropy, BLOCK)
}

/// Seals the whole body of a Web Push message (RFC 8291 §2): larger than what goes into another push as a part of it.
pub fn seal_message(
    key: &SealingKey,
    plaintext: &[u8],
    entropy: &Entropy,
) -> Result<Vec<u8>, SealError> {
    if plaintext.len() > MAX_MESSAGE {
        return Err(SealError::TooLong);
    }
    seal_padded(key, plaintext, entropy, BLOCK)
}

/// `block` is what the record's plaintext, delimiter included, is padded to a multiple of.
fn seal_padded(
    key: &SealingKey,
    plaintext: &[u8],
    entropy: &Entropy,
    block: usize,
) -> Result<Vec<u8>, SealError> {
    let (device, auth) = decode_key(key)?;
    let sender = SecretKey::from_slice(&entropy.ephemeral).map_err(|_| SealError::Entropy)?;
    let sender_public = encode(&sender.public_key());
    let record = Record::new(
        &sender,
        &device,
        &encode(&device),
        &sender_public,
        &auth,
        &entropy.salt,
    );

    let padded = (plaintext.len() + 1).next_multiple_of(block);
    let mut body = Vec::with_capacity(padded + AES_128_GCM.tag_len());
    body.extend_from_slice(plaintext);
    body.push(LAST_RECORD);
    body.resize(padded, 0);
    record
        .key
        .seal_in_place_append_tag(record.nonce, Aad::empty(), &mut body)
        .map_err(|_| SealError::TooLong)?;

    let mut sealed = Vec::with_capacity(HEADER + body.len());
    sealed.extend_from_slice(&entropy.salt);
    sealed.extend_from_slice(&RECORD_SIZE.to_be_bytes());
    sealed.push(65);
    sealed.extend_from_slice(&sender_public);
    sealed.extend_from_slice(&body);
    Ok(sealed)
}

/// Opens what was sealed for the device with this pair.
pub fn unseal(pair: &KeyPair, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let (header, body) = sealed.split_at_checked(HEADER).ok_or(SealError::Broken)?;
    let (salt, rest) = header.split_at(SALT);
    let sender_public = &rest[5..];
    let salt = salt.try_into().map_err(|_| SealError::Broken)?;
    let sender = PublicKey::from_sec1_bytes(sender_public).map_err(|_| SealError::Broken)?;
    let own_public = encode(&pair.secret.public_key());
    let record = Record::new(
        &pair.secret,
        &sender,
        &own_public,
        sender_public,
        &pair.auth,
        salt,
    );

    let mut body = body.to_vec();
    let plain = record
        .key
        .open_in_place(record.nonce, Aad::empty(), &mut body)
        .map_err(|_| SealError::Broken)?;
    let end = plain
        .iter()
        .rposition(|byte| *byte != 0)
        .ok_or(SealError::Broken)?;
    if plain[end] != LAST_RECORD {
        return Err(SealError::Broken);
    }
    Ok(plain[..end].to_vec())
}

/// Key and nonce of the only record.
struct Record {
    key: LessSafeKey,
    nonce: Nonce,
}

impl Record {
    /// RFC 8291 §3.4: `own` and `peer` are either side's keys, the result is the same.
    fn new(
        own: &SecretKey,
        peer: &PublicKey,
        device: &[u8],
        sender: &[u8],
        auth: &[u8; 16],
        salt: &[u8; SALT],
    ) -> Self {
        let shared = diffie_hellman(own.to_nonzero_scalar(), peer.as_affine());
        let keying = hkdf(
            auth,
            shared.raw_secret_bytes(),
            &[b"WebPush: info\0", device, sender],
        );
        let key = hkdf(salt, &keying, &[b"Content-Encoding: aes128gcm\0"]);
        let nonce = hkdf(salt, &keying, &[b"Content-Encoding: nonce\0"]);
        let mut short = [0; 12];
        short.copy_from_slice(&nonce[..12]);
        let key = UnboundKey::new(&AES_128_GCM, &key[..16]).expect("AES-128 takes any 16 bytes");
        Self {
            key: LessSafeKey::new(key),
            nonce: Nonce::assume_unique_for_key(short),
        }
    }
}

/// HKDF-SHA-256 (RFC 5869) for at most one block of output, which is all that is needed here.
fn hkdf(salt: &[u8], secret: &[u8], info: &[&[u8]]) -> [u8; 32] {
    let extracted = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), secret);
    let mut expand =
        hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, extracted.as_ref()));
    for part in info {
        expand.update(part);
    }
    expand.update(&[1]);
    let mut out = [0; 32];
    out.copy_from_slice(expand.sign().as_ref());
    out
}

fn decode_key(key: &SealingKey) -> Result<(PublicKey, [u8; 16]), SealError> {
    // Clients differ in whether they pad.
    let decode = |text: &str| {
        URL_SAFE_NO_PAD
            .decode(text.trim_end_matches('='))
            .map_err(|_| SealError::Key)
    };
    let point = decode(&key.p256dh)?;
    if point.len() != PUBLIC {
        return Err(SealError::Key);
    }
    let point = PublicKey::from_sec1_bytes(&point).map_err(|_| SealError::Key)?;
    let auth = decode(&key.auth)?.try_into().map_err(|_| SealError::Key)?;
    Ok((point, auth))
}

/// Uncompressed (RFC 8291 §3.1).
fn encode(key: &PublicKey) -> [u8; PUBLIC] {
    let mut out = [0; PUBLIC];
    out.copy_from_slice(key.to_sec1_point(false).as_bytes());
    out
}

fn random<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    SystemRandom::new()
        .fill(&mut out)
        .expect("the system gives randomness");
    out
}

fn random_scalar() -> [u8; 32] {
    loop {
        let candidate = random();
        if SecretKey::from_slice(&candidate).is_ok() {
            return candidate;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
    }

    /// RFC 8291 appendix A.
    fn example() -> (KeyPair, Entropy) {
        let pair = KeyPair::from_bytes(
            bytes("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"),
            bytes("BTBZMqHH6r4Tts7J_aSIgg"),
        );
        let entropy = Entropy {
            ephemeral: bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
            salt: bytes("DGv6ra1nlYgDCS1FRnbzlw"),
        };
        (pair.unwrap(), entropy)
    }

    const SEALED: [&str; 2] = [
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8",
        "8pfeW0KbunFT06SuDKoJH9Ql87S1QUrdirN6GcG7sFz1y1sqLgVi1VhjVkHsUoEsbI_0LpXMuGvnzQ",
    ];
    const PLAIN: &[u8] = b"When I grow up, I want to be a watermelon";

    #[test]
    fn the_example_of_rfc_8291_seals_to_its_bytes_and_opens_again() {
        let (pair, entropy) = example();
        assert_eq!(
            pair.public().p256dh,
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
        );
        let sealed = seal_padded(&pair.public(), PLAIN, &entropy, 1).unwrap();
        let (header, body) = sealed.split_at(HEADER);
        assert_eq!(
            [header, body].map(|part| URL_SAFE_NO_PAD.encode(part)),
            SEALED
        );
        assert_eq!(unseal(&pair, &sealed).unwrap(), PLAIN);
    }

    #[test]
    fn size_tells_little_of_what_is_inside() {
        let key = KeyPair::generate().public();
        let size = |plain: &[u8]| seal(&key, plain, &Entropy::random()).unwrap().len();
        assert_eq!(size(b""), size(&[7; 511]));
        assert_eq!(size(&[7; 512]), size(&[7; 1023]));
        assert_eq!(size(&[7; MAX_PLAINTEXT]), HEADER + 2048 + 16);
    }

    #[test]
    fn every_length_opens_to_what_was_sealed() {
        let pair = KeyPair::generate();
        for length in [0, 1, 510, 511, 512, 513, 2000, MAX_PLAINTEXT] {
            // Ends in zeros, as the padding does.
            let plain = vec![0; length];
            let sealed = seal(&pair.public(), &plain, &Entropy::random()).unwrap();
            assert_eq!(unseal(&pair, &sealed).unwrap(), plain);
        }
        assert_eq!(
            seal(&pair.public(), &[0; MAX_PLAINTEXT + 1], &Entropy::random()),
            Err(SealError::TooLong)
        );
    }

    #[test]
    fn only_the_device_opens_it_and_only_unchanged() {
        let (pair, entropy) = example();
        let sealed = seal(&pair.public(), PLAIN, &entropy).unwrap();
        assert_eq!(
            unseal(&KeyPair::generate(), &sealed),
            Err(SealError::Broken)
        );
        for index in [0, 30, HEADER, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(
                unseal(&pair, &changed),
                Err(SealError::Broken),
                "byte {index}"
            );
        }
        for length in [0, 10, HEADER, HEADER + 3] {
            assert_eq!(
                unseal(&pair, &sealed[..length]),
                Err(SealError::Broken),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn a_bad_key_is_refused_when_it_is_handed_over() {
        let good = KeyPair::generate().public();
        assert_eq!(check_key(&good), Ok(()));
        let padded = SealingKey {
            p256dh: format!("{}=", good.p256dh),
            auth: format!("{}==", good.auth),
        };
        assert_eq!(check_key(&padded), Ok(()));
        let off_curve = URL_SAFE_NO_PAD.encode([4; 65]);
        for (p256dh, auth) in [
            ("", good.auth.as_str()),
            (&off_curve, &good.auth),
            (&good.p256dh, "AAAA"),
            ("!", "!"),
        ] {
            let key = SealingKey {
                p256dh: p256dh.to_owned(),
                auth: auth.to_owned(),
            };
            assert_eq!(check_key(&key), Err(SealError::Key));
        }
    }
}
