//! Certificates as this crate takes them: a server's that can be swapped at run time, and a client's roots.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::binding::server_end_point;

/// A server's certificate and key. Clones share it: a [`TlsSource::swap`] counts for every handshake that begins later,
/// open connections keep theirs.
#[derive(Clone)]
pub struct TlsSource(Arc<RwLock<Arc<Shown>>>);

/// What a handshake shows.
pub(crate) struct Shown {
    pub(crate) config: Arc<ServerConfig>,
    /// The same for a port where TLS is not asked for, but begins at once (XEP-0368).
    pub(crate) direct_xmpp: Arc<ServerConfig>,
    /// The same for a port that speaks HTTP, as a WebSocket does when it begins.
    pub(crate) http: Arc<ServerConfig>,
    /// What a client that knows the certificate can bind its sign-in to.
    pub(crate) server_end_point: Option<Arc<[u8]>>,
}

/// XEP-0368: the protocol of such a port.
const ALPN_XMPP_CLIENT: &[u8] = b"xmpp-client";

/// The HTTP that we speak, as TLS names it.
const ALPN_HTTP: &[u8] = b"http/1.1";

impl Shown {
    fn new(config: ServerConfig, certificate: Option<&CertificateDer<'_>>) -> Arc<Self> {
        let mut direct_xmpp = config.clone();
        direct_xmpp.alpn_protocols = vec![ALPN_XMPP_CLIENT.to_vec()];
        let mut http = config.clone();
        http.alpn_protocols = vec![ALPN_HTTP.to_vec()];
        Arc::new(Self {
            http: Arc::new(http),
            config: Arc::new(config),
            direct_xmpp: Arc::new(direct_xmpp),
            server_end_point: certificate.and_then(server_end_point),
        })
    }

    fn from_pem(chain: &[u8], key: &[u8]) -> Result<Arc<Self>, TlsError> {
        let chain = certificates(chain)?;
        let certificate = chain.first().cloned();
        Ok(Self::new(server_config(chain, key)?, certificate.as_ref()))
    }
}

impl TlsSource {
    /// A source that shows what `config` says. It offers no channel binding by the certificate, which is not known here.
    pub fn new(config: ServerConfig) -> Self {
        Self(Arc::new(RwLock::new(Shown::new(config, None))))
    }

    /// A source from a certificate chain (the server's own first) and its private key, both PEM.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(RwLock::new(Shown::from_pem(chain, key)?))))
    }

    /// Uses another certificate from now on.
    pub fn swap_pem(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        self.show(Shown::from_pem(chain, key)?);
        Ok(())
    }

    /// Uses another configuration from now on.
    pub fn swap(&self, config: ServerConfig) {
        self.show(Shown::new(config, None));
    }

    /// What a handshake that begins now shows.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.shown().config.clone()
    }

    /// The same, with what belongs to it.
    pub(crate) fn shown(&self) -> Arc<Shown> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        shown.clone()
    }

    fn show(&self, shown: Arc<Shown>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = shown;
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

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: &[u8],
) -> Result<ServerConfig, TlsError> {
    let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Key)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    // A woken phone comes back without a full handshake. What is needed for that is in its ticket, so it costs us
    // nothing until then, however many there are; the keys that seal tickets are made anew every six hours and serve twelve.
    // Early data is not taken: it can be sent twice (XEP-0388 §3).
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    // One for each connection that will follow this one: nobody here opens several at once.
    config.send_tls13_tickets = 1;
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
    /// It does not say until when it is good.
    #[error("the certificate cannot be read: it does not say until when it is good")]
    NoValidity,
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
