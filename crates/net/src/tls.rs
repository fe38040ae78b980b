//! Certificates as this crate takes them: a server's that can be swapped at run time, and a client's roots.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A server's certificate and key. Clones share it: a [`TlsSource::swap`] counts for every handshake that begins later,
/// open connections keep theirs.
#[derive(Clone)]
pub struct TlsSource(Arc<RwLock<Arc<ServerConfig>>>);

impl TlsSource {
    /// A source that shows what `config` says.
    pub fn new(config: ServerConfig) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(config))))
    }

    /// A source from a certificate chain (the server's own first) and its private key, both PEM.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self::new(server_config(chain, key)?))
    }

    /// Uses another certificate from now on.
    pub fn swap_pem(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        self.swap(server_config(chain, key)?);
        Ok(())
    }

    /// Uses another configuration from now on.
    pub fn swap(&self, config: ServerConfig) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// What a handshake that begins now shows.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A client configuration that trusts the certificates in `roots` (PEM) and nothing else.
pub fn client_config(roots: &[u8]) -> Result<Arc<ClientConfig>, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(roots)? {
        store.add(certificate)?;
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn server_config(chain: &[u8], key: &[u8]) -> Result<ServerConfig, TlsError> {
    let chain = certificates(chain)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Key)?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(config)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(TlsError::Certificate)?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    Ok(certificates)
}

/// Named, so that it does not matter whether anybody installed a process default.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The PEM text holds no certificate.
    #[error("no certificate in it: expected a PEM block `BEGIN CERTIFICATE`")]
    NoCertificate,
    /// A certificate block is damaged.
    #[error("the certificate cannot be read: {0}")]
    Certificate(rustls::pki_types::pem::Error),
    /// The private key is missing or damaged.
    #[error("the private key cannot be read: {0}; expected a PEM block `BEGIN PRIVATE KEY`")]
    Key(rustls::pki_types::pem::Error),
    /// Certificate and key do not fit together, or are of a kind that TLS here does not use.
    #[error("the certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}
