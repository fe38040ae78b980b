//! An edge as a process: `reveille serve --roles edge`. No users, no store; a key, listeners, and what looks after them.

use crate::{
    admin_socket::AdminSocket,
    api::{self, Gate, health},
    app::{Bound, Options, net_config},
    clock::clock,
    config::Config,
    doorkeeper::Doorkeeper,
    doors::{Behind, Doors},
    edge::{self, Links, Relay, Rules, Shared},
    edge_reload::{EdgeReload, insides},
    expiry::Expiry,
    files::{self, Room},
    http, kernel_drops, lock,
    metrics::Metrics,
    pairs,
    reloaded::Reloaded,
    settings::offer_at_edge,
    setup,
    upkeep::{self, CertificateFiles},
    web,
};
use anyhow::{Context, Result};
use axum::Router;
use domain::Refusal;
use hub::Guards;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tunnel::{Edge, Limits, State};

/// How long whoever listens may take to end.
const FAREWELL: Duration = Duration::from_secs(3);

/// A running edge.
pub struct EdgeRole {
    bound: Bound,
    tunnel: SocketAddr,
    ready: health::Ready,
    stop: watch::Sender<bool>,
    /// Whether clients are to come no more to what is beside `net`.
    shut: watch::Sender<bool>,
    reload: Arc<EdgeReload>,
    shared: Arc<Shared>,
    relay: Arc<Relay>,
    others: Vec<JoinHandle<()>>,
    _locks: Vec<lock::Lock>,
    _admin_socket: Option<AdminSocket>,
}

impl EdgeRole {
    /// Starts everything, or nothing. When it returns, clients are let in as soon as an inside has dialled.
    pub async fn start(options: Options) -> Result<Self> {
        let Options {
            config,
            tls,
            origin,
            ..
        } = options;
        let config = setup::on_this_host(config);
        let locks = lock::all(&config.server.data_dir, "memory:")?;
        let metrics = Arc::new(Metrics::default());
        let guards = Guards::default();
        let keeper = Doorkeeper::new(&guards, &config, metrics.clone())?;
        let room = files::room(files::raise(), &config.limits);
        let http = room.http;
        let (listening, passwords) = listening(&config, (room, &keeper), tls.clone())?;
        let limits = listening.limits.message;
        let doors = Doors::open(&config)?;
        let (net, tunnel) = open(&config, listening).await?;
        let tunnel_at = tunnel.address()?;
        let bound = Bound::of(net.addresses().clone(), &doors);
        web::publish(&config, &net, &bound.device_tls);
        let seen = (metrics.clone(), guards.clone(), keeper.clone());
        let shared = Shared::new((net, tunnel), limits, Rules::of(&config), seen);
        let shared = Arc::new(shared);
        let https = tls.clone().map(|tls| (tls, shared.net.handshakes()));
        let (stop, stopped) = watch::channel(false);
        let (shut, is_shut) = watch::channel(false);
        let certificate = CertificateFiles::of(&config, tls.as_ref()).map(Arc::new);
        let reload = Arc::new(EdgeReload {
            origin,
            shared: shared.clone(),
            certificate: certificate.clone(),
            device_tls: bound.device_tls.clone(),
            passwords,
            running: Mutex::new(config),
        });
        let ready = health::Ready::default();
        let gate = Gate {
            token: options.admin_token.into(),
            guards,
            metrics: metrics.clone(),
        };
        let links = links(shared.clone());
        let behind = Behind {
            admin: for_operators(&links, &reload, gate),
            device: outside_api(&bound, &shared),
            health: health::router(metrics.clone(), ready.clone()),
            push: Router::new(),
        };
        let ends = [&stopped, &is_shut];
        let (mut others, admin_socket) = doors.serve(behind, https.as_ref(), (http, &keeper), ends);
        others.extend(watchers(&shared, certificate, &metrics, &stopped));
        let relay = Relay::begin(&shared);
        others.push(tokio::spawn(relay.clone().watch(stopped.clone())));
        ready.set(true);
        Ok(Self {
            bound,
            tunnel: tunnel_at,
            ready,
            stop,
            shut,
            reload,
            shared,
            relay,
            others,
            _locks: locks,
            _admin_socket: admin_socket,
        })
    }

    /// Where it can be reached.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Where insides dial.
    pub fn tunnel(&self) -> SocketAddr {
        self.tunnel
    }

    /// Reads the configuration again and takes what can be taken of it. Clients of an inside that may dial no more are sent away.
    ///
    /// # Errors
    /// What is wrong with it, or that there is none to be read. Nothing has changed.
    pub fn reload(&self) -> Result<Reloaded> {
        self.reload.reload()
    }

    /// Whether an inside has dialled it.
    pub(crate) fn is_reached(&self) -> bool {
        let tunnels = self.shared.tunnel.status();
        tunnels
            .iter()
            .any(|it| matches!(it.state, State::Up { .. }))
    }

    /// How long [`EdgeRole::drain`] takes at most.
    pub fn drains(&self) -> Duration {
        self.reload.drains()
    }

