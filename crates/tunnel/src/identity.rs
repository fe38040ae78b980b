//! Who one is: a key of one's own, known to the other side by its fingerprint. Nobody vouches for it.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;

/// What certificates of tunnels are made out to. Nobody looks it up: the key counts.
pub(crate) const NAME: &str = "tunnel.reveille.invalid";

/// A key, and the certificate that TLS wants for it.
#[derive(Debug)]
pub struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
    fingerprint: Fingerprint,
}

/// The SHA-256 of a public key, as it stands in a certificate (RFC 7469). Written as base64 (RFC 4648).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

/// Why an identity cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The system has no randomness, or the PEM holds no key that can be used.
    #[error("no usable key: {0}")]
    Key(#[from] rcgen::Error),
    /// There is no private key in the PEM.
    #[error("no private key in PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// The certificate made for the key cannot be read.
    #[error("the certificate for it cannot be read: {0}")]
    Certificate(#[from] rustls::Error),
}

/// What was written is no fingerprint.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is no fingerprint: it has 43 letters, digits, - and _, as `reveille edge pair` prints it"
)]
pub struct NoFingerprint(String);

impl Identity {
    /// A new key, as PEM (PKCS #8) to be kept: whoever reads it can be us.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate() -> Result<String, IdentityError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
        Ok(key.serialize_pem())
    }

    /// The identity of a key in PEM.
    ///
    /// # Errors
    /// It is no private key that can be used.
    pub fn from_pem(pem: &str) -> Result<Self, IdentityError> {
        let key = KeyPair::from_pem(pem)?;
        let certificate = CertificateParams::new([NAME.to_owned()])?.self_signed(&key)?;
        let certificate = certificate.der().clone();
        Ok(Self {
            fingerprint: Fingerprint::of(&certificate)?,
            key: PrivateKeyDer::from_pem_slice(pem.as_bytes())?,
            certificate,
        })
    }

    /// By what the other side knows it.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl Fingerprint {
    /// Of the key that a certificate shows.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Result<Self, rustls::Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let key = parsed.subject_public_key_info();
        let digest = ring::digest::digest(&ring::digest::SHA256, &key);
        let mut octets = [0; 32];
        octets.copy_from_slice(digest.as_ref());
        Ok(Self(octets))
    }

    pub(crate) fn octets(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let octets = URL_SAFE_NO_PAD.decode(text).ok();
        octets
            .and_then(|octets| octets.try_into().ok())
            .map(Self)
            .ok_or_else(|| NoFingerprint(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_whenever_it_is_read_and_no_two_are_alike() {
        let pem = Identity::generate().unwrap();
        let (one, again) = (Identity::from_pem(&pem), Identity::from_pem(&pem));
        let one = one.unwrap().fingerprint();
        assert_eq!(one, again.unwrap().fingerprint());
        assert_eq!(one.to_string().parse(), Ok(one));
        let other = Identity::from_pem(&Identity::generate().unwrap()).unwrap();
        assert_ne!(one, other.fingerprint());
    }

    #[test]
    fn nonsense_is_no_key_and_no_fingerprint() {
        assert!(Identity::from_pem("nonsense").is_err());
        for text in ["", "AAAA", "not base64!", &"A".repeat(44)] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }
}
