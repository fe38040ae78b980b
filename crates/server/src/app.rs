//! Puts the server together: store, sockets, push clients, the role, the APIs; and takes it apart again in an order in
//! which nothing is lost.

use crate::{
    api::{self, AccessTokens, Api, health},
    config::{self, Config},
    metrics::Metrics,
    roles::call::{self, AppKey, CallRole, Parts, Settings},
};
use anyhow::{Context, Result};
use domain::{Behaviour, Generation, Platform, Provider, Timestamp};
use rustls::pki_types::pem::PemObject;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use store::Store;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// How long HTTP connections may take to end at shutdown.
const FAREWELL: Duration = Duration::from_secs(2);
/// How often what is too old is removed.
const PRUNING: Duration = Duration::from_hours(1);
/// How often we look whether the command line has changed accounts behind our back.
const STORE_LOOK: Duration = Duration::from_secs(5);
/// How often the certificate files are looked at.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(30);

/// What [`Server::start`] needs beside the configuration.
pub struct Options {
    /// The configuration.
    pub config: Config,
    /// The behaviour table: the product's, but in tests.
    pub behaviour: Behaviour,
    /// The apps that are pushed to.
    pub apps: Vec<push::App>,
    /// Who vouches for the push clouds.
    pub roots: rustls::RootCertStore,
    /// Our certificate, if SIP over TLS is on.
    pub tls: Option<net::TlsSource>,
    /// Whom we trust when we connect out over TLS.
    pub client_tls: Option<Arc<rustls::ClientConfig>>,
    /// Who shows this over the API may do everything.
    pub admin_token: String,
    /// Accounts that are there from the start, as name and password.
    pub users: Vec<(String, String)>,
}

/// Where a running server can be reached.
#[derive(Clone, Debug)]
pub struct Bound {
    /// SIP.
    pub sip: net::Addresses,
    /// Admin and device API.
    pub admin: Vec<SocketAddr>,
    /// Health and metrics.
    pub health: Vec<SocketAddr>,
}

/// A running server.
pub struct Server {
    bound: Bound,
    ready: health::Ready,
    stop: watch::Sender<bool>,
    net: net::Net,
    pusher: push::Pusher,
    store: Arc<dyn Store>,
    role: JoinHandle<()>,
    others: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts everything, or nothing. When it returns, the server takes work.
    pub async fn start(options: Options) -> Result<Self> {
        let Options {
            config,
            behaviour,
            apps,
            roots,
            tls,
            client_tls,
            admin_token,
            users,
        } = options;
        let store = store::open(&config.store_url()).context("the store")?;
        add_users(store.as_ref(), config.domain(), users).await?;
        let snapshot = store.load().await.context("the store cannot be read")?;
        let metrics = Arc::new(Metrics::default());
        let keys = apps.iter().map(app_key).collect::<Vec<_>>();
        let pusher = push::Pusher::new(apps, roots, push::Limits::default(), metrics.clone())?;

        let watched = watched_certificate(&config, tls.as_ref());
        let net = net::Config {
            udp: config.listen.sip_udp.0.clone(),
            tcp: config.listen.sip_tcp.0.clone(),
            tls: config.listen.sip_tls.0.clone(),
            server_tls: tls,
            client_tls,
            limits: net_limits(&config.limits),
        };
        let (net, events) = net::Net::bind(net).await?;
        let settings = Settings::new(&config, behaviour, net.addresses())?;
        let admin = listen(&config.listen.admin.0, "listen.admin").await?;
        let health = listen(&config.listen.health.0, "listen.health").await?;

        let domains = settings.domains.clone().into();
        let app_names = keys.iter().map(|app| app.profile.app.0.clone()).collect();
        let secret = token_key(&config)?;
        let (role_handle, running) = CallRole::start(Parts {
            secret: secret.clone(),
            settings,
            net: net.clone(),
            store: store.clone(),
            pusher: pusher.clone(),
            apps: keys,
            metrics: metrics.clone(),
            snapshot,
        });
        let api = Api {
            role: role_handle,
            store: store.clone(),
            admin_token: admin_token.into(),
            tokens: Arc::new(AccessTokens::new(&secret)),
            domain: config.domain().into(),
            domains,
            apps: Arc::new(app_names),
        };

        let (stop, stopped) = watch::channel(false);
        let ready = health::Ready::default();
        let bound = Bound {
            sip: net.addresses().clone(),
            admin: addresses(&admin),
            health: addresses(&health),
        };
        let role = tokio::spawn(running.run(events, until(stopped.clone())));
        let mut others = Vec::new();
        for listener in admin {
            others.push(serve(listener, api::router(api.clone()), stopped.clone()));
        }
        for listener in health {
            others.push(serve(
                listener,
                health::router(metrics.clone(), ready.clone()),
                stopped.clone(),
            ));
        }
        others.push(tokio::spawn(prune(
            store.clone(),
            config.observe.retention.0,
            stopped.clone(),
        )));
        others.push(tokio::spawn(follow_store(
            store.clone(),
            api.role.clone(),
            stopped.clone(),
        )));
        if let Some((source, files)) = watched {
            others.push(tokio::spawn(reread_certificate(source, files, stopped)));
        }
        let warm = pusher.clone();
        others.push(tokio::spawn(async move { warm.warm().await }));
        ready.set(true);
        Ok(Self {
            bound,
            ready,
            stop,
            net,
            pusher,
            store,
            role,
            others,
        })
    }

