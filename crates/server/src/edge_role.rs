//! An edge as a process: `reveille serve --roles edge`. No users, no store; a key, listeners, and what looks after them.

use crate::{
    admin_socket::AdminSocket,
    api::{self, Gate, health},
    app::{Bound, Options, net_config, on_this_host},
    config::{self, Config},
    doorkeeper::Doorkeeper,
    doors::{Behind, Doors},
    edge::{self, Links, Refused, Rules, SendAway, Shared},
    expiry::Expiry,
    files, lock,
    metrics::Metrics,
    pairs,
    reload::Origin,
    upkeep::CertificateFiles,
    web,
};
use anyhow::{Context, Result, anyhow};
use axum::Router;
use hub::Guards;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tunnel::{Edge, Fingerprint, Limits, State};

/// How long whoever listens may take to end.
const FAREWELL: Duration = Duration::from_secs(3);

/// A running edge.
pub struct EdgeRole {
    bound: Bound,
    tunnel: SocketAddr,
    ready: health::Ready,
    stop: watch::Sender<bool>,
    origin: Option<Origin>,
    shared: Arc<Shared>,
    orders: mpsc::Sender<SendAway>,
    drains: Duration,
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
        let config = on_this_host(config);
        let locks = lock::all(&config.server.data_dir, "memory:")?;
        let metrics = Arc::new(Metrics::default());
        let guards = Guards::default();
        let keeper = Doorkeeper::new(&guards, &config, metrics.clone())?;
        let room = files::room(files::raise(), &config.limits);
        let http = room.http;
        let listening = net_config(&config, (room, &keeper), tls.clone(), None)?;
        let limits = listening.limits.message;
        let (net, events) = net::Net::bind(listening).await?;
        let doors = Doors::open(&config).await?;
        let tunnel = listen(&config)?;
        let tunnel_at = tunnel.address()?;
        let bound = Bound::of(net.addresses().clone(), &doors);
        web::publish(&config, &net, &bound.device_tls);
        let seen = (metrics.clone(), guards.clone(), keeper.clone());
        let shared = Shared::new((net, tunnel), limits, Rules::of(&config), seen);
        let shared = Arc::new(shared);
        // All are there from the start.
        for why in Refused::ALL {
            metrics.edge_refused(why.name(), 0);
        }
        let https = tls.clone().map(|tls| (tls, shared.net.handshakes()));
        let (stop, stopped) = watch::channel(false);
        let ready = health::Ready::default();
        let gate = Gate {
            token: options.admin_token.into(),
            guards,
            metrics: metrics.clone(),
        };
        let links = links(shared.clone());
        let behind = Behind {
            admin: edge::router(links.clone(), gate.clone())
                .merge(api::alarms(metrics.clone(), gate)),
            device: outside_api(&config, &bound, &shared),
            health: health::router(metrics.clone(), ready.clone()),
            push: Router::new(),
        };
        let (mut others, admin_socket) =
            doors.serve(behind, https.as_ref(), (http, &keeper), &stopped);
        let (orders, ordered) = mpsc::channel(1);
        let certificate = CertificateFiles::of(&config, tls.as_ref()).map(Arc::new);
        let expiry = Arc::new(Expiry::new(certificate.clone()));
        let renewals = certificate.map(|it| it.follow(metrics.clone(), stopped.clone()));
        others.extend(renewals.map(tokio::spawn));
        others.extend([
            tokio::spawn(expiry.watch(metrics.clone(), stopped.clone())),
            tokio::spawn(edge::watch(links, metrics, stopped)),
            tokio::spawn(edge::run(shared.clone(), events, ordered)),
        ]);
        ready.set(true);
        Ok(Self {
            bound,
            tunnel: tunnel_at,
            ready,
            stop,
            origin,
            shared,
            orders,
            drains: config.edge.drain.0,
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

    /// Reads again which insides may dial; whoever is not among them any more is sent away. Gives their number.
    ///
    /// # Errors
    /// The configuration is wrong, or there is none to be read. Nothing has changed.
    pub fn reload(&self) -> Result<usize> {
        let origin = self.origin.as_ref();
        let file = &origin
            .context("there is no configuration to read again")?
            .file;
        let written = config::load(&Config::default(), Some(file), std::env::vars())?;
        let insides = insides(&written)?;
        let count = insides.len();
        self.shared.tunnel.know(insides);
        Ok(count)
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
        self.drains
    }

    /// Lets nobody in any more and sends clients away, not all at once, and those in a call when that is over. Returns when
    /// nobody is left, or when `edge.drain` is over.
    pub async fn drain(&self) {
        self.ready.set(false);
        self.shared.net.let_nobody_in();
        edge::drain(&self.orders, self.drains).await;
    }

    /// Stops: clients are sent away, each after what it has been told, and come back by another edge.
    pub async fn shutdown(self) {
        self.ready.set(false);
        // Nobody may listen any more.
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

/// How the tunnels are.
fn links(shared: Arc<Shared>) -> Links {
    Arc::new(move || shared.tunnel.status())
}

/// What clients find in TLS, if they are let to it.
fn outside_api(config: &Config, bound: &Bound, shared: &Arc<Shared>) -> Router {
    if bound.device_tls.is_empty() {
        return Router::new();
    }
    edge::device_api(shared.clone()).merge(web::router(config, (&bound.sip, &bound.device_tls)))
}

fn insides(config: &Config) -> Result<Vec<Fingerprint>> {
    let insides = config.edge.insides.0.iter().map(|key| pairs::inside(key));
    let insides = insides.collect::<Result<Vec<_>, _>>();
    insides.map_err(|error| anyhow!("edge.insides: {error}"))
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
    let limits = Limits::default();
    Edge::listen(*at, config.node(), &identity, insides, limits)
        .with_context(|| format!("cannot listen at {at} (listen.tunnel)"))
}
