//! Puts the server together: store, sockets, push clients, the role, the APIs; and takes it apart again in an order in
//! which nothing is lost.

use crate::{
    accounts::{self, Ways},
    admin_socket::AdminSocket,
    api::{self, AccessTokens, Api, Gate, Turns, health},
    apps::Apps,
    authorize::Clients,
    bans::BanFile,
    components,
    config::{self, Config},
    doorkeeper::Doorkeeper,
    doors::{Behind, Doors},
    edge::{self, Within},
    expiry::Expiry,
    files::{self, Room},
    keeping_apps,
    live::Live,
    lock,
    media::Media,
    metrics::Metrics,
    ours,
    push_test::Pushing,
    pushd,
    reload::{self, CallParts, Origin, Reload},
    reloaded::{Reloaded, Reloading},
    settings::{Source, greeting},
    setup,
    shards::{self, Parts, Shards, Steering},
    store_watch::watch_store,
    turn,
    upkeep::{self, CertificateFiles, until},
    web,
};
use anyhow::{Context, Result};
use axum::Router;
use domain::Behaviour;
use hub::Accounts;
use std::{net::SocketAddr, pin::Pin, sync::Arc, task::Poll};
use store::Store;
use tokio::{sync::watch, task::JoinHandle};

/// What [`Server::start`] needs beside the configuration.
pub struct Options {
    /// The configuration.
    pub config: Config,
    /// The behaviour table: the product's, but in tests.
    pub behaviour: Behaviour,
    /// The apps that are pushed to.
    pub apps: Vec<push::App>,
    /// How the push clouds are reached.
    pub route: push::Route,
    /// Our certificate, if SIP over TLS is on.
    pub tls: Option<net::TlsSource>,
    /// Whom we trust when we connect out over TLS.
    pub client_tls: Option<Arc<rustls::ClientConfig>>,
    /// Who shows this over the API may do everything.
    pub admin_token: String,
    /// Where the configuration can be read again, if it can.
    pub origin: Option<Origin>,
    /// Accounts that are there from the start, as name and password.
    pub users: Vec<(String, String)>,
    /// Tenants of the push service that are there from the start.
    pub tenants: Vec<domain::Tenant>,
}

/// Where a running server can be reached.
#[derive(Clone, Debug)]
pub struct Bound {
    /// SIP.
    pub sip: net::Addresses,
    /// Admin API, and device API unless that has listeners of its own.
    pub admin: Vec<SocketAddr>,
    /// Device API.
    pub device: Vec<SocketAddr>,
    /// The same in TLS.
    pub device_tls: Vec<SocketAddr>,
    /// Health and metrics.
    pub health: Vec<SocketAddr>,
    /// The push service, plain.
    pub push: Vec<SocketAddr>,
    /// The same over TLS.
    pub push_tls: Vec<SocketAddr>,
}

impl Bound {
    pub(crate) fn of(sip: net::Addresses, doors: &Doors) -> Self {
        let at = doors.addresses();
        Self {
            sip,
            admin: at.admin,
            device: at.device,
            device_tls: at.device_tls,
            health: at.health,
            push: at.push,
            push_tls: at.push_tls,
        }
    }
}

/// Who is banned, and where that is kept.
type Bans = (Arc<BanFile>, hub::Guards);

/// A running server.
pub struct Server {
    bound: Bound,
    ready: health::Ready,
    stop: watch::Sender<bool>,
    net: net::Net,
    edges: Within,
    push_service: Option<pushd::Running>,
    /// Of the start: the reload may have made another one.
    pusher: push::Pusher,
    reload: Arc<Reload>,
    store: Arc<dyn Store>,
    shards: Vec<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
    bans: Bans,
    _locks: Vec<lock::Lock>,
    _admin_socket: Option<AdminSocket>,
}

impl Server {
    /// Starts everything, or nothing. When it returns, the server takes work.
    pub async fn start(options: Options) -> Result<Self> {
        // In a place of its own: it holds much until it is done.
        Box::pin(Self::started(options)).await
    }