    /// Where it can be reached.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Stops: calls in progress get their answer, what was promised is saved, connections are closed.
    pub async fn shutdown(self) {
        self.ready.set(false);
        // Nobody may listen any more.
        let _ = self.stop.send(true);
        if let Err(error) = self.role.await {
            tracing::error!(%error, "the call role ended badly");
        }
        self.net.shutdown().await;
        self.pusher.shutdown().await;
        for task in self.others {
            task.abort();
            // Aborted, or ended by itself.
            let _ = task.await;
        }
        if let Err(error) = self.store.close().await {
            tracing::error!(%error, "the store was not closed well");
        }
    }
}

/// Creates the accounts that are not there yet.
async fn add_users(store: &dyn Store, domain: &str, users: Vec<(String, String)>) -> Result<()> {
    for (name, password) in users {
        let address = domain::Address::new(&name, domain)?;
        if store.user(&address).await?.is_none() {
            let user = crate::accounts::user(address, &password);
            store.commit(vec![domain::Change::PutUser(user)]).await?;
        }
    }
    Ok(())
}

fn app_key(app: &push::App) -> AppKey {
    let param = match &app.credentials {
        push::Credentials::Apns { team_id, .. } => format!("{team_id}.{}", app.profile.app),
        push::Credentials::Fcm { project, .. } => project.clone(),
    };
    AppKey {
        profile: app.profile.clone(),
        param,
    }
}

fn net_limits(limits: &config::Limits) -> net::Limits {
    let message = sip::Limits {
        message_bytes: limits.message_bytes,
        ..sip::Limits::default()
    };
    net::Limits {
        connections: limits.connections,
        connections_per_peer: limits.connections_per_peer,
        message,
        ..net::Limits::default()
    }
}

async fn listen(addresses: &[SocketAddr], key: &str) -> Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("cannot listen at {address}: end what listens there, or move {key} (REVEILLE_{}=127.0.0.1:PORT)", key.replace('.', "__").to_uppercase())
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn addresses(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    listeners
        .iter()
        .filter_map(|listener| listener.local_addr().ok())
        .collect()
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // Ends too when the server is gone.
    let _ = stopped.wait_for(|stop| *stop).await;
}

fn serve(
    listener: TcpListener,
    router: axum::Router,
    stopped: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let farewell = until(stopped.clone());
        let cut = async {
            until(stopped).await;
            tokio::time::sleep(FAREWELL).await;
        };
        let served = axum::serve(listener, router).with_graceful_shutdown(farewell);
        tokio::select! {
            ended = async { served.await } => {
                if let Err(error) = ended {
                    tracing::error!(%error, "an API ended");
                }
            }
            () = cut => {}
        }
    })
}

