//! The development CA: issues certificates for loopback, so that TLS is real in `--dev`, in the lab and in tests. It
//! is no CA for anything else.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_hours(24);

/// Every certificate is good for these, whatever other names it has.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Why the CA could not be made or did not issue.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A name is no DNS name or address, or a PEM is not what this CA wrote.
    #[error("development CA: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The certificate does not make a TLS server.
    #[error("development CA: {0}")]
    Tls(#[from] rustls::Error),
}

/// A development CA. Cheap to clone; all clones are the same CA.
#[derive(Clone)]
pub struct Ca {
    authority: Arc<Authority>,
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
}

/// A server's certificate with its key.
pub struct ServerCertificate {
    /// The certificate and the CA's, leaf first, PEM.
    pub chain_pem: String,
    /// Its private key, PKCS#8 PEM.
    pub key_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl ServerCertificate {
    /// The certificate alone, DER.
    pub(super) fn leaf(&self) -> &[u8] {
        self.chain.first().map_or(&[], AsRef::as_ref)
    }
}

impl Ca {
    /// A new CA with a new key.
    ///
    /// # Errors
    /// Only if the system has no entropy.
    pub fn new() -> Result<Self, CaError> {
        let key = KeyPair::generate()?;
        let certificate = authority_params().self_signed(&key)?;
        Ok(Self::assemble(
            key,
            certificate.der().clone(),
            certificate.pem(),
        ))
    }

    /// The CA whose `ca_pem` and `key_pem` were kept from an earlier run, so that clients that trust it go on doing so.
    ///
    /// # Errors
    /// If either is not PEM of the right kind.
    pub fn from_pem(ca_pem: &str, key_pem: &str) -> Result<Self, CaError> {
        use rustls::pki_types::pem::PemObject;
        let key = KeyPair::from_pem(key_pem)?;
        let certificate = CertificateDer::from_pem_slice(ca_pem.as_bytes())
            .map_err(|_| rcgen::Error::CouldNotParseCertificate)?;
        Ok(Self::assemble(key, certificate, ca_pem.to_owned()))
    }

    fn assemble(key: KeyPair, certificate: CertificateDer<'static>, pem: String) -> Self {
        Self {
            authority: Arc::new(Authority {
                issuer: Issuer::new(authority_params(), key),
                certificate,
                certificate_pem: pem,
            }),
        }
    }

    /// The certificate that clients must trust, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.authority.certificate_pem
    }

    /// The CA's private key, PKCS#8 PEM, for whoever keeps it between runs.
    pub fn key_pem(&self) -> String {
        self.authority.issuer.key().serialize_pem()
    }

    /// The roots for a client that trusts this CA and no other.
    pub fn root_store(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates([self.authority.certificate.clone()]);
        debug_assert_eq!(added, 1, "our own certificate parses");
        roots
    }

    /// A certificate for a server on loopback that also answers to `names` (DNS names or IP addresses).
    ///
    /// # Errors
    /// If one of the names is neither.
    pub fn issue(&self, names: &[&str]) -> Result<ServerCertificate, CaError> {
        self.issued(names, set_validity)
    }

    /// The same for a server that real phones are to trust: good from a day before `now` on, for as long as Apple's take one for
    /// (support.apple.com/en-us/103769: 825 days).
    ///
    /// # Errors
    /// If one of the names is neither.
    pub fn issue_now(&self, names: &[&str], now: SystemTime) -> Result<ServerCertificate, CaError> {
        self.issued(names, |params| {
            params.not_before = (now - DAY).into();
            params.not_after = (now - DAY + 825 * DAY).into();
        })
    }

    fn issued(
        &self,
        names: &[&str],
        set_validity: impl FnOnce(&mut CertificateParams),
    ) -> Result<ServerCertificate, CaError> {
        let mut all = LOOPBACK_NAMES.map(str::to_owned).to_vec();
        all.extend(
            names
                .iter()
                .filter(|name| !LOOPBACK_NAMES.contains(name))
                .map(|&name| name.to_owned()),
        );
        let mut params = CertificateParams::new(all)?;
        params.distinguished_name = named("Reveille development server");
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.authority.issuer)?;
        Ok(ServerCertificate {
            chain_pem: certificate.pem() + self.ca_pem(),
            key_pem: key.serialize_pem(),
            chain: vec![
                certificate.der().clone(),
                self.authority.certificate.clone(),
            ],
            key: key.serialize_der(),
        })
    }

    /// A TLS server on loopback that also answers to `names` and speaks the protocols `alpn`, most wanted first (empty:
    /// no ALPN).
    ///
    /// # Errors
    /// If one of the names is neither a DNS name nor an address.
    pub fn server_config(
        &self,
        names: &[&str],
        alpn: &[&[u8]],
    ) -> Result<Arc<ServerConfig>, CaError> {
        self.server(names, alpn, WebPkiClientVerifier::no_client_auth())
    }

    /// The same for a server that asks its clients for a certificate of this CA, and takes those that have none as well.
    ///
    /// # Errors
    /// If one of the names is neither a DNS name nor an address.
    pub fn server_config_asking(
        &self,
        names: &[&str],
        alpn: &[&[u8]],
    ) -> Result<Arc<ServerConfig>, CaError> {
        let roots = Arc::new(self.root_store());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
            .allow_unauthenticated()
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        self.server(names, alpn, verifier)
    }

    fn server(
        &self,
        names: &[&str],
        alpn: &[&[u8]],
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Arc<ServerConfig>, CaError> {
        let ServerCertificate { chain, key, .. } = self.issue(names)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)))?;
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Reveille development CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params);
    params
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// Fixed years: a lab on a machine with a wrong clock still works, and every TLS library reads dates before 2050.
fn set_validity(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{ClientConfig, ClientConnection, ServerConnection, pki_types::ServerName};

    fn shake_hands(trusting: &Ca, serving: &Ca, name: &'static str) -> Result<(), rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trusting.root_store())
            .with_no_client_auth();
        let server = serving
            .server_config(&["sip.example.test"], &[b"h2"])
            .unwrap();
        let mut client =
            ClientConnection::new(Arc::new(client), ServerName::try_from(name).unwrap())?;
        let mut server = ServerConnection::new(server)?;
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn certificates_are_good_for_loopback_and_the_names_asked_for() {
        let ca = Ca::new().unwrap();
        for name in ["localhost", "127.0.0.1", "::1", "sip.example.test"] {
            shake_hands(&ca, &ca, name).unwrap();
        }
        assert!(shake_hands(&ca, &ca, "elsewhere.example.test").is_err());
        assert!(shake_hands(&Ca::new().unwrap(), &ca, "localhost").is_err());
    }

    #[test]
    fn a_ca_kept_as_pem_is_still_trusted_after_a_restart() {
        let before = Ca::new().unwrap();
        let after = Ca::from_pem(before.ca_pem(), &before.key_pem()).unwrap();
        shake_hands(&before, &after, "localhost").unwrap();
        assert!(Ca::from_pem("nonsense", &before.key_pem()).is_err());
        assert!(Ca::from_pem(before.ca_pem(), "nonsense").is_err());
    }
}