    async fn started(options: Options) -> Result<Self> {
        let config = setup::on_this_host(options.config);
        let locks = lock::all(&config.server.data_dir, &config.store_url())?;
        let store = open_store(&config, options.users).await?;
        let metrics = Arc::new(Metrics::default());
        let base = (options.apps, options.route);
        let made = reload::Running::made(&config, base, store.as_ref(), &metrics);
        let (apps, pushing) = made.await?;
        let pusher = pushing.pusher.clone();
        let certificate = CertificateFiles::of(&config, options.tls.as_ref()).map(Arc::new);
        let (steering, steer) = Steering::between(config.shards());
        let (accounts, ban_file, keeper) = guarded(&config, &metrics)?;
        let tls = (options.tls.clone(), options.client_tls);
        let (net, events, room) = sockets(&config, &keeper, tls, &steer).await?;
        let https = options.tls.map(|tls| (tls, net.handshakes()));
        let ours = ours::open(&config)?;
        let (call, im, hub) = roles(Source {
            config: &config,
            behaviour: options.behaviour.clone(),
            apps: &apps,
            net: &net,
            ours: &ours,
        })?;
        steering.settle(call.clone());
        let doors = Doors::open(&config)?;
        let (stop, stopped) = watch::channel(false);
        let bound = Bound::of(net.addresses().clone(), &doors);
        web::publish(&config, &net, &bound.device_tls);
        let (live, turn) = (Live::new(stopped.clone()), im.turn.clone());
        let media = Box::pin(Media::of(&config, &metrics)).await?;
        let parts = Parts {
            call,
            im,
            hub,
            net: net.clone(),
            steer,
            events,
            store: store.clone(),
            pusher: pusher.clone(),
            media: media.clone(),
            metrics: metrics.clone(),
            live: live.clone(),
            accounts,
        };
        let started = shards::start(parts, || until(stopped.clone())).await?;
        let (accounts, shards) = (started.accounts, started.shards);
        let mut edges = Within::dial(&config, &ours.tokens)?;
        let known = Apps::of(&apps);
        let with = (&store, &pusher, &ours.secret[..], &apps[..]);
        let push_service = push_service(&config, with, options.tenants, &metrics).await?;
        let expiry = Arc::new(Expiry::new(certificate.clone()));
        expiry.take(&config, &apps);
        let call = CallParts {
            behaviour: options.behaviour,
            net: net.clone(),
            ours: ours.clone(),
            shards: shards.clone(),
        };
        let service = push_service.as_ref();
        let with = (&store, &metrics, (&certificate, &expiry, &keeper));
        let parts = reload_parts(options.origin, with, &known, (service, call));
        let reload = Arc::new(Reload::new(parts, pushing));
        let bans = (ban_file, accounts.guards().clone());
        let parts = (&shards, &store, (&metrics, live), bans.clone());
        let reloading = (known, reloading(reload.clone()), pushers(reload.clone()));
        let with = (reloading, turn);
        let api = api(&config, &ours.tokens, options.admin_token, parts, with);
        let ready = health::Ready::default();
        let watched = health::router(metrics.clone(), ready.clone());
        let beside = keeping_apps::routes(&store, &reload, api.gate.clone());
        let beside = beside.merge(edge::router(edges.links(), api.gate.clone()));
        let pages = web::router(&net);
        let behind = behind(api, watched, service, (beside, pages));
        let room = (room.http, &keeper);
        edges.take((&net, &metrics), behind.device.clone(), room);
        let (mut others, admin_socket) = doors.serve(behind, https.as_ref(), room, [&stopped; 2]);
        let (kept, expires) = ((&store, &metrics, &ours.tokens), (certificate, expiry));
        others.extend(chores(&config, kept, accounts, shards, &stopped));
        let (looked_at, kept) = ((&net, &edges, &bans), (&store, &locks[..]));
        others.extend(watches(&metrics, looked_at, kept, expires, &stopped));
        others.push(tokio::spawn(warmed(pusher.clone())));
        others.extend(media.map(|media| tokio::spawn(media.watch(stopped))));
        ready.set(true);
        Ok(Self {
            bound,
            ready,
            stop,
            net,
            edges,
            push_service,
            pusher,
            reload,
            store,
            shards: started.tasks,
            others,
            bans,
            _locks: locks,
            _admin_socket: admin_socket,
        })
    }

