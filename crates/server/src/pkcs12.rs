//! The app's certificate with its key, as Apple's Keychain exports it (`.p12`, PKCS #12) or as PEM. What comes out is PEM, and nothing behind it
//! knows of the other form.

use crate::named_files;
use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use p12_keystore::Pkcs12Archive;
use std::path::Path;

/// With what PEM begins, after what tools write before it.
const PEM: &[u8] = b"-----BEGIN ";
/// Letters in a line of PEM.
const LINE: usize = 64;

/// Reads either. `password_file` has the password of a `.p12` in its first line; empty: it has none.
pub(crate) fn certificate(file: &Path, password_file: &Path) -> Result<String> {
    let octets = named_files::octets(file, "certificate_file")?;
    if octets.windows(PEM.len()).any(|it| it == PEM) {
        let text = String::from_utf8(octets);
        return text.with_context(|| format!("certificate_file: {} is no text", file.display()));
    }
    let password = if password_file.as_os_str().is_empty() {
        String::new()
    } else {
        let octets = named_files::octets(password_file, "certificate_password_file")?;
        String::from_utf8(octets).context("certificate_password_file: this is no text")?
    };
    let password = password.lines().next().unwrap_or_default();
    opened(&octets, password).with_context(|| format!("certificate_file: {}", file.display()))
}

/// What is in a `.p12`, as PEM.
fn opened(octets: &[u8], password: &str) -> Result<String> {
    let archive = Pkcs12Archive::from_pkcs12(octets, password).context(
        "this is neither PEM nor a .p12 that this password opens: name its password in certificate_password_file",
    )?;
    ensure!(
        archive.keys.len() == 1 && !archive.certs.is_empty(),
        "it has {} keys and {} certificates: export the app's certificate with its key, and nothing else",
        archive.keys.len(),
        archive.certs.len()
    );
    // The key's own certificate stands first, whatever the file's order.
    let (key, mut certificates) = (&archive.keys[0], archive.certs);
    let id = key.local_key_id.as_ref().map(AsRef::as_ref);
    certificates.sort_by_key(|it| id.is_none() || it.local_key_id.as_deref() != id);
    let certificates = certificates
        .iter()
        .map(|it| pem("CERTIFICATE", it.cert.as_der()));
    let key = pem("PRIVATE KEY", key.key.as_der());
    Ok(certificates.collect::<String>() + &key)
}

/// DER in the letters of PEM.
fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let letters: Vec<_> = STANDARD.encode(der).chars().collect();
    for line in letters.chunks(LINE) {
        text.extend(line);
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `openssl pkcs12 -export`, the first also with `-legacy`, as Keychain writes it (RC2 and triple DES).
    const FILES: [(&str, &[u8]); 3] = [
        (
            "as Apple has it",
            include_bytes!("../testdata/TEST_ONLY_as_apple_has_it.p12"),
        ),
        ("DES", include_bytes!("../testdata/TEST_ONLY_des.p12")),
        ("modern", include_bytes!("../testdata/TEST_ONLY_modern.p12")),
    ];
    const CERTIFICATE: &str = include_str!("../testdata/TEST_ONLY_certificate.pem");

    #[test]
    fn a_p12_is_the_pem_that_it_was_made_of() {
        for (name, octets) in FILES {
            let pem = opened(octets, "wakeup").unwrap_or_else(|error| panic!("{name}: {error:#}"));
            assert!(pem.starts_with(CERTIFICATE), "{name}: {pem}");
            // The push client reads both.
            let app = push::App {
                profile: domain::AppProfile {
                    app: "com.example.phone".into(),
                    platform: domain::Platform::Ios,
                    provider: domain::Provider::Apns,
                    generation: domain::Generation::DualChannel,
                },
                credentials: push::Credentials::ApnsCertificate {
                    team_id: "TEAM123456".to_owned(),
                    certificate_pem: pem.clone(),
                    key_pem: pem,
                },
                environment: push::Environment::Production,
                endpoint: None,
            };
            let roots = rustls::RootCertStore::empty();
            let metrics = std::sync::Arc::new(crate::metrics::Metrics::default());
            push::Pusher::new(vec![app], roots, push::Limits::default(), metrics).unwrap();
        }
    }

    #[test]
    fn another_password_and_another_file_are_told_apart_from_pem() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, octets: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, octets).unwrap();
            path
        };
        let p12 = put("a.p12", FILES[0].1);
        let good = put("good", b"wakeup\n");
        assert!(certificate(&p12, &good).unwrap().contains("PRIVATE KEY"));
        for password in [put("bad", b"guess"), Path::new("").to_owned()] {
            let error = format!("{:#}", certificate(&p12, &password).unwrap_err());
            assert!(error.contains("certificate_password_file"), "{error}");
        }
        let nonsense = put("nonsense", &[0x30; 40]);
        certificate(&nonsense, &good).unwrap_err();
        let pem = put("a.pem", CERTIFICATE.as_bytes());
        assert_eq!(certificate(&pem, Path::new("")).unwrap(), CERTIFICATE);
    }
}
