//! What the configuration names outside itself, read and checked: certificates, keys, the credentials of push apps, and
//! secrets of our own making. Every error says which key of the configuration it is about.

use crate::{
    config::{self, Config},
    entropy::fresh,
};
use anyhow::{Context, Result};
use domain::{Generation, Platform, Provider};
use rustls::pki_types::pem::PemObject;
use std::{path::Path, sync::Arc};

/// Our certificate from the files of the configuration.
pub fn certificate(tls: &config::Tls) -> Result<net::TlsSource> {
    anyhow::ensure!(
        !tls.certificate.as_os_str().is_empty() && !tls.key.as_os_str().is_empty(),
        "listen.sip_tls, listen.xmpp_tcp and listen.xmpp_tls need tls.certificate and tls.key: name the PEM files, or let `reveille init DIR` make some"
    );
    let read = |path: &Path, key: &str| {
        std::fs::read(path).with_context(|| {
            format!(
                "{key}: cannot read {}: check the path and that this user may read it",
                path.display()
            )
        })
    };
    let (chain, key) = (
        read(&tls.certificate, "tls.certificate")?,
        read(&tls.key, "tls.key")?,
    );
    net::TlsSource::from_pem(&chain, &key).with_context(|| {
        format!(
            "tls: {} and {} cannot be used",
            tls.certificate.display(),
            tls.key.display()
        )
    })
}

/// The push apps of the configuration, with their credentials read from their files.
pub fn apps(config: &config::Push) -> Result<Vec<push::App>> {
    config
        .app
        .iter()
        .enumerate()
        .map(|(at, app)| {
            push_app(app).with_context(|| format!("[[push.app]] number {} ({:?})", at + 1, app.app))
        })
        .collect()
}

fn push_app(app: &config::App) -> Result<push::App> {
    let read = |path: &Path, key: &str| {
        std::fs::read_to_string(path).with_context(|| {
            format!(
                "{key}: cannot read {:?}: check the path and that this user may read it",
                path.display().to_string()
            )
        })
    };
    let (provider, platform, credentials) = match app.provider.as_str() {
        "apns" => {
            let (team_id, key_id) = (app.team_id.clone(), app.key_id.clone());
            anyhow::ensure!(
                !team_id.is_empty() && !key_id.is_empty(),
                "team_id and key_id are needed for APNs: both are in Apple's developer account"
            );
            (
                Provider::Apns,
                Platform::Ios,
                push::Credentials::Apns {
                    team_id,
                    key_id,
                    key_pem: read(&app.key_file, "key_file")?,
                },
            )
        }
        "fcm" => {
            let json = read(&app.service_account, "service_account")?;
            let credentials = push::Credentials::from_service_account(&json)
                .context("service_account: this is no service account's JSON file")?;
            (Provider::Fcm, Platform::Android, credentials)
        }
        other => anyhow::bail!("provider {other:?} is not known: write \"apns\" or \"fcm\""),
    };
    let generation = match app.generation.as_str() {
        "dual-channel" => Generation::DualChannel,
        "single-channel" => Generation::SingleChannel,
        other => anyhow::bail!(
            "generation {other:?} is not known: write \"dual-channel\" or \"single-channel\""
        ),
    };
    let environment = match app.environment.as_str() {
        "production" => push::Environment::Production,
        "sandbox" => push::Environment::Sandbox,
        other => {
            anyhow::bail!("environment {other:?} is not known: write \"production\" or \"sandbox\"")
        }
    };
    anyhow::ensure!(
        !app.app.is_empty(),
        "app is needed: the bundle id or package name"
    );
    let endpoint = Some(&app.endpoint)
        .filter(|endpoint| !endpoint.is_empty())
        .map(|endpoint| endpoint.parse())
        .transpose()
        .context("endpoint")?;
    let profile = domain::AppProfile {
        app: domain::AppId::from(&*app.app),
        platform,
        provider,
        generation,
    };
    Ok(push::App {
        profile,
        credentials,
        environment,
        endpoint,
    })
}

/// Who vouches for the push clouds: the CA file of the configuration, or the public ones.
pub fn roots(config: &config::Push) -> Result<rustls::RootCertStore> {
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

fn public_roots() -> rustls::RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

/// Whom we trust when we connect out to other servers over TLS: the public CAs.
pub fn public_tls() -> Result<Arc<rustls::ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(public_roots())
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The key of access tokens: kept in the data directory, so that tokens outlive a restart.
pub fn token_key(config: &Config) -> Result<Vec<u8>> {
    Ok(secret_file(&config.server.data_dir.join("tokens.key"))?.into_bytes())
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
    Ok(secret)
}