async fn prune(store: Arc<dyn Store>, retention: Duration, stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(PRUNING);
    let stop = until(stopped);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => {}
        }
        let unix = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let before = unix.saturating_sub(retention);
        let before = Timestamp(u64::try_from(before.as_millis()).unwrap_or_default());
        match store.prune(before).await {
            Ok(pruned) => tracing::debug!(?pruned, "removed what is too old"),
            Err(error) => tracing::error!(%error, "what is too old could not be removed"),
        }
    }
}

/// Takes over accounts that another process wrote into the store: the command line, when it could not reach us.
async fn follow_store(store: Arc<dyn Store>, role: call::Handle, stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(STORE_LOOK);
    let stop = until(stopped);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => {}
        }
        if !matches!(store.changed_elsewhere().await, Ok(true)) {
            continue;
        }
        match store.users().await {
            Ok(users) => {
                tracing::info!("another process changed the store: accounts are taken over");
                role.send(call::Control::ReplaceUsers(users)).await;
            }
            Err(error) => tracing::error!(%error, "accounts could not be read again"),
        }
    }
}

/// The certificate files to keep an eye on.
fn watched_certificate(
    config: &Config,
    tls: Option<&net::TlsSource>,
) -> Option<(net::TlsSource, [PathBuf; 2])> {
    let files = [config.tls.certificate.clone(), config.tls.key.clone()];
    tls.cloned()
        .filter(|_| !files[0].as_os_str().is_empty())
        .map(|source| (source, files))
}

/// Takes up a new certificate once both files are good; until then the old one stays.
async fn reread_certificate(
    source: net::TlsSource,
    files: [PathBuf; 2],
    stopped: watch::Receiver<bool>,
) {
    let changed_at = |files: &[PathBuf; 2]| {
        files.clone().map(|file| {
            std::fs::metadata(file)
                .and_then(|file| file.modified())
                .ok()
        })
    };
    let mut known = changed_at(&files);
    let mut ticks = tokio::time::interval(CERTIFICATE_LOOK);
    let stop = until(stopped);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => {}
        }
        let now = changed_at(&files);
        if now == known {
            continue;
        }
        known = now;
        let read = || -> Result<()> {
            Ok(source.swap_pem(&std::fs::read(&files[0])?, &std::fs::read(&files[1])?)?)
        };
        match read() {
            Ok(()) => tracing::info!(certificate = %files[0].display(), "new certificate"),
            Err(error) => {
                tracing::error!(%error, certificate = %files[0].display(), "the changed certificate cannot be used: the old one stays");
            }
        }
    }
}

/// Our certificate from the files of the configuration.
pub fn certificate(tls: &config::Tls) -> Result<net::TlsSource> {
    anyhow::ensure!(
        !tls.certificate.as_os_str().is_empty() && !tls.key.as_os_str().is_empty(),
        "listen.sip_tls needs tls.certificate and tls.key: name the PEM files, or let `reveille init DIR` make some"
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
        app: domain::AppId(app.app.clone()),
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
    let mut roots = rustls::RootCertStore::empty();
    if config.ca.as_os_str().is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    }
    let pem = std::fs::read(&config.ca)
        .with_context(|| format!("push.ca: cannot read {}", config.ca.display()))?;
    for certificate in rustls::pki_types::CertificateDer::pem_slice_iter(&pem) {
        roots
            .add(certificate.context("push.ca: not a PEM certificate")?)
            .context("push.ca")?;
    }
    Ok(roots)
}

/// Whom we trust when we connect out to other servers over TLS: the public CAs.
pub fn public_tls() -> Result<Arc<rustls::ClientConfig>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The key of access tokens: kept in the data directory, so that tokens outlive a restart.
fn token_key(config: &Config) -> Result<Vec<u8>> {
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
    let secret = call::fresh() + &call::fresh();
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
