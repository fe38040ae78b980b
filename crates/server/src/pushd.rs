//! The push service: the role `push`. [`desk`] drives the pure machine and performs what it says, [`rest`] is what senders
//! see of it, [`admin`] what operators do (`docs/adr/0012-the-push-service.md`).

pub(crate) mod admin;
mod answer;
mod desk;
mod rest;
mod routes;
pub(crate) mod tenants;

pub use tenants::{Credentials, TenantChange, TenantView};

use crate::{api::Gate, clock, entropy::random, metrics::Metrics};
use anyhow::{Context, Result};
use axum::Router;
use desk::Desk;
use domain::Tenant;
use pushd::{Input, Limits, Service};
use std::sync::Arc;
use store::Store;
use tenants::Tenants;
use tokio::task::JoinHandle;

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
    task: JoinHandle<()>,
}

impl Running {
    /// Takes up what the store has, `known` tenants included that are there from the start.
    pub(crate) async fn start(
        store: Arc<dyn Store>,
        pusher: push::Pusher,
        (secret, metrics): (&[u8], &Arc<Metrics>),
        known: Vec<Tenant>,
    ) -> Result<Self> {
        for tenant in known {
            let put = domain::Change::PutTenant(Box::new(tenant));
            crate::accounts::write(store.as_ref(), put).await?;
        }
        let mut service = Service::new(Limits::default(), random());
        let tenants = store.tenants().await.context("the tenants")?;
        load(store.as_ref(), &tenants, &mut service)
            .await
            .context("the push service's queue")?;
        let (desk, task) = desk::start(service, pusher, store.clone(), metrics.clone());
        Ok(Self {
            tenants: Tenants::new(tenants, store.clone(), desk.clone()),
            desk,
            store,
            secret: secret.to_vec(),
            metrics: metrics.clone(),
            task,
        })
    }

    /// What senders see.
    pub(crate) fn rest(&self) -> Router {
        routes::router(rest::Rest::new(
            self.desk.clone(),
            self.tenants.clone(),
            self.store.clone(),
            (&self.secret, self.metrics.clone()),
        ))
    }

    /// What operators do; without a word for what is not there.
    pub(crate) fn admin(&self, gate: Gate) -> Router {
        admin::routes(self.tenants.clone(), gate)
    }

    /// Whoever has other clients for it, later.
    pub(crate) fn follower(&self) -> Follower {
        Follower(self.desk.clone())
    }

    /// Takes nothing more, and ends when what is under way has its answer.
    pub(crate) async fn shutdown(self) {
        self.desk.stop().await;
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the push service ended badly");
        }
    }
}

/// The way by which a running service gets other clients to push by.
pub(crate) struct Follower(Desk);

impl Follower {
    /// From now on it pushes by these.
    pub(crate) async fn push_by(&self, pusher: push::Pusher) {
        self.0.push_by(pusher).await;
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
