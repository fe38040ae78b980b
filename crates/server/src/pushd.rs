//! The push service: the role `push`. [`desk`] drives the pure machine and performs what it says, [`rest`] is what senders
//! see of it, [`admin`] what operators do (`docs/adr/0012-the-push-service.md`).

pub(crate) mod admin;
mod answer;
pub(crate) mod component;
mod desk;
mod hook;
pub(crate) mod matrix;
mod nodes;
mod rest;
mod routes;
pub(crate) mod tenants;
mod through;
mod webhook;

pub use tenants::{Credentials, TenantChange, TenantView};

use crate::{api::Gate, clock, config::Config, entropy::random, metrics::Metrics, setup};
use anyhow::{Context, Result};
use axum::Router;
use desk::Desk;
use domain::Tenant;
use nodes::Nodes;
use pushd::{Input, Limits, Service};
use std::sync::Arc;
use store::Store;
use tenants::Tenants;
use through::Through;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

/// Rows of the queue, and of what became of it, that are read at once when the service starts.
const PAGE: usize = 1_000;

/// The OpenAPI description of the REST.
pub fn openapi() -> serde_json::Value {
    routes::document()
}

/// A running service.
pub(crate) struct Running {
    desk: Desk,
    tenants: Tenants,
    store: Arc<dyn Store>,
    secret: Vec<u8>,
    metrics: Arc<Metrics>,
    through: Arc<Through>,
    /// How webhooks are called from now on.
    hooks: watch::Sender<Arc<rustls::ClientConfig>>,
    allowances: matrix::Allowances,
    stop: watch::Sender<bool>,
    webhooks: JoinHandle<()>,
    task: JoinHandle<()>,
}

/// By what others push through us, beside the REST.
pub(crate) struct Others {
    pub(crate) gateway: matrix::Gateway,
    allowances: matrix::Allowances,
    pub(crate) components: Vec<component::Dialled>,
    /// How webhooks are called.
    tls: Arc<rustls::ClientConfig>,
}

impl Others {
    /// As the configuration has it.
    pub(crate) fn read(config: &Config, apps: &[push::App]) -> Result<Self> {
        Ok(Self {
            gateway: matrix::read(config, apps)?,
            allowances: matrix::Allowances::of(&config.limits),
            components: component::read(config)?,
            tls: setup::tls_trusting(setup::route(&config.push)?.roots)?,
        })
    }
}

impl Running {
    /// Takes up what the store has, `known` tenants included that are there from the start.
    pub(crate) async fn start(
        store: Arc<dyn Store>,
        pusher: push::Pusher,
        (secret, metrics): (&[u8], &Arc<Metrics>),
        known: Vec<Tenant>,
        others: Others,
    ) -> Result<Self> {
        let before = store.tenants().await.context("the tenants")?;
        for mut tenant in known {
            // It is said anew what it may, and not where it is told of that.
            let same = before.iter().find(|it| it.id == tenant.id);
            tenant.webhook = same.and_then(|it| it.webhook.clone());
            let put = domain::Change::PutTenant(Box::new(tenant));
            crate::accounts::write(store.as_ref(), put).await?;
        }
        let mut service = Service::new(Limits::default(), random());
        let tenants = store.tenants().await.context("the tenants")?;
        load(store.as_ref(), &tenants, &mut service)
            .await
            .context("the push service's queue")?;
        let news = Arc::new(Notify::new());
        let seen = (metrics.clone(), news.clone());
        let (desk, task) = desk::start(service, pusher, store.clone(), seen);
        let nodes = Arc::new(Nodes::new(secret));
        let (stop, stopped) = watch::channel(false);
        let tenants = Tenants::new(tenants, store.clone(), desk.clone());
        let tenants = tenants.with_webhooks(secret, news.clone());
        let through = Through::new(desk.clone(), nodes, tenants.clone(), metrics.clone());
        let through = Arc::new(through);
        through.take(others.gateway, others.components).await;
        let (hooks, tls) = watch::channel(others.tls);
        let webhooks = webhook::run(
            webhook::Parts {
                tenants: tenants.clone(),
                store: store.clone(),
                metrics: metrics.clone(),
                tls,
                secret: secret.to_vec(),
                news,
            },
            stopped,
        );
        Ok(Self {
            tenants,
            desk,
            store,
            secret: secret.to_vec(),
            metrics: metrics.clone(),
            through,
            hooks,
            allowances: others.allowances,
            stop,
            webhooks: tokio::spawn(webhooks),
            task,
        })
    }

    /// What senders see.
    pub(crate) fn rest(&self) -> Router {
        let rest = routes::router(rest::Shared::new(
            self.desk.clone(),
            self.tenants.clone(),
            self.store.clone(),
            (&self.secret, self.metrics.clone()),
            self.through.clone(),
        ));
        let gateway = self.through.gateway();
        rest.merge(matrix::router(gateway, &self.allowances, self.desk.clone()))
    }

    /// What operators do; without a word for what is not there.
    pub(crate) fn admin(&self, gate: Gate) -> Router {
        admin::routes(self.tenants.clone(), gate)
    }

    /// Whoever has other clients for it, later.
    pub(crate) fn follower(&self) -> Follower {
        Follower {
            desk: self.desk.clone(),
            through: self.through.clone(),
            hooks: self.hooks.clone(),
        }
    }

    /// Takes nothing more, and ends when what is under way has its answer.
    pub(crate) async fn shutdown(self) {
        // Nobody may listen: there may be no links.
        let _ = self.stop.send(true);
        let _ = self.webhooks.await;
        // What they have begun is pushed by the task below.
        self.through.stop().await;
        self.desk.stop().await;
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the push service ended badly");
        }
    }
}

/// The way by which a running service gets other clients to push by.
pub(crate) struct Follower {
    desk: Desk,
    through: Arc<Through>,
    hooks: watch::Sender<Arc<rustls::ClientConfig>>,
}

impl Follower {
    /// From now on it pushes by these.
    pub(crate) async fn push_by(&self, pusher: push::Pusher) {
        self.desk.push_by(pusher).await;
    }

    /// From now on these push through us, and webhooks are called so.
    pub(crate) async fn serve(&self, others: Others) {
        self.hooks.send_replace(others.tls);
        self.through.take(others.gateway, others.components).await;
    }
}

/// Tenants, then the queue, then what became of it within the day.
async fn load(
    store: &dyn Store,
    tenants: &[Tenant],
    service: &mut Service,
) -> Result<(), store::StoreError> {
    let now = clock::now();
    for tenant in tenants {
        service.handle(now, Input::Tenant(Box::new(tenant.clone())));
        let mut after = 0;
        loop {
            let ends = store.push_ends(&tenant.id, after, PAGE).await?;
            let Some(last) = ends.last() else { break };
            after = last.number;
            for end in ends {
                service.handle(now, Input::LoadedEnd(Box::new(end.settled)));
            }
        }
    }
    let mut after = None;
    loop {
        let queue = store.push_queue(after, PAGE).await?;
        let Some(last) = queue.last() else { break };
        after = Some((last.tenant.clone(), last.push.id.clone()));
        for queued in queue {
            service.handle(now, Input::Loaded(Box::new(queued)));
        }
    }
    Ok(())
}