    /// Lets nobody in any more and sends clients away, not all at once, and those in a call when that is over; what the device API was
    /// asked by then is answered. Returns when nobody is left, or when `edge.drain` is over.
    pub async fn drain(&self) {
        self.ready.set(false);
        self.shared.net.let_nobody_in();
        // Whoever listens may be gone already.
        let _ = self.shut.send(true);
        let drains = self.drains();
        let answered = timeout(drains.min(http::WHOLE), self.shut.closed());
        // Whoever is not answered by then hears nothing more.
        let ((), _) = tokio::join!(self.relay.drain(drains), answered);
    }

    /// Stops: clients are sent away, each after what it has been told, and come back by another edge.
    pub async fn shutdown(self) {
        self.ready.set(false);
        // Nobody may listen any more.
        let _ = self.shut.send(true);
        let _ = self.stop.send(true);
        self.shared.net.shutdown().await;
        self.shared.tasks.close();
        // Streams end with their clients; an inside that does not read is not waited for.
        let _ = timeout(FAREWELL, self.shared.tasks.wait()).await;
        self.shared.tunnel.shutdown().await;
        for mut task in self.others {
            if timeout(FAREWELL, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

/// How clients are listened to; and whether those of XMPP are offered to sign in by a password, which may change.
fn listening(
    config: &Config,
    (room, keeper): (Room, &Doorkeeper),
    tls: Option<net::TlsSource>,
) -> Result<(net::Config, Arc<AtomicBool>)> {
    let mut listening = net_config(config, (room, keeper), tls, None)?;
    // Of which each signs in.
    listening.limits.each_proves = true;
    let passwords = Arc::new(AtomicBool::new(config.edge.passwords));
    if let Some(xmpp) = &mut listening.xmpp {
        xmpp.offer = offer_at_edge(passwords.clone());
    }
    Ok((listening, passwords))
}

/// What operators ask.
fn for_operators(links: &Links, reload: &Arc<EdgeReload>, gate: Gate) -> Router {
    let metrics = gate.metrics.clone();
    edge::router(links.clone(), gate.clone())
        .merge(api::reload(reload.clone().reloading(), gate.clone()))
        .merge(api::alarms(metrics, gate))
}

/// What looks after tunnels, strangers and the certificate as long as we run.
fn watchers(
    shared: &Arc<Shared>,
    certificate: Option<Arc<CertificateFiles>>,
    metrics: &Arc<Metrics>,
    stopped: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let (metrics, stopped) = (|| metrics.clone(), || stopped.clone());
    let expiry = Arc::new(Expiry::new(certificate.clone()));
    let follows = certificate.map(|it| tokio::spawn(it.follow(metrics(), stopped())));
    let refused = refused_at_tunnel(shared.clone());
    let refused = upkeep::watch_refusals(metrics(), shared.net.clone(), refused, stopped());
    let others = [
        tokio::spawn(expiry.watch(metrics(), stopped())),
        tokio::spawn(edge::watch(links(shared.clone()), metrics(), stopped())),
        tokio::spawn(refused),
    ];
    follows.into_iter().chain(others).collect()
}

/// How the tunnels are.
fn links(shared: Arc<Shared>) -> Links {
    Arc::new(move || shared.tunnel.status())
}

/// What strangers were refused where insides dial.
fn refused_at_tunnel(shared: Arc<Shared>) -> impl Fn() -> Vec<(Refusal, u64)> {
    let at: Vec<_> = shared.tunnel.address().into_iter().collect();
    move || {
        let strangers = shared.tunnel.strangers();
        vec![
            (Refusal::Challenged, strangers.challenged),
            (Refusal::Shed, strangers.unanswered),
            (Refusal::Silent, strangers.failed),
            (Refusal::Unread, kernel_drops::dropped(&at)),
        ]
    }
}

/// What clients find in TLS, if they are let to it.
fn outside_api(bound: &Bound, shared: &Arc<Shared>) -> Router {
    if bound.device_tls.is_empty() {
        return Router::new();
    }
    edge::device_api(shared.clone()).merge(web::router(&shared.net))
}

/// Opens what clients come to, and what insides dial: both or neither.
async fn open(config: &Config, listening: net::Config) -> Result<(net::Net, Edge)> {
    let net = net::Net::bind_unqueued(listening).await?;
    match listen(config) {
        Ok(tunnel) => Ok((net, tunnel)),
        Err(error) => {
            net.shutdown().await;
            Err(error)
        }
    }
}

fn listen(config: &Config) -> Result<Edge> {
    let insides = insides(config)?;
    if insides.is_empty() {
        tracing::warn!(
            "edge.insides is empty: nobody can be reached from here; take the line that `reveille edge pair` prints inside"
        );
    }
    let at = config.listen.tunnel.0.first();
    let at = at.context("listen.tunnel is needed with the role edge: as \"0.0.0.0:4433\"")?;
    let identity = pairs::identity(&config.server.data_dir)?;
    let rest = (Limits::default(), clock());
    Edge::listen(*at, config.node(), &identity, insides, rest)
        .with_context(|| format!("cannot listen at {at} (listen.tunnel)"))
}
