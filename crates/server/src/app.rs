//! Puts the server together: store, sockets, push clients, the role, the APIs; and takes it apart again in an order in
//! which nothing is lost.

use crate::{
    accounts::{self, Ways},
    api::{self, AccessTokens, Api, health},
    config::{self, Config},
    metrics::Metrics,
    settings::{Source, greeting},
    setup,
    shards::{self, Parts, Shards, Steering},
    upkeep::{self, CertificateFiles, until},
};
use anyhow::{Context, Result};
use domain::Behaviour;
use hub::Accounts;
use std::{net::SocketAddr, pin::Pin, sync::Arc, task::Poll, time::Duration};
use store::Store;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// How long HTTP connections may take to end at shutdown.
const FAREWELL: Duration = Duration::from_secs(2);

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

impl Bound {
    fn of(net: &net::Net, admin: &[TcpListener], health: &[TcpListener]) -> Self {
        Self {
            sip: net.addresses().clone(),
            admin: addresses(admin),
            health: addresses(health),
        }
    }
}

/// A running server.
pub struct Server {
    bound: Bound,
    ready: health::Ready,
    stop: watch::Sender<bool>,
    net: net::Net,
    pusher: push::Pusher,
    store: Arc<dyn Store>,
    shards: Vec<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts everything, or nothing. When it returns, the server takes work.
    pub async fn start(options: Options) -> Result<Self> {
        let Options { config, apps, .. } = options;
        let store = store::open(&config.store_url()).context("the store")?;
        add_users(store.as_ref(), &config, options.users).await?;
        let metrics = Arc::new(Metrics::default());
        let limits = push::Limits::default();
        let pusher = push::Pusher::new(apps.clone(), options.roots, limits, metrics.clone())?;
        let certificate = CertificateFiles::of(&config, options.tls.as_ref());
        let (steering, steer) = Steering::between(config.shards());
        let listening = net_config(&config, options.tls, options.client_tls)?;
        let (net, events) =
            net::Net::bind_sharded(listening, config.shards(), steer.clone()).await?;
        let secret = setup::token_key(&config)?;
        let source = Source {
            config: &config,
            behaviour: options.behaviour,
            apps: &apps,
            net: &net,
            secret: &secret,
        };
        let call = source.call()?;
        steering.settle(call.clone());
        let admin = listen(&config.listen.admin.0, "listen.admin").await?;
        let health = listen(&config.listen.health.0, "listen.health").await?;
        let (stop, stopped) = watch::channel(false);
        let bound = Bound::of(&net, &admin, &health);
        let parts = Parts {
            im: source.im()?,
            hub: source.hub(call.register_at(sip::Transport::Udp)),
            call,
            net: net.clone(),
            steer,
            events,
            store: store.clone(),
            pusher: pusher.clone(),
            metrics: metrics.clone(),
        };
        let started = shards::start(parts, || until(stopped.clone())).await?;
        let parts = (&started.shards, &store, &metrics);
        let api = api(&config, &apps, &secret, options.admin_token, parts);
        let ready = health::Ready::default();
        let mut others = Vec::new();
        for listener in admin {
            others.push(serve(listener, api::router(api.clone()), stopped.clone()));
        }
        let watched = health::router(metrics.clone(), ready.clone());
        for listener in health {
            others.push(serve(listener, watched.clone(), stopped.clone()));
        }
        others.extend(chores(
            &config,
            &store,
            started.accounts,
            started.shards,
            &stopped,
        ));
        if let Some(certificate) = certificate {
            others.push(tokio::spawn(certificate.follow(stopped)));
        }
        others.push(tokio::spawn(warmed(pusher.clone())));
        ready.set(true);
        Ok(Self {
            bound,
            ready,
            stop,
            net,
            pusher,
            store,
            shards: started.tasks,
            others,
        })
    }

    /// Where it can be reached.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Resolves if a shard ends although nobody stopped it: a bug of ours. The server is of no use then.
    pub async fn failed(&mut self) -> anyhow::Error {
        // In place: whoever waits for this no longer, because it stops, must find all of them.
        let shards = &mut self.shards;
        let ended = std::future::poll_fn(|context| {
            let ready = shards.iter_mut().enumerate().find_map(|(at, shard)| {
                match Pin::new(shard).poll(context) {
                    Poll::Ready(ended) => Some((at, ended)),
                    Poll::Pending => None,
                }
            });
            ready.map_or(Poll::Pending, Poll::Ready)
        });
        let (at, ended) = ended.await;
        drop(self.shards.swap_remove(at));
        self.ready.set(false);
        let why = ended.map_or_else(|error| error.to_string(), |()| "it returned".to_owned());
        anyhow::anyhow!("a shard ended ({why}): please report this; the log above says more")
    }

    /// Stops: calls in progress get their answer, what was promised is saved, connections are closed.
    pub async fn shutdown(self) {
        self.ready.set(false);
        // Nobody may listen any more.
        let _ = self.stop.send(true);
        for shard in self.shards {
            if let Err(error) = shard.await {
                tracing::error!(%error, "a shard ended badly");
            }
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
async fn add_users(store: &dyn Store, config: &Config, users: Vec<(String, String)>) -> Result<()> {
    for (name, password) in users {
        let address = domain::Address::new(&name, config.domain())?;
        if store.user(&address).await?.is_none() {
            let user = accounts::user(address, &password, Ways::of(config));
            let put = domain::Change::PutUser(Box::new(user));
            accounts::write(store, put).await?;
        }
    }
    Ok(())
}

/// Connects to the push clouds before they are needed.
async fn warmed(pusher: push::Pusher) {
    pusher.warm().await;
}

/// What is done now and then.
fn chores(
    config: &Config,
    store: &Arc<dyn Store>,
    accounts: Accounts,
    shards: Shards,
    stopped: &watch::Receiver<bool>,
) -> [JoinHandle<()>; 2] {
    let retention = config.observe.retention.0;
    let prune = upkeep::prune(store.clone(), shards.clone(), retention, stopped.clone());
    let follow = upkeep::follow_store(store.clone(), accounts, shards, stopped.clone());
    [tokio::spawn(prune), tokio::spawn(follow)]
}

fn api(
    config: &Config,
    apps: &[push::App],
    secret: &[u8],
    admin_token: String,
    (shards, store, metrics): (&Shards, &Arc<dyn Store>, &Arc<Metrics>),
) -> Api {
    let domains = config.server.domains.0.iter();
    let apps = apps.iter().map(|app| app.profile.app.to_string());
    Api {
        shards: shards.clone(),
        store: store.clone(),
        metrics: metrics.clone(),
        admin_token: admin_token.into(),
        tokens: Arc::new(AccessTokens::new(secret)),
        guesses: Arc::default(),
        domain: config.domain().into(),
        domains: domains.map(|domain| domain.to_lowercase()).collect(),
        ways: Ways::of(config),
        apps: Arc::new(apps.collect()),
    }
}

fn net_config(
    config: &Config,
    server_tls: Option<net::TlsSource>,
    client_tls: Option<Arc<rustls::ClientConfig>>,
) -> Result<net::Config> {
    Ok(net::Config {
        udp: config.listen.sip_udp.0.clone(),
        tcp: config.listen.sip_tcp.0.clone(),
        tls: config.listen.sip_tls.0.clone(),
        xmpp: greeting(config)?,
        server_tls,
        client_tls,
        limits: net_limits(&config.limits),
    })
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
        let served = axum::serve(
            listener,
            router.into_make_service_with_connect_info::<SocketAddr>(),
        )
        .with_graceful_shutdown(farewell);
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
