//! The certificate that every server of XMPP shows: one key type for all, and clients that trust it and nothing else.

use crate::load::DOMAIN;
use anyhow::Result;
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::{CryptoProvider, ring},
};
use std::{path::Path, sync::Arc};

/// The file with the certificate.
pub(crate) const CERTIFICATE: &str = "certificate.pem";
/// The file with its key.
pub(crate) const KEY: &str = "key.pem";
/// The file with both, for ejabberd.
pub(crate) const BOTH: &str = "both.pem";

/// Makes one (P-256, which vouches for itself), and says how clients connect to who shows it.
pub(crate) fn put_into(folder: &Path) -> Result<Arc<ClientConfig>> {
    let mut wanted = CertificateParams::new(vec![DOMAIN.to_owned()])?;
    // ejabberd does not take one that is good for ever.
    wanted.not_before = rcgen::date_time_ymd(2026, 1, 1);
    wanted.not_after = rcgen::date_time_ymd(2040, 1, 1);
    let key = KeyPair::generate()?;
    let own = wanted.self_signed(&key)?;
    let (certificate, key) = (own.pem(), key.serialize_pem());
    std::fs::write(folder.join(BOTH), format!("{certificate}{key}"))?;
    std::fs::write(folder.join(CERTIFICATE), certificate)?;
    std::fs::write(folder.join(KEY), key)?;
    let mut roots = RootCertStore::empty();
    roots.add(own.der().clone())?;
    // Servers differ in what they like best: so there is nothing to choose from.
    let provider = CryptoProvider {
        cipher_suites: vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![ring::kx_group::X25519],
        ..ring::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}
