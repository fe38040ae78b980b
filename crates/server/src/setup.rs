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
    let chain = certificate_chain(tls)?;
    let key = read_pem(&tls.key, "tls.key")?;
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
        "tls.certificate and tls.key are needed by listen.sip_tls, listen.xmpp_tcp, listen.xmpp_tls and listen.push_tls: name the PEM files, or let `reveille init DIR` make some"
    );
    read_pem(&tls.certificate, "tls.certificate")
}

fn read_pem(path: &Path, key: &str) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| {
        format!(
            "{key}: cannot read {}: check the path and that this user may read it",
            path.display()
        )
    })
}

/// The push apps of the configuration, with their credentials read from their files.
pub fn apps(config: &config::Push) -> Result<Vec<push::App>> {
    let service = service(config)?;
    config
        .app
        .iter()
        .enumerate()
        .map(|(at, app)| {
            push_app(app, service.as_ref())
                .with_context(|| format!("[[push.app]] number {} ({:?})", at + 1, app.app))
        })
        .collect()
}

/// Whose an app is, what it runs on, and by what its provider knows us.
type Known = (Provider, Platform, push::Credentials);

fn read(path: &Path, key: &str) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| {
        format!(
            "{key}: cannot read {:?}: check the path and that this user may read it",
            path.display().to_string()
        )
    })
}

/// A push service that has the credentials of our apps, and who we are there.
struct Elsewhere {
    at: push::Endpoint,
    client_id: String,
    client_secret: String,
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

/// Whether an app says nothing by what its provider knows us.
fn has_no_credentials(app: &config::App) -> bool {
    [
        &app.key_file,
        &app.certificate_file,
        &app.service_account,
        &app.vapid_key_file,
    ]
    .iter()
    .all(|file| file.as_os_str().is_empty())
}

fn through(app: &config::App, service: &Elsewhere) -> Result<Known> {
    let (provider, platform, param) = match app.provider.as_str() {
        "apns" => {
            anyhow::ensure!(
                !app.team_id.is_empty(),
                "team_id is needed for APNs: iPhones say it in pn-param"
            );
            let param = format!("{}.{}", app.team_id, app.app);
            (Provider::Apns, Platform::Ios, param)
        }
        "fcm" => {
            anyhow::ensure!(
                !app.project.is_empty(),
                "project is needed for FCM: phones say it in pn-param"
            );
            (Provider::Fcm, Platform::Android, app.project.clone())
        }
        "webpush" => (Provider::WebPush, Platform::Web, String::new()),
        other => {
            anyhow::bail!("provider {other:?} is not known: write \"apns\", \"fcm\" or \"webpush\"")
        }
    };
    let credentials = push::Credentials::Service {
        at: service.at.clone(),
        client_id: service.client_id.clone(),
        client_secret: service.client_secret.clone(),
        provider,
        param,
    };
    Ok((provider, platform, credentials))
}

fn credentials(app: &config::App, service: Option<&Elsewhere>) -> Result<Known> {
    if let Some(service) = service.filter(|_| has_no_credentials(app)) {
        return through(app, service);
    }
    match app.provider.as_str() {
        "apns" if app.certificate_file.as_os_str().is_empty() => apns(app),
        "apns" => apns_by_certificate(app),
        "fcm" => {
            let json = read(&app.service_account, "service_account")?;
            let credentials = push::Credentials::from_service_account(&json)
                .context("service_account: this is no service account's JSON file")?;
            Ok((Provider::Fcm, Platform::Android, credentials))
        }
        "webpush" => web_push(app),
        other => {
            anyhow::bail!("provider {other:?} is not known: write \"apns\", \"fcm\" or \"webpush\"")
        }
    }
}

fn apns(app: &config::App) -> Result<Known> {
    let (team_id, key_id) = (app.team_id.clone(), app.key_id.clone());
    anyhow::ensure!(
        !team_id.is_empty() && !key_id.is_empty(),
        "team_id and key_id are needed for APNs: both are in Apple's developer account"
    );
    let credentials = push::Credentials::Apns {
        team_id,
        key_id,
        key_pem: read(&app.key_file, "key_file")?,
    };
    Ok((Provider::Apns, Platform::Ios, credentials))
}

fn apns_by_certificate(app: &config::App) -> Result<Known> {
    anyhow::ensure!(
        app.key_id.is_empty() && app.key_file.as_os_str().is_empty(),
        "certificate_file, or key_id and key_file: APNs knows an app by the one or the other"
    );
    anyhow::ensure!(
        !app.team_id.is_empty(),
        "team_id is needed for APNs: it is in Apple's developer account"
    );
    let pem = read(&app.certificate_file, "certificate_file")?;
    let credentials = push::Credentials::ApnsCertificate {
        team_id: app.team_id.clone(),
        certificate_pem: pem.clone(),
        key_pem: pem,
    };
    Ok((Provider::Apns, Platform::Ios, credentials))
}

fn web_push(app: &config::App) -> Result<Known> {
    anyhow::ensure!(
        app.generation == "dual-channel" && app.endpoint.is_empty(),
        "Web Push has two channels and no endpoint of its own: take generation and endpoint out"
    );
    let credentials = push::Credentials::WebPush {
        key_pem: read(&app.vapid_key_file, "vapid_key_file")?,
        contact: app.vapid_contact.clone(),
        hosts: app.hosts.0.clone(),
    };
    Ok((Provider::WebPush, Platform::Web, credentials))
}

fn push_app(app: &config::App, service: Option<&Elsewhere>) -> Result<push::App> {
    let (provider, platform, credentials) = credentials(app, service)?;
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
    store::give_to_owner_of_directory(path);
    Ok(secret)
}
