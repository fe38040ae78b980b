//! What goes wrong at a cloud or on the way to it: what a tenant hears and what the operator sees.

use crate::world::{APP, Service, World, until};
use domain::Provider;
use lab::cloud::{CloudHandle, Clouds, Fate, Fault, FaultKind, Filter};
use serde_json::Value;

/// A service with the app and a tenant, and its cloud.
struct Stage {
    world: World,
    clouds: Clouds,
    service: Service,
    token: String,
}

impl Stage {
    async fn new() -> Self {
        let world = World::new();
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

    fn cloud(&self) -> CloudHandle {
        self.clouds.handle()
    }

    fn order(&self, kind: FaultKind) {
        self.order_of(Fault::new(Provider::Apns, kind));
    }

    fn order_of(&self, fault: Fault) {
        self.cloud().order(fault).unwrap();
    }

    /// What the tenant hears of a push that it waits for.
    fn outcome(&self, id: &str) -> Value {
        self.service.push(&self.token, id)
    }

    fn is_accepted(&self, id: &str) {
        let said = self.outcome(id);
        assert_eq!(said["outcome"], "accepted", "{said}");
    }

    /// Whether the operator is told this of the app.
    fn stands(&self, alarm: &str) -> bool {
        let wanted = format!("{alarm} {APP}");
        self.world.alarms().contains(&wanted)
    }

    /// So many requests of the counter with this outcome.
    fn counted(&self, outcome: &str) -> u64 {
        let labels = format!("provider=\"apns\",channel=\"message\",outcome=\"{outcome}\"");
        let name = format!("reveille_push_requests_total{{{labels}}}");
        self.service.metric(&name)
    }

    /// How often the cloud has taken a push for each device of a range.
    fn taken(&self) -> Vec<usize> {
        let taken = |it: &lab::cloud::Record| it.answer.as_ref().is_some_and(|it| it.status == 200);
        let pushes = self.cloud().notifications(&Filter::default());
        let mut counts = std::collections::BTreeMap::new();
        for push in pushes.into_iter().filter(taken) {
            *counts.entry(push.token).or_insert(0) += 1;
        }
        counts.into_values().collect()
    }

    /// A burst whose every push arrives once.
    async fn burst_arrives(&self, pushes: usize) {
        let said = self.service.promise(&self.token, 0..pushes);
        assert!(said.iter().all(|it| it["outcome"] == "queued"), "{said:?}");
        until("the burst has arrived", || self.taken().len() == pushes).await;
        assert!(self.taken().iter().all(|times| *times == 1), "none twice");
        until("nothing waits", || {
            self.service.metric("reveille_push_queue ") == 0
        })
        .await;
    }

    async fn end(self) {
        assert!(self.service.stop());
        self.clouds.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_falls_silent_is_unavailable_to_the_tenant_and_an_alarm_to_the_operator() {
    let stage = Stage::new().await;
    stage.is_accepted("1");
    // On each connection there is, and on those that follow.
    stage.order_of(Fault::new(Provider::Apns, FaultKind::Silent).times(8));
    let said = stage.outcome("2");
    assert_eq!(said["outcome"], "unavailable", "{said}");
    assert!(
        stage.stands("push_unreachable"),
        "{:?}",
        stage.world.alarms()
    );
    assert_eq!(stage.counted("unavailable"), 1);
    stage.cloud().clear_faults();
    // The same id may be tried again, and the alarm is over with the first answer.
    let again = || stage.outcome("2")["outcome"] == "accepted";
    until("it answers again", again).await;
    assert!(!stage.stands("push_unreachable"));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_arrives_once_though_the_cloud_says_goodbye_and_allows_one_stream() {
    let stage = Stage::new().await;
    stage.is_accepted("first");
    stage.order(FaultKind::Goaway);
    let begun = stage.taken().len();
    assert_eq!(begun, 1);
    stage.cloud().forget_notifications();
    stage.burst_arrives(200).await;
    stage.cloud().forget_notifications();
    stage.order_of(Fault::new(Provider::Apns, FaultKind::MaxStreams).number(1));
    let said = stage.service.promise(&stage.token, 1000..1050);
    assert!(said.iter().all(|it| it["outcome"] == "queued"), "{said:?}");
    until("one after another", || stage.taken().len() == 50).await;
    assert!(stage.taken().iter().all(|times| *times == 1));
    assert!(
        stage.world.alarms().is_empty(),
        "{:?}",
        stage.world.alarms()
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_cloud_answers_is_what_the_tenant_hears_and_the_operator_counts() {
    let stage = Stage::new().await;
    stage.order(FaultKind::Http429);
    let said = stage.outcome("429");
    assert_eq!(said["outcome"], "throttled", "{said}");
    // A device that is pushed to too often is nobody else's affair.
    assert!(stage.world.alarms().is_empty());
    stage.order(FaultKind::Http503);
    let said = stage.outcome("503");
    assert_eq!(said["outcome"], "unavailable", "{said}");
    assert!(stage.stands("push_unreachable"));
    stage.is_accepted("well");
    assert!(!stage.stands("push_unreachable"));
    // Its own fault, once: the token is renewed, and nobody hears of it.
    stage.order(FaultKind::ExpiredCredentials);
    stage.is_accepted("expired");
    // A device that is gone.
    let device = format!("{:064x}", 0);
    let fate = |status, reason: &str, count| Fate {
        status,
        reason: Some(reason.to_owned()),
        count: Some(count),
        timestamp: None,
    };
    let gone = fate(410, "Unregistered", 1);
    stage.cloud().set_fate(&device, gone).unwrap();
    let said = stage.outcome("gone");
    assert_eq!(said["outcome"], "token_dead", "{said}");
    let broken = fate(500, "InternalServerError", 1);
    stage.cloud().set_fate(&device, broken).unwrap();
    let said = stage.outcome("500");
    assert_eq!(said["outcome"], "unavailable", "{said}");
    // Credentials that were revoked.
    let revoked = fate(403, "InvalidProviderToken", 1);
    stage.cloud().set_fate(&device, revoked).unwrap();
    let said = stage.outcome("403");
    assert_eq!(said["outcome"], "unauthorized", "{said}");
    assert!(stage.stands("push_credentials_refused"));
    for (outcome, count) in [
        ("throttled", 1),
        ("unavailable", 2),
        ("token_dead", 1),
        ("unauthorized", 1),
        ("accepted", 2),
    ] {
        assert_eq!(stage.counted(outcome), count, "{outcome}");
    }
    stage.is_accepted("again");
    assert!(!stage.stands("push_credentials_refused"));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_not_there_is_unavailable_and_named() {
    let world = World::new();
    let clouds = world.clouds().await;
    world.configure(&format!("proxy = \"127.0.0.1:9\"\n{}", world.app()));
    let secret = world.tenant("pbx");
    let service = world.serve();
    let token = service.token("pbx", &secret);
    let said = service.push(&token, "1");
    assert_eq!(said["outcome"], "unavailable", "{said}");
    assert!(said.to_string().contains("proxy"), "{said}");
    assert!(world.alarms().contains(&format!("push_unreachable {APP}")));
    // Taken out, and all is well without a restart.
    world.configure_app();
    world.said(&["reload"]);
    assert_eq!(service.push(&token, "1")["outcome"], "accepted");
    assert!(service.stop());
    clouds.shutdown().await;
}
