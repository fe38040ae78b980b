//! A service with the app and a tenant, and its cloud.

use crate::world::{APP, Service, World, until};
use domain::Provider;
use lab::cloud::{CloudConfig, CloudHandle, Clouds, Fault, FaultKind, Filter};
use serde_json::Value;

/// See the module.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) clouds: Clouds,
    pub(crate) service: Service,
    pub(crate) token: String,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with_clouds(|_| ()).await
    }

    /// With clouds that are somehow else.
    pub(crate) async fn with_clouds(change: impl FnOnce(&mut CloudConfig)) -> Self {
        let mut world = World::new();
        change(&mut world.clouds);
        let clouds = world.clouds().await;
        world.configure_app();
        let secret = world.tenant("pbx");
        let service = world.serve();
        let token = service.token("pbx", &secret);
        Self {
            world,
            clouds,
            service,
            token,
        }
    }

    pub(crate) fn cloud(&self) -> CloudHandle {
        self.clouds.handle()
    }

    pub(crate) fn order(&self, kind: FaultKind) {
        self.order_of(Fault::new(Provider::Apns, kind));
    }

    pub(crate) fn order_of(&self, fault: Fault) {
        self.cloud().order(fault).unwrap();
    }

    /// What the tenant hears of a push that it waits for.
    pub(crate) fn outcome(&self, id: &str) -> Value {
        self.service.push(&self.token, id)
    }

    pub(crate) fn is_accepted(&self, id: &str) {
        let said = self.outcome(id);
        assert_eq!(said["outcome"], "accepted", "{said}");
    }

    /// Whether the operator is told this of the app.
    pub(crate) fn stands(&self, alarm: &str) -> bool {
        let wanted = format!("{alarm} {APP}");
        self.world.alarms().contains(&wanted)
    }

    /// So many requests of the counter with this outcome.
    pub(crate) fn counted(&self, outcome: &str) -> u64 {
        let labels = format!("provider=\"apns\",channel=\"message\",outcome=\"{outcome}\"");
        let name = format!("reveille_push_requests_total{{{labels}}}");
        self.service.metric(&name)
    }

    /// How often the cloud has taken a push for each device of a range.
    pub(crate) fn taken(&self) -> Vec<usize> {
        let taken = |it: &lab::cloud::Record| it.answer.as_ref().is_some_and(|it| it.status == 200);
        let pushes = self.cloud().notifications(&Filter::default());
        let mut counts = std::collections::BTreeMap::new();
        for push in pushes.into_iter().filter(taken) {
            *counts.entry(push.token).or_insert(0) += 1;
        }
        counts.into_values().collect()
    }

    /// A burst whose every push arrives once.
    pub(crate) async fn burst_arrives(&self, pushes: usize) {
        let said = self.service.promise(&self.token, 0..pushes);
        assert!(said.iter().all(|it| it["outcome"] == "queued"), "{said:?}");
        until("the burst has arrived", || self.taken().len() == pushes).await;
        assert!(self.taken().iter().all(|times| *times == 1), "none twice");
        until("nothing waits", || {
            self.service.metric("reveille_push_queue ") == 0
        })
        .await;
    }

    pub(crate) async fn end(self) {
        assert!(self.service.stop());
        self.clouds.shutdown().await;
    }
}
