//! By what others push through us beside the REST, as it counts now: the apps of the gateway, and the servers whose component we are. A reload
//! changes them while we run; what has not changed stays as it is, connections included.

use super::{
    component::Dialled,
    component::keep,
    desk::Desk,
    matrix::{Current, Gateway},
    nodes::Nodes,
    tenants::Tenants,
};
use crate::{alarms::Alarm, metrics::Metrics};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::{
    sync::{Mutex, watch},
    task::JoinHandle,
};

/// See the module.
pub(super) struct Through {
    desk: Desk,
    nodes: Arc<Nodes>,
    tenants: Tenants,
    metrics: Arc<Metrics>,
    gateway: Arc<Current>,
    /// Our domains at servers.
    services: RwLock<Vec<String>>,
    links: Mutex<Vec<Link>>,
}

/// A server whose component we are.
struct Link {
    dialled: Dialled,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Link {
    /// What it has begun is pushed by the desk.
    async fn end(self) {
        // It may have ended.
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

impl Through {
    pub(super) fn new(
        desk: Desk,
        nodes: Arc<Nodes>,
        tenants: Tenants,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            desk,
            nodes,
            tenants,
            metrics,
            gateway: Arc::default(),
            services: RwLock::default(),
            links: Mutex::default(),
        }
    }

    /// From now on these, and no others.
    pub(super) async fn take(&self, gateway: Gateway, components: Vec<Dialled>) {
        self.is_let(&gateway);
        self.gateway.becomes(gateway);
        let services = components.iter().map(|it| it.domain.to_string());
        *self
            .services
            .write()
            .unwrap_or_else(PoisonError::into_inner) = services.collect();
        let mut links = self.links.lock().await;
        let before = std::mem::take(&mut *links);
        let (stay, go): (Vec<_>, Vec<_>) = before
            .into_iter()
            .partition(|link| components.contains(&link.dialled));
        *links = stay;
        for link in go {
            let domain = link.dialled.domain.clone();
            link.end().await;
            let alarms = self.metrics.alarms();
            alarms.about(Alarm::ComponentRefused, domain.as_str(), None);
        }
        for dialled in components {
            if !links.iter().any(|link| link.dialled == dialled) {
                links.push(self.dial(dialled));
            }
        }
    }

    /// Says where a tenant is missing: it may be made while we run.
    fn is_let(&self, gateway: &Gateway) {
        for (name, app) in gateway.tenants() {
            let tenant = self.tenants.get(name.as_str());
            if tenant.is_none_or(|it| !it.may_push_to(app)) {
                let (tenant, app) = (name.as_str(), app.as_str());
                tracing::warn!(
                    tenant,
                    app,
                    "the push gateway's tenant may not push to its app: homeservers are told to try again"
                );
            }
        }
    }

    fn dial(&self, dialled: Dialled) -> Link {
        let (stop, stopped) = watch::channel(false);
        let with = (&self.desk, &self.nodes, &self.metrics);
        let task = keep(dialled.clone(), with, stopped);
        Link {
            dialled,
            stop,
            task,
        }
    }

    /// The apps of the gateway.
    pub(super) fn gateway(&self) -> Arc<Current> {
        self.gateway.clone()
    }

    /// The nodes that clients enable, and where; nowhere, if no server pushes through us.
    pub(super) fn enabling(&self) -> (&Nodes, Vec<String>) {
        let services = self.services.read();
        let services = services.unwrap_or_else(PoisonError::into_inner);
        (&self.nodes, services.clone())
    }

    /// No server is pushed for any more.
    pub(super) async fn stop(&self) {
        for link in std::mem::take(&mut *self.links.lock().await) {
            link.end().await;
        }
    }
}
