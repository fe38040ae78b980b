//! The push service as a process of its own: `reveille serve --roles push`. No SIP, no users; tenants, apps and the queue.

use crate::{
    admin_socket::AdminSocket,
    api::{self, Gate, health},
    app::{self, Bound, Options},
    apps::Apps,
    doorkeeper::Doorkeeper,
    doors::{Behind, Doors},
    expiry::Expiry,
    files, keeping_apps, lock,
    metrics::Metrics,
    pushd::{Others, Running},
    reload::{self, Reload},
    reloaded::Reloaded,
    setup,
    store_watch::watch_store,
    upkeep::CertificateFiles,
};
use anyhow::Result;
use axum::Router;
use hub::Guards;
use std::{sync::Arc, time::Duration};
use store::Store;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

/// How long whoever listens may take to end.
const FAREWELL: Duration = Duration::from_secs(3);

/// A running push service.
pub struct Alone {
    bound: Bound,
    ready: health::Ready,
    stop: watch::Sender<bool>,
    service: Running,
    /// Of the start: the reload may have made another one.
    pusher: push::Pusher,
    reload: Arc<Reload>,
    store: Arc<dyn Store>,
    others: Vec<JoinHandle<()>>,
    _locks: Vec<lock::Lock>,
    _admin_socket: Option<AdminSocket>,
}

impl Alone {
    /// Starts everything, or nothing. When it returns, the service takes notifications.
    pub async fn start(options: Options) -> Result<Self> {
        let config = setup::on_this_host(options.config);
        let locks = lock::all(&config.server.data_dir, &config.store_url())?;
        let store = app::open_store(&config, options.users).await?;
        let metrics = Arc::new(Metrics::default());
        let base = (options.apps, options.route);
        let made = reload::Running::made(&config, base, store.as_ref(), &metrics);
        let (apps, pushing) = made.await?;
        let pusher = pushing.pusher.clone();
        let certificate = CertificateFiles::of(&config, options.tls.as_ref()).map(Arc::new);
        let expiry = Arc::new(Expiry::new(certificate.clone()));
        expiry.take(&config, &apps);
        let through_us = Others::read(&config, &apps)?;
        let secret = setup::token_key(&config)?;
        let (with, tenants) = ((&secret[..], &metrics), options.tenants);
        let service = Running::start(store.clone(), pusher.clone(), with, tenants, through_us);
        let service = service.await?;
        let room = files::room(files::raise(), &config.limits);
        let handshakes = net::Handshakes::new(&app::net_limits(&config.limits, room));
        let guards = Guards::default();
        let keeper = Doorkeeper::new(&guards, &config, metrics.clone())?;
        let parts = reload::Parts {
            origin: options.origin,
            store: store.clone(),
            metrics: metrics.clone(),
            certificate: certificate.clone(),
            keeper: keeper.clone(),
            handshakes: handshakes.clone(),
            expiry: expiry.clone(),
            apps: Apps::of(&apps),
            push_service: Some(service.follower()),
            call: None,
        };
        let reload = Arc::new(Reload::new(parts, pushing));
        let doors = Doors::open(&config)?;
        let bound = Bound::of(net::Addresses::default(), &doors);
        let (stop, stopped) = watch::channel(false);
        let ready = health::Ready::default();
        let gate = Gate {
            token: options.admin_token.into(),
            guards,
            metrics: metrics.clone(),
        };
        let every = of_every_role(&store, &reload, &metrics, &gate);
        let behind = Behind {
            admin: service.admin(gate).merge(every),
            device: Router::new(),
            health: health::router(metrics.clone(), ready.clone()),
            push: service.rest(),
        };
        let tls = options.tls.map(|tls| (tls, handshakes));
        let (mut others, admin_socket) =
            doors.serve(behind, tls.as_ref(), (room.http, &keeper), [&stopped; 2]);
        let renewals = certificate.map(|it| it.follow(metrics.clone(), stopped.clone()));
        others.extend(renewals.map(tokio::spawn));
        let with = (&store, &metrics, stopped);
        others.extend(watchers(with, expiry, &locks));
        others.push(tokio::spawn(app::warmed(pusher.clone())));
        ready.set(true);
        Ok(Self {
            bound,
            ready,
            stop,
            service,
            pusher,
            reload,
            store,
            others,
            _locks: locks,
            _admin_socket: admin_socket,
        })
    }

    /// Where it can be reached.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Reads the configuration again and takes what can be taken of it.
    ///
    /// # Errors
    /// What is wrong with it. Nothing has changed.
    pub async fn reload(&self) -> Result<Reloaded> {
        self.reload.reload().await
    }

    /// Stops: what is under way gets its answer, what is queued is kept, connections are closed.
    pub async fn shutdown(self) {
        self.ready.set(false);
        self.service.shutdown().await;
        // Nobody may listen any more.
        let _ = self.stop.send(true);
        self.reload.pusher().await.shutdown().await;
        self.pusher.shutdown().await;
        for mut task in self.others {
            // Those that listen end by themselves, once they have answered.
            if timeout(FAREWELL, &mut task).await.is_err() {
                task.abort();
            }
        }
        if let Err(error) = self.store.close().await {
            tracing::error!(%error, "the store was not closed well");
        }
    }
}

/// What operators ask of every role.
fn of_every_role(
    store: &Arc<dyn Store>,
    reload: &Arc<Reload>,
    metrics: &Arc<Metrics>,
    gate: &Gate,
) -> Router {
    keeping_apps::routes(store, reload, gate.clone())
        .merge(api::reload(app::reloading(reload.clone()), gate.clone()))
        .merge(api::alarms(metrics.clone(), gate.clone()))
}

/// What looks after the service as long as it runs.
fn watchers(
    (store, metrics, stopped): (&Arc<dyn Store>, &Arc<Metrics>, watch::Receiver<bool>),
    expiry: Arc<Expiry>,
    locks: &[lock::Lock],
) -> [JoinHandle<()>; 3] {
    let metrics = || metrics.clone();
    [
        tokio::spawn(expiry.watch(metrics(), stopped.clone())),
        tokio::spawn(lock::watch(locks, metrics(), stopped.clone())),
        tokio::spawn(watch_store(store.clone(), metrics(), stopped)),
    ]
}
