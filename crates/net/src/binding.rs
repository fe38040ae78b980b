//! What binds a sign-in to the TLS connection that it is made in (RFC 5056): an exporter of the connection (RFC 9266), and
//! a hash of our certificate (RFC 5929).

use std::sync::Arc;

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use rustls::ServerConnection;
use rustls::pki_types::CertificateDer;

/// RFC 9266: what `tls-exporter` exports, with an empty context.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// RFC 5929: which hash `tls-server-end-point` takes for which algorithm that signed the certificate, by the contents of
/// its object identifier. MD5 and SHA-1 are replaced by SHA-256. For an algorithm that is not here, such as Ed25519, the
/// binding is not defined.
const HASHES: &[(&[u8], &Algorithm)] = &[
    // PKCS #1 (1.2.840.113549.1.1): MD5, SHA-1, SHA-256, SHA-384, SHA-512.
    (&[42, 134, 72, 134, 247, 13, 1, 1, 4], &SHA256),
    (&[42, 134, 72, 134, 247, 13, 1, 1, 5], &SHA256),
    (&[42, 134, 72, 134, 247, 13, 1, 1, 11], &SHA256),
    (&[42, 134, 72, 134, 247, 13, 1, 1, 12], &SHA384),
    (&[42, 134, 72, 134, 247, 13, 1, 1, 13], &SHA512),
    // ECDSA (1.2.840.10045.4): SHA-1, SHA-256, SHA-384, SHA-512.
    (&[42, 134, 72, 206, 61, 4, 1], &SHA256),
    (&[42, 134, 72, 206, 61, 4, 3, 2], &SHA256),
    (&[42, 134, 72, 206, 61, 4, 3, 3], &SHA384),
    (&[42, 134, 72, 206, 61, 4, 3, 4], &SHA512),
];

/// The tags of DER that are needed.
pub(crate) const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// The `tls-exporter` of a connection. Only TLS 1.3 has one that is unique in any case; before, it depends on an
/// extension of which we do not know whether the peer had it.
pub(crate) fn exporter(connection: &ServerConnection) -> Option<[u8; 32]> {
    if connection.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
        return None;
    }
    let exported = connection.export_keying_material([0; 32], EXPORTER_LABEL, Some(&[]));
    exported.ok()
}

/// The `tls-server-end-point` of a server with this certificate.
pub(crate) fn server_end_point(certificate: &CertificateDer<'_>) -> Option<Arc<[u8]>> {
    let algorithm = signature_algorithm(certificate)?;
    let (_, hash) = HASHES.iter().find(|(id, _)| *id == algorithm)?;
    Some(digest(hash, certificate).as_ref().into())
}

/// What stands second in a certificate (RFC 5280), and names itself first.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = value(SEQUENCE, certificate)?;
    let (_, behind_body) = value(SEQUENCE, certificate)?;
    let (algorithm, _) = value(SEQUENCE, behind_body)?;
    let (id, _) = value(OBJECT_IDENTIFIER, algorithm)?;
    Some(id)
}

/// One value of DER with this tag, and what follows it.
pub(crate) fn value(tag: u8, octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = octets.split_first()?;
    let (&short, mut rest) = rest.split_first()?;
    let mut length = usize::from(short);
    // From 128 on, it is how many octets the length has.
    if let Some(octets) = length.checked_sub(128) {
        let (long, behind) = rest.split_at_checked(octets).filter(|_| octets <= 4)?;
        length = long
            .iter()
            .fold(0, |length, octet| length << 8 | usize::from(*octet));
        rest = behind;
    }
    (first == tag).then_some(())?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed_by(algorithm: &'static rcgen::SignatureAlgorithm) -> CertificateDer<'static> {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn the_hash_of_a_certificate_is_that_of_its_signature() {
        for (algorithm, hash) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, &SHA256),
            (&rcgen::PKCS_ECDSA_P384_SHA384, &SHA384),
        ] {
            let certificate = signed_by(algorithm);
            let expected = digest(hash, &certificate);
            let found = server_end_point(&certificate).unwrap();
            assert_eq!(&found[..], expected.as_ref());
        }
    }

    #[test]
    fn what_has_no_hash_of_its_own_has_no_binding() {
        assert!(server_end_point(&signed_by(&rcgen::PKCS_ED25519)).is_none());
    }

    #[test]
    fn what_is_no_certificate_is_no_danger() {
        let whole = signed_by(&rcgen::PKCS_ECDSA_P256_SHA256);
        for length in 0..whole.len() {
            assert!(server_end_point(&CertificateDer::from(&whole[..length])).is_none());
        }
        let huge = [0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0];
        assert!(server_end_point(&CertificateDer::from(&huge[..])).is_none());
    }
}
