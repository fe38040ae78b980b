//! Our certificate: what is in its file, and what the listeners show, which may be another until a reload.

use super::{Known, ports::near, report::Report};
use crate::{
    alarms::Severity,
    clock,
    config::{Addresses, Config},
    expiry, outside, setup,
};
use anyhow::Result;
use domain::{Timestamp, date};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};

/// A listener on this host needs less.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn look(config: &Config, Known { runs, is_dev }: Known, report: &mut Report) {
    if !config.listen.needs_tls() {
        return report.warn(
            "certificates",
            "nothing is served over TLS: passwords and messages can be read on the way",
            "set listen.sip_tls (and xmpp_tls), and [tls]",
        );
    }
    if is_dev {
        report.ok(
            "certificates",
            "a development server makes one of its own at each start",
        );
    } else {
        in_file(config, report);
    }
    if !runs {
        return;
    }
    let listen = &config.listen;
    let all: [(&str, &Addresses, &[u8]); 5] = [
        ("listen.sip_tls", &listen.sip_tls, b"sip"),
        ("listen.xmpp_tls", &listen.xmpp_tls, b"xmpp-client"),
        ("listen.xmpp_wss", &listen.xmpp_wss, b"http/1.1"),
        ("listen.device_tls", &listen.device_tls, b"http/1.1"),
        ("listen.push_tls", &listen.push_tls, b"h2"),
    ];
    for (key, addresses, alpn) in all {
        let is_served = key != "listen.push_tls" || config.has_role("push");
        if let Some(address) = addresses.0.first().filter(|it| is_served && it.port() != 0) {
            served((config, is_dev), key, (*address, alpn), report).await;
        }
    }
}

pub(super) fn in_file(config: &Config, report: &mut Report) {
    let certificate = match outside::certificate(config) {
        Ok(certificate) => certificate,
        Err(error) => return report.broken("certificates", &error),
    };
    let now = Duration::from_millis(clock::now().0);
    let days = certificate.not_after.saturating_sub(now).as_secs() / 86_400;
    let until = Timestamp::default().plus(certificate.not_after);
    let path = config.tls.certificate.display();
    let what = format!(
        "{path} is good for {days} days, until {}",
        date::iso8601(until)
    );
    let remedy = "let the ACME client renew it, or take a new one; it is taken by itself";
    // As bad as the alarm about it.
    match expiry::severity((certificate.not_before, certificate.not_after), now) {
        Some(Severity::Critical) => report.fail("certificates", what, remedy),
        Some(Severity::Warning | Severity::Notice) => report.warn("certificates", what, remedy),
        None => report.ok("certificates", what),
    }
}

/// What a listener shows, to a client that asks for our host as a phone would.
async fn served(
    (config, is_dev): (&Config, bool),
    key: &'static str,
    (address, alpn): (SocketAddr, &[u8]),
    report: &mut Report,
) {
    let near = near(address);
    let seen = match handshake(config.node(), near, alpn).await {
        Ok(seen) => seen,
        Err(error) => {
            let remedy = "the log of the server says why; is another program at this address?";
            return report.fail("certificates", format!("{key}: {near}: {error:#}"), remedy);
        }
    };
    let file = setup::certificate_chain(&config.tls).unwrap_or_default();
    let first = CertificateDer::pem_slice_iter(&file).next();
    let is_another = first.and_then(Result::ok).as_ref() != seen.chain.first();
    if is_another && !is_dev {
        let what = format!(
            "{key}: {near} shows another certificate than {}",
            config.tls.certificate.display()
        );
        let remedy = "`reveille reload` takes the file; if that refuses, it says why";
        return report.fail("certificates", what, remedy);
    }
    let length = seen.chain.len();
    match seen.judged {
        Ok(()) => report.ok("certificates", format!("{key}: {near} shows it, and the public CAs vouch for it")),
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) if is_dev => {
            let what = format!("{key}: {near} shows it ({length} in its chain), of the CA that its start names");
            report.ok("certificates", what);
        }
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => report.warn(
            "certificates",
            format!("{key}: {near} shows it ({length} in its chain), and no public CA vouches for that"),
            "phones must be given its CA; else take one of a public CA, and put its whole chain (fullchain.pem) into tls.certificate",
        ),
        Err(error) => {
            let (why, remedy) = refused(&error);
            let what = format!("{key}: {near}: clients refuse it: {why}");
            report.fail("certificates", what, remedy);
        }
    }
}

/// Why clients refuse a certificate, and what helps.
fn refused(error: &Error) -> (String, &'static str) {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext,
    };
    const RENEW: &str = "renew it in the place of tls.certificate and tls.key: it is taken by itself within 30 s; is the clock of this host right?";
    match error {
        Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            ("it has expired".to_owned(), RENEW)
        }
        Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => {
            ("it is not good yet".to_owned(), RENEW)
        }
        Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => (
            "it is for other names".to_owned(),
            "take a certificate that names server.node and, with XMPP, each of server.domains",
        ),
        error => (
            error.to_string(),
            "take a certificate of a public CA, with its whole chain (fullchain.pem)",
        ),
    }
}

/// What a handshake showed, and what a client of the public CAs thinks of it.
struct Seen {
    chain: Vec<CertificateDer<'static>>,
    judged: Result<(), Error>,
}

async fn handshake(name: &str, address: SocketAddr, alpn: &[u8]) -> Result<Seen> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(setup::public_roots());
    let judge = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build()?;
    let looking = Arc::new(Looking {
        judge,
        provider: provider.clone(),
        seen: Mutex::default(),
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(looking.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from(name.to_owned())?;
    let shaken = async {
        let stream = TcpStream::connect(address).await?;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.map(drop)
    };
    timeout(PATIENCE, shaken).await??;
    let seen = looking
        .seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    seen.ok_or_else(|| anyhow::anyhow!("it showed no certificate"))
}

/// Takes whatever it is shown, and remembers what a client would have said. Nothing is sent over such a connection.
#[derive(Debug)]
struct Looking {
    judge: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<Seen>>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen")
            .field("judged", &self.judged)
            .finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Looking {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.judge.verify_server_cert(end, between, name, ocsp, now);
        let chain = std::iter::once(end).chain(between);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen {
            chain: chain.map(|it| it.clone().into_owned()).collect(),
            judged: judged.map(drop),
        });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, end, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, end, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}