    /// Reads the configuration again and takes what can be taken of it.
    ///
    /// # Errors
    /// What is wrong with it, or that it is from no file. Nothing has changed.
    pub async fn reload(&self) -> Result<Reloaded> {
        self.reload.reload().await
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
        self.edges.shutdown().await;
        self.net.shutdown().await;
        let (file, guards) = &self.bans;
        if let Err(error) = file.keep(guards) {
            tracing::error!(error = format!("{error:#}"), "the last bans are not kept");
        }
        if let Some(service) = self.push_service {
            service.shutdown().await;
        }
        self.reload.pusher().await.shutdown().await;
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

/// What the roles and the hub are set to.
fn roles(source: Source<'_>) -> Result<(call::Settings, im::Settings, hub::Config)> {
    let call = source.call()?;
    let mut im = components::known(source.im()?, source.config)?;
    im.turn = turn::of(source.config)?;
    let hub = source.hub(&call);
    Ok((call, im, hub))
}

/// Nobody's account yet, who is banned, and who looks after the doors.
fn guarded(
    config: &Config,
    metrics: &Arc<Metrics>,
) -> Result<(Accounts, Arc<BanFile>, Doorkeeper)> {
    let accounts = Accounts::default();
    let bans = BanFile::open(&config.server.data_dir, accounts.guards())?;
    let keeper = Doorkeeper::new(accounts.guards(), config, metrics.clone())?;
    Ok((accounts, Arc::new(bans), keeper))
}

/// Opens the store, whose locks are ours, with these accounts in it.
pub(crate) async fn open_store(
    config: &Config,
    users: Vec<(String, String)>,
) -> Result<Arc<dyn Store>> {
    let url = config.store_url();
    if let Some(restored) = store::finish_restore(&url)? {
        tracing::warn!(?restored, "finished a restore that was cut short");
    }
    let store = store::open(&url).context("the store")?;
    add_users(store.as_ref(), config, users).await?;
    Ok(store)
}

/// Creates the accounts that are not there yet.
async fn add_users(store: &dyn Store, config: &Config, users: Vec<(String, String)>) -> Result<()> {
    let mut new = Vec::new();
    for (name, password) in users {
        let address = domain::Address::new(&name, config.domain())?;
        if store.user(&address).await?.is_none() {
            new.push((address, password));
        }
    }
    let users = accounts::alike(new, Ways::of(config)).into_iter();
    let put = users.map(|user| vec![domain::Change::PutUser(Box::new(user))]);
    let saved = store.commit(put.collect()).await?;
    Ok(saved.into_iter().collect::<Result<_, _>>()?)
}

/// Opens the sockets of SIP and XMPP, with room for as many connections as there are files.
async fn sockets(
    config: &Config,
    keeper: &Doorkeeper,
    (server_tls, client_tls): (Option<net::TlsSource>, Option<Arc<rustls::ClientConfig>>),
    steer: &net::Steer,
) -> Result<(net::Net, Vec<net::Events>, Room)> {
    let room = files::room(files::raise(), &config.limits);
    let listening = net_config(config, (room, keeper), server_tls, client_tls)?;
    let bound = net::Net::bind_sharded(listening, config.shards(), steer.clone());
    let (net, events) = bound.await?;
    Ok((net, events, room))
}

/// What is kept, counted, and watched for its end; and who is at the doors.
type Kept<'a> = (
    &'a Arc<dyn Store>,
    &'a Arc<Metrics>,
    (
        &'a Option<Arc<CertificateFiles>>,
        &'a Arc<Expiry>,
        &'a Doorkeeper,
    ),
);

fn reload_parts(
    origin: Option<Origin>,
    (store, metrics, (certificate, expiry, keeper)): Kept<'_>,
    apps: &Apps,
    (push_service, call): (Option<&pushd::Running>, CallParts),
) -> reload::Parts {
    reload::Parts {
        origin,
        store: store.clone(),
        metrics: metrics.clone(),
        certificate: certificate.clone(),
        keeper: keeper.clone(),
        handshakes: call.net.handshakes(),
        expiry: expiry.clone(),
        apps: apps.clone(),
        push_service: push_service.map(pushd::Running::follower),
        call: Some(call),
    }
}

/// Reads the configuration again.
pub(crate) fn reloading(reload: Arc<Reload>) -> Reloading {
    Arc::new(move || {
        let reload = reload.clone();
        Box::pin(async move { reload.reload().await })
    })
}

/// The clients that push now.
fn pushers(reload: Arc<Reload>) -> Pushing {
    Arc::new(move || {
        let reload = reload.clone();
        Box::pin(async move { reload.pusher().await })
    })
}

/// What is looked at all the time.
fn watches(
    metrics: &Arc<Metrics>,
    (net, edges, bans): (&net::Net, &Within, &Bans),
    (store, locks): (&Arc<dyn Store>, &[lock::Lock]),
    (certificate, expiry): (Option<Arc<CertificateFiles>>, Arc<Expiry>),
    stopped: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let refusals = upkeep::watch_refusals(metrics.clone(), net.clone(), Vec::new, stopped.clone());
    let kept = upkeep::keep_bans(bans.clone(), metrics.clone(), stopped.clone());
    let expires = expiry.watch(metrics.clone(), stopped.clone());
    let stored = watch_store(store.clone(), metrics.clone(), stopped.clone());
    let locked = lock::watch(locks, metrics.clone(), stopped.clone());
    let tunnels = edge::watch(edges.links(), metrics.clone(), stopped.clone());
    let mut tasks = vec![
        tokio::spawn(stored),
        tokio::spawn(locked),
        tokio::spawn(tunnels),
        tokio::spawn(refusals),
        tokio::spawn(kept),
        tokio::spawn(expires),
    ];
    if let Some(certificate) = certificate {
        tasks.push(tokio::spawn(
            certificate.follow(metrics.clone(), stopped.clone()),
        ));
    }
    tasks
}

/// The push service, if this process has that role.
async fn push_service(
    config: &Config,
    (store, pusher, secret, apps): (&Arc<dyn Store>, &push::Pusher, &[u8], &[push::App]),
    tenants: Vec<domain::Tenant>,
    metrics: &Arc<Metrics>,
) -> Result<Option<pushd::Running>> {
    if !config.has_role("push") {
        return Ok(None);
    }
    let others = pushd::Others::read(config, apps)?;
    let with = (secret, metrics);
    let service = pushd::Running::start(store.clone(), pusher.clone(), with, tenants, others);
    service.await.map(Some)
}

/// What is served over HTTP.
fn behind(
    api: Api,
    health: Router,
    push_service: Option<&pushd::Running>,
    (beside, pages): (Router, Router),
) -> Behind {
    let mut behind = Behind {
        admin: api::admin(api.clone()).merge(beside),
        device: api::device(api.clone()).merge(pages),
        health,
        push: Router::new(),
    };
    if let Some(service) = push_service {
        behind.admin = behind.admin.merge(service.admin(api.gate));
        behind.push = service.rest();
    }
    behind
}

/// Connects to the push clouds before they are needed.
pub(crate) async fn warmed(pusher: push::Pusher) {
    pusher.warm().await;
}

/// What is done now and then.
fn chores(
    config: &Config,
    (store, metrics, tokens): (&Arc<dyn Store>, &Arc<Metrics>, &Arc<AccessTokens>),
    accounts: Accounts,
    shards: Shards,
    stopped: &watch::Receiver<bool>,
) -> [JoinHandle<()>; 4] {
    let retention = config.observe.retention.0;
    let prune = upkeep::prune(store.clone(), shards.clone(), retention, stopped.clone());
    let follow = upkeep::follow_store(store.clone(), accounts, shards, stopped.clone());
    let grants = upkeep::prune_grants(store.clone(), tokens.keys.clone(), stopped.clone());
    let keys = upkeep::keep_token_keys(tokens.keys.clone(), metrics.clone(), stopped.clone());
    [
        tokio::spawn(prune),
        tokio::spawn(follow),
        tokio::spawn(grants),
        tokio::spawn(keys),
    ]
}

/// What operators look at: shards, store, counters and who watches, bans.
type Watched<'a> = (
    &'a Shards,
    &'a Arc<dyn Store>,
    (&'a Arc<Metrics>, Live),
    Bans,
);

fn api(
    config: &Config,
    tokens: &Arc<AccessTokens>,
    admin_token: String,
    (shards, store, (metrics, live), (ban_file, guards)): Watched<'_>,
    ((apps, reload, pushing), turn): ((Apps, Reloading, Pushing), Option<im::Turn>),
) -> Api {
    let domains = config.server.domains.0.iter();
    Api {
        shards: shards.clone(),
        store: store.clone(),
        metrics: metrics.clone(),
        live,
        pushing,
        gate: Gate {
            token: admin_token.into(),
            guards: guards.clone(),
            metrics: metrics.clone(),
        },
        tokens: tokens.clone(),
        clients: Clients::of(config).map(Arc::new),
        turns: Turns::default(),
        guards,
        ban_file,
        domain: config.domain().into(),
        domains: domains.map(|domain| domain.to_lowercase()).collect(),
        ways: Ways::of(config),
        apps,
        reload,
        turn,
    }
}

pub(crate) fn net_config(
    config: &Config,
    (room, keeper): (Room, &Doorkeeper),
    server_tls: Option<net::TlsSource>,
    client_tls: Option<Arc<rustls::ClientConfig>>,
) -> Result<net::Config> {
    Ok(net::Config {
        udp: config.listen.sip_udp.0.clone(),
        tcp: config.listen.sip_tcp.0.clone(),
        tls: config.listen.sip_tls.0.clone(),
        xmpp: greeting(config)?,
        components: components::greeting(config)?,
        server_tls,
        client_tls,
        doorman: Some(keeper.doorman()),
        limits: net_limits(&config.limits, room),
    })
}

pub(crate) fn net_limits(limits: &config::Limits, room: Room) -> net::Limits {
    let message = sip::Limits {
        message_bytes: limits.message_bytes,
        ..sip::Limits::default()
    };
    net::Limits {
        connections: room.connections,
        reserved: room.reserved,
        silent: room.silent,
        connections_per_peer: room.connections_per_peer,
        outgoing: room.outgoing,
        message,
        strangers_per_second: limits.strangers_per_second,
        handshakes_per_second: limits.handshakes_per_second,
        ..net::Limits::default()
    }
}
