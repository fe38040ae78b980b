//! What the configuration names outside itself, read and checked: certificates, keys, the credentials of push apps, and
//! secrets of our own making. Every error says which key of the configuration it is about.

use crate::{
    config::{self, Config},
    described::{Described, Elsewhere, read},
    entropy::fresh,
    named_files,
};
use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The configuration without those IPv6 addresses for any host that this one does not have: they are in the defaults.
pub(crate) fn on_this_host(mut config: Config) -> Config {
    let listen = &mut config.listen;
    for addresses in [
        &mut listen.sip_udp,
        &mut listen.sip_tcp,
        &mut listen.sip_tls,
        &mut listen.xmpp_tcp,
        &mut listen.xmpp_tls,
        &mut listen.xmpp_ws,
        &mut listen.xmpp_wss,
        &mut listen.admin,
        &mut listen.device,
        &mut listen.device_tls,
        &mut listen.health,
        &mut listen.push,
        &mut listen.push_tls,
    ] {
        let there = |address: &SocketAddr| {
            let any =
                address.is_ipv4() || !(address.ip().is_unspecified() || address.ip().is_loopback());
            any || std::net::UdpSocket::bind((address.ip(), 0)).is_ok()
        };
        let left: Vec<_> = addresses.0.iter().copied().filter(there).collect();
        // If nothing were left, whoever binds says why.
        if left.len() < addresses.0.len() && !left.is_empty() {
            tracing::info!(?left, "this host has no IPv6");
            addresses.0 = left;
        }
    }
    config
}

/// Our certificate from the files of the configuration.
pub fn certificate(tls: &config::Tls) -> Result<net::TlsSource> {
    let chain = certificate_chain(tls)?;
    let key = named_files::octets(&tls.key, "tls.key")?;
    net::TlsSource::from_pem(&chain, &key).with_context(|| {
        format!(
            "tls: {} and {} cannot be used",
            tls.certificate.display(),
            tls.key.display()
        )
    })
}

/// Its chain in PEM, once both files are named.
pub(crate) fn certificate_chain(tls: &config::Tls) -> Result<Vec<u8>> {
    anyhow::ensure!(
        !tls.certificate.as_os_str().is_empty() && !tls.key.as_os_str().is_empty(),
        "tls.certificate and tls.key are needed by listen.sip_tls, listen.xmpp_tcp, listen.xmpp_tls, listen.xmpp_wss, listen.device_tls and listen.push_tls: name the PEM files, or let `reveille init DIR` make some"
    );
    named_files::octets(&tls.certificate, "tls.certificate")
}

/// The push apps of the configuration, with their credentials read from their files.
pub fn apps(config: &config::Push) -> Result<Vec<push::App>> {
    let service = service(config)?;
    config
        .app
        .iter()
        .enumerate()
        .map(|(at, app)| {
            let described = Described::read(app);
            let app_of = described.and_then(|it| it.app(service.as_ref()));
            app_of.with_context(|| format!("[[push.app]] number {} ({:?})", at + 1, app.app))
        })
        .collect()
}

fn service(config: &config::Push) -> Result<Option<Elsewhere>> {
    if config.url.is_empty() {
        return Ok(None);
    }
    anyhow::ensure!(
        !config.client_id.is_empty(),
        "push.client_id is needed with push.url: whoever runs that service gives it to you"
    );
    let secret = read(&config.client_secret_file, "push.client_secret_file")?;
    Ok(Some(Elsewhere {
        at: config.url.parse().context("push.url")?,
        client_id: config.client_id.clone(),
        client_secret: secret.trim().to_owned(),
    }))
}

/// Who vouches for the push clouds: the CA file of the configuration, or the public ones.
fn roots(config: &config::Push) -> Result<rustls::RootCertStore> {
    if config.ca.as_os_str().is_empty() {
        return Ok(public_roots());
    }
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(&config.ca)
        .with_context(|| format!("push.ca: cannot read {}", config.ca.display()))?;
    for certificate in rustls::pki_types::CertificateDer::pem_slice_iter(&pem) {
        roots
            .add(certificate.context("push.ca: not a PEM certificate")?)
            .context("push.ca")?;
    }
    Ok(roots)
}

/// How the push clouds are reached: whom we trust, and the proxy of the configuration.
pub fn route(config: &config::Push) -> Result<push::Route> {
    let proxy = Some(&config.proxy)
        .filter(|proxy| !proxy.is_empty())
        .map(|proxy| proxy.parse())
        .transpose()
        .context("push.proxy")?;
    Ok(push::Route {
        roots: roots(config)?,
        proxy,
    })
}

pub(crate) fn public_roots() -> rustls::RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

/// Whom we trust when we connect out to other servers over TLS: the public CAs.
pub fn public_tls() -> Result<Arc<rustls::ClientConfig>> {
    tls_trusting(public_roots())
}

/// How we connect out over TLS to whom these authorities vouch for.
pub(crate) fn tls_trusting(roots: rustls::RootCertStore) -> Result<Arc<rustls::ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The secret that outlives a restart: kept in the data directory.
pub fn token_key(config: &Config) -> Result<Vec<u8>> {
    Ok(secret_file(&token_key_file(config))?.into_bytes())
}

/// Where it lies.
pub(crate) fn token_key_file(config: &Config) -> PathBuf {
    config.server.data_dir.join("tokens.key")
}

/// A secret of our own making, in a file that only we may read; made when it is not there.
pub fn secret_file(path: &Path) -> Result<String> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    match std::fs::read_to_string(path) {
        Ok(secret) if !secret.trim().is_empty() => return Ok(secret.trim().to_owned()),
        Ok(_) => anyhow::bail!(
            "{} is empty: remove it, and a new one is made",
            path.display()
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    let secret = fresh() + &fresh();
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| {
            format!(
                "cannot write {}: check that server.data_dir exists and this user may write it",
                path.display()
            )
        })?;
    writeln!(file, "{secret}")?;
    store::give_to_owner_of_directory(path);
    Ok(secret)
}
