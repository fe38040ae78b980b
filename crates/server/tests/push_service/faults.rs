//! What goes wrong at a cloud or on the way to it: what a tenant hears and what the operator sees.

use crate::{
    stage::Stage,
    world::{APP, DROID, World, notification, until},
};
use domain::Provider;
use lab::cloud::{Fate, Fault, FaultKind};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_an_hour_off_is_what_the_operator_is_asked_about() {
    // To the cloud our tokens are an hour and more old, or from an hour ahead.
    for (ahead, reason) in [
        (3_700, "ExpiredProviderToken"),
        (-3_700, "InvalidProviderToken"),
    ] {
        let stage = Stage::with_clouds(|clouds| clouds.ahead_seconds = ahead).await;
        let said = stage.outcome("1");
        assert_eq!(said["outcome"], "unauthorized", "{said}");
        assert!(said.to_string().contains(reason), "{said}");
        assert!(stage.stands("push_credentials_refused"));
        let output = stage.world.run(&["alarms"]);
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains("clock"), "{told}");
        stage.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nobody_knows_is_unavailable_and_what_is_queued_goes_once_it_is_known() {
    let world = World::new();
    let clouds = world.clouds().await;
    // A name that nobody is ever given.
    let nowhere = world.app().replace("localhost", "apns.invalid");
    world.configure(&nowhere);
    let secret = world.tenant("pbx");
    let service = world.serve();
    let token = service.token("pbx", &secret);
    let said = service.push(&token, "waited");
    assert_eq!(said["outcome"], "unavailable", "{said}");
    assert!(world.alarms().contains(&format!("push_unreachable {APP}")));
    let said = service.promise(&token, 0..3);
    assert!(said.iter().all(|it| it["outcome"] == "queued"), "{said:?}");
    world.configure_app();
    world.said(&["reload"]);
    until("what was queued has gone", || {
        service.accepted(&token).len() == 3
    })
    .await;
    assert!(!world.alarms().contains(&format!("push_unreachable {APP}")));
    assert!(service.stop());
    clouds.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_of_fcm_is_for_later_and_of_one_device_nobody_else_s_affair() {
    let mut world = World::new();
    (
        world.clouds.limits.fcm_device_rate,
        world.clouds.limits.fcm_project_rate,
    ) = (2, 4);
    let clouds = world.clouds().await;
    world.configure(&format!("{}{}", world.app(), world.droid()));
    let secret = world.tenant("pbx");
    world.said(&["tenant", "allow", "pbx", DROID]);
    let service = world.serve();
    let token = service.token("pbx", &secret);
    let push = |id: &str, device| {
        let mut push = notification(id, device);
        push["app"] = DROID.into();
        service.submit(&token, &push)
    };
    let outcome = |id: &str, device| push(id, device)["outcome"].clone();
    assert_eq!(outcome("1", 1), "accepted");
    assert_eq!(outcome("2", 1), "accepted");
    // Of the device, then of the project, which has had four with that one.
    let said = push("3", 1);
    assert_eq!(said["outcome"], "throttled", "{said}");
    assert!(said.to_string().contains("QUOTA_EXCEEDED"), "{said}");
    assert_eq!(outcome("4", 2), "accepted");
    assert_eq!(outcome("5", 3), "throttled");
    let counted =
        "reveille_push_requests_total{provider=\"fcm\",channel=\"message\",outcome=\"throttled\"}";
    assert_eq!(service.metric(counted), 2);
    // Nobody has to do anything, and the other cloud has nothing to do with it.
    assert!(world.alarms().is_empty(), "{:?}", world.alarms());
    assert_eq!(service.push(&token, "6")["outcome"], "accepted");
    // What is queued waits for as long as the cloud says.
    let mut queued = notification("7", 4);
    queued["app"] = DROID.into();
    let head = format!(
        "POST /v1/notifications/batch HTTP/1.1\r\nAuthorization: Bearer {token}\r\nPrefer: respond-async"
    );
    let body = serde_json::Value::from(vec![queued]).to_string();
    let said = crate::world::ask(service.rest, &head, &body).1;
    assert_eq!(said[0]["outcome"], "queued", "{said}");
    until("it was tried", || service.metric(counted) == 3).await;
    assert_eq!(service.known(&token, "7")["outcome"], "queued");
    assert!(service.stop());
    clouds.shutdown().await;
}
