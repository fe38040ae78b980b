//! What the push service has promised, it keeps: also when it is killed.

use crate::world::{World, until};
use lab::cloud::Filter;
use std::collections::BTreeSet;

/// Notifications that are promised, in batches.
const PROMISED: usize = 10_000;
const BATCH: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_promised_before_a_kill_is_pushed_once_after_it() {
    let world = World::new();
    world.configure_app();
    let secret = world.tenant("pbx");
    // Nobody answers at the cloud's address yet.
    let service = world.serve();
    let token = service.token("pbx", &secret);
    for first in (0..PROMISED).step_by(BATCH) {
        let said = service.promise(&token, first..first + BATCH);
        assert_eq!(said.len(), BATCH);
        assert!(said.iter().all(|it| it["outcome"] == "queued"), "{said:?}");
    }
    service.signal("-KILL");
    drop(service);
    let clouds = world.clouds().await;
    let service = world.serve();
    until("all are accepted", || {
        service.accepted(&token).len() == PROMISED
    })
    .await;
    // A push goes again where the provider's answer did not come in time, and nowhere else: that is counted.
    let lost = "reveille_push_requests_total{provider=\"apns\",channel=\"message\",outcome=\"unavailable\"}";
    let lost = usize::try_from(service.metric(lost)).unwrap();
    let sent = clouds.notifications(&Filter::default());
    let devices: BTreeSet<_> = sent.iter().map(|push| &push.token).collect();
    let twice = sent.len() - devices.len();
    assert!(
        twice <= lost,
        "{twice} went twice, {lost} answers were lost"
    );
    assert!(service.stop());
    clouds.shutdown().await;
}
