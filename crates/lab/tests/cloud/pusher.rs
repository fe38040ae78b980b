//! Our own push client against the simulated clouds: what `behaviour.md` 12 and 13 say that others get wrong.

use crate::world::{DEVICE, DROID, KEY_ID, TEAM, World};
use domain::{
    AppId, AppProfile, Channel, Generation, Notification, NotificationId, Outcome, Platform,
    Provider, Purpose, TrackingId,
};
use lab::cloud::{DevCredentials, Fate, Fault, FaultKind, Filter, NewToken, Record, TokenMode};
use push::{App, Credentials, Endpoint, Environment, Limits, Pusher};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const PHONE: &str = "com.example.phone";
const PHONE12: &str = "com.example.phone12";
const ANDROID: &str = "com.example.droid";

/// The apps of `--dev` that the tests push to.
fn apps(world: &World) -> Vec<App> {
    let at = |port| Endpoint {
        host: "localhost".to_owned(),
        port,
    };
    let addresses = world.clouds.addresses();
    let profile = |app: &str, provider, platform, generation| AppProfile {
        app: AppId::from(app),
        platform,
        provider,
        generation,
    };
    let apns = |app, generation| App {
        profile: profile(app, Provider::Apns, Platform::Ios, generation),
        credentials: Credentials::Apns {
            team_id: TEAM.to_owned(),
            key_id: KEY_ID.to_owned(),
            key_pem: world.keys.apns_key_pem().to_owned(),
        },
        environment: Environment::Production,
        endpoint: Some(at(addresses.apns.port())),
    };
    let account = world
        .keys
        .fcm_service_account("example-droid", &world.token_uri());
    vec![
        apns(PHONE, Generation::DualChannel),
        apns(PHONE12, Generation::SingleChannel),
        App {
            profile: profile(
                ANDROID,
                Provider::Fcm,
                Platform::Android,
                Generation::DualChannel,
            ),
            credentials: Credentials::from_service_account(&account).unwrap(),
            environment: Environment::Production,
            endpoint: Some(at(addresses.fcm.port())),
        },
    ]
}

fn pusher(world: &World) -> Pusher {
    pusher_for(world, apps(world))
}

fn pusher_for(world: &World, apps: Vec<App>) -> Pusher {
    Pusher::new(apps, world.ca.root_store(), Limits::default(), Arc::new(())).unwrap()
}

fn notification(app: &str, token: &str, channel: Channel, purpose: Purpose) -> Notification {
    Notification {
        id: NotificationId::from("6F9619FF-8B86-D011-B42D-00C04FC964FF"),
        app: AppId::from(app),
        token: token.to_owned(),
        channel,
        purpose,
        tracking: TrackingId::from("t1"),
        ttl: Duration::from_mins(1),
        collapse: None,
        badge: None,
        sealed: None,
    }
}

fn a_call() -> Purpose {
    Purpose::Call {
        call: "c1".to_owned(),
        register_at: "sip:127.0.0.1:5060".to_owned(),
    }
}

fn a_message() -> Purpose {
    Purpose::Message {
        conversation: "one".to_owned(),
        unread: 3,
    }
}

fn call_to(app: &str, token: &str) -> Notification {
    notification(app, token, Channel::Voip, a_call())
}

/// A push to each cloud.
fn one_each() -> [Notification; 2] {
    [call_to(PHONE, DEVICE), call_to(ANDROID, DROID)]
}

/// The nth device token.
fn device(n: usize) -> String {
    format!("{n:064x}")
}

/// Pushes to `count` devices at once; says what became of them.
async fn burst(pusher: &Pusher, count: usize) -> Vec<Outcome> {
    let mut all = JoinSet::new();
    for n in 0..count {
        let pusher = pusher.clone();
        all.spawn(async move { pusher.push(call_to(PHONE, &device(n))).await });
    }
    all.join_all().await
}

fn accepted(world: &World) -> Vec<Record> {
    world
        .clouds
        .notifications(&Filter::default().only_accepted())
}

/// Every one of `count` devices was pushed to, none twice.
fn assert_each_once(world: &World, count: usize) {
    let mut got: Vec<String> = accepted(world)
        .into_iter()
        .map(|record| record.token)
        .collect();
    got.sort();
    let wanted: Vec<String> = (0..count).map(device).collect();
    assert_eq!(got, wanted);
}

fn assert_all_accepted(outcomes: &[Outcome]) {
    for outcome in outcomes {
        assert_eq!(outcome.name(), "accepted", "{outcome:?}");
    }
}

#[tokio::test]
async fn the_first_burst_on_a_fresh_connection_loses_nothing() {
    let world = World::new().await;
    let pusher = pusher(&world);
    assert_all_accepted(&burst(&pusher, 200).await);
    assert_each_once(&world, 200);
    assert!(
        world.records().iter().all(Record::accepted),
        "nothing was refused on the way"
    );
}

#[tokio::test]
async fn a_burst_on_warm_connections_loses_nothing() {
    let world = World::new().await;
    let pusher = pusher(&world);
    pusher.warm().await;
    assert_all_accepted(&burst(&pusher, 1000).await);
    assert_each_once(&world, 1000);
}

#[tokio::test]
async fn every_purpose_goes_the_right_way_and_harms_no_app() {
    let world = World::new().await;
    let pusher = pusher(&world);
    let missed = || Purpose::MissedCall { call: "c1".into() };
    let cancelled = || Purpose::CallCancelled { call: "c1".into() };
    let (voip, message) = (Channel::Voip, Channel::Message);
    let phone_voip = "com.example.phone.voip";
    let phone12_voip = "com.example.phone12.voip";
    // App, channel, purpose; topic or project, type, priority, expires at once.
    #[rustfmt::skip]
    let rows = [
        (PHONE, voip, a_call(), phone_voip, "voip", "10", true),
        (PHONE, message, a_message(), PHONE, "alert", "10", false),
        (PHONE, message, missed(), PHONE, "alert", "10", false),
        (PHONE12, voip, a_call(), phone12_voip, "voip", "10", true),
        (PHONE12, voip, a_message(), phone12_voip, "voip", "10", false),
        (PHONE12, voip, missed(), phone12_voip, "voip", "10", false),
        (ANDROID, voip, a_call(), "example-droid", "", "high", true),
        (ANDROID, voip, cancelled(), "example-droid", "", "high", true),
        (ANDROID, message, a_message(), "example-droid", "", "high", false),
        (ANDROID, message, missed(), "example-droid", "", "high", false),
    ];
    for (app, channel, purpose, to, kind, priority, at_once) in rows {
        let token = if app == ANDROID { DROID } else { DEVICE };
        let name = purpose.name();
        let outcome = pusher
            .push(notification(app, token, channel, purpose))
            .await;
        assert_eq!(outcome.name(), "accepted", "{app} {name}: {outcome:?}");
        let record = world.last_record();
        assert_eq!(record.violations, [""; 0], "{app} {name}");
        let found = record.topic.or(record.project).unwrap();
        assert_eq!(found, to, "{app} {name}");
        assert_eq!(record.push_type.unwrap_or_default(), kind, "{app} {name}");
        assert_eq!(record.priority.unwrap(), priority, "{app} {name}");
        let expiration = record.expiration.unwrap();
        assert_eq!(
            expiration == "0" || expiration == "0s",
            at_once,
            "{app} {name}: {expiration}"
        );
    }
}

#[tokio::test]
async fn settings_that_go_down_to_one_stream_lose_nothing() {
    let world = World::new().await;
    let pusher = pusher(&world);
    pusher.warm().await;
    world.order(Fault::new(Provider::Apns, FaultKind::MaxStreams).number(1));
    assert_all_accepted(&burst(&pusher, 200).await);
    assert_each_once(&world, 200);
}

#[tokio::test]
async fn a_second_connection_opens_when_streams_run_out() {
    let world = World::new().await;
    let pusher = pusher(&world);
    world.order(Fault::new(Provider::Apns, FaultKind::MaxStreams).number(1));
    world.order(Fault::new(Provider::Apns, FaultKind::LatencyMs).number(100));
    assert_all_accepted(&burst(&pusher, 8).await);
    let connections: BTreeSet<u64> = accepted(&world)
        .iter()
        .map(|record| record.connection)
        .collect();
    assert!(connections.len() > 1, "{connections:?}");
}

#[tokio::test]
async fn go_away_in_the_middle_of_a_burst_loses_nothing_and_doubles_nothing() {
    let world = World::new().await;
    let pusher = pusher(&world);
    pusher.warm().await;
    world.order(Fault::new(Provider::Apns, FaultKind::Goaway).times(3));
    assert_all_accepted(&burst(&pusher, 200).await);
    assert_each_once(&world, 200);
}

#[tokio::test]
async fn a_connection_that_is_reset_is_replaced_and_the_push_sent_again() {
    let world = World::new().await;
    let pusher = pusher(&world);
    for push in one_each() {
        for value in ["connection", "stream"] {
            world.handle().forget_notifications();
            let provider = if push.app.as_str() == PHONE {
                Provider::Apns
            } else {
                Provider::Fcm
            };
            world.order(Fault::new(provider, FaultKind::Reset).text(value));
            let outcome = pusher.push(push.clone()).await;
            assert_eq!(outcome.name(), "accepted", "{value}: {outcome:?}");
            assert_eq!(world.records()[0].fault, Some(FaultKind::Reset));
            assert_eq!(accepted(&world).len(), 1);
        }
    }
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_given_up_in_time_for_the_call() {
    let world = World::new().await;
    let pusher = pusher(&world);
    for push in one_each() {
        let provider = if push.app.as_str() == PHONE {
            Provider::Apns
        } else {
            Provider::Fcm
        };
        world.order(Fault::new(provider, FaultKind::Silent));
        let start = Instant::now();
        let outcome = pusher.push(push).await;
        assert_eq!(outcome.name(), "accepted", "{outcome:?}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    assert_eq!(accepted(&world).len(), 2);
}

#[tokio::test]
async fn credentials_that_expired_are_renewed_and_the_push_sent_again() {
    let world = World::new().await;
    let pusher = pusher(&world);
    for push in one_each() {
        let provider = if push.app.as_str() == PHONE {
            Provider::Apns
        } else {
            Provider::Fcm
        };
        world.handle().forget_notifications();
        assert_eq!(pusher.push(push.clone()).await.name(), "accepted");
        world.order(Fault::new(provider, FaultKind::ExpiredCredentials));
        let outcome = pusher.push(push).await;
        assert_eq!(outcome.name(), "accepted", "{outcome:?}");
        let statuses: Vec<u16> = world
            .records()
            .iter()
            .map(|record| record.answer.as_ref().unwrap().status)
            .collect();
        let refused = if provider == Provider::Apns { 403 } else { 401 };
        assert_eq!(statuses, [200, refused, 200]);
    }
}

#[tokio::test]
async fn a_dead_token_is_told_with_the_time_of_its_death() {
    let world = World::new().await;
    let pusher = pusher(&world);
    let fate = |status, reason: Option<&str>, timestamp: Option<u64>| Fate {
        status,
        reason: reason.map(str::to_owned),
        count: None,
        timestamp: timestamp.map(domain::Timestamp),
    };
    let [apple, google] = one_each();
    #[rustfmt::skip]
    let rows = [
        (&apple, fate(410, None, Some(1_700_000_000_000)), "Unregistered", Some(1_700_000_000_000)),
        (&apple, fate(410, Some("ExpiredToken"), Some(5)), "ExpiredToken", Some(5)),
        (&apple, fate(400, Some("BadDeviceToken"), None), "BadDeviceToken", None),
        (&apple, fate(400, Some("DeviceTokenNotForTopic"), None), "DeviceTokenNotForTopic", None),
        (&google, fate(404, None, None), "UNREGISTERED", None),
        (&google, fate(403, Some("SENDER_ID_MISMATCH"), None), "SENDER_ID_MISMATCH", None),
    ];
    for (push, fate, reason, since) in rows {
        world.handle().set_fate(&push.token, fate).unwrap();
        let wanted = Outcome::TokenDead {
            since: since.map(domain::Timestamp),
            reason: reason.to_owned(),
        };
        assert_eq!(pusher.push(push.clone()).await, wanted);
    }
    assert!(accepted(&world).is_empty());
}

#[tokio::test]
async fn outages_are_told_at_once_with_the_time_to_wait() {
    let world = World::new().await;
    let pusher = pusher(&world);
    for push in one_each() {
        let provider = if push.app.as_str() == PHONE {
            Provider::Apns
        } else {
            Provider::Fcm
        };
        world.handle().forget_notifications();
        world.order(Fault::new(provider, FaultKind::Http503));
        world.order(Fault::new(provider, FaultKind::Http429).number(7));
        match pusher.push(push.clone()).await {
            Outcome::Unavailable { retry_after, .. } => {
                assert!(retry_after >= Duration::from_secs(10), "{retry_after:?}");
            }
            other => panic!("{other:?}"),
        }
        match pusher.push(push.clone()).await {
            Outcome::Throttled { retry_after, .. } => {
                assert_eq!(retry_after, Duration::from_secs(7));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(
            world.records().len(),
            2,
            "a call is not tried again after an answer"
        );
    }
}

#[tokio::test]
async fn google_s_other_refusals_are_sorted() {
    let world = World::new().await;
    let pusher = pusher(&world);
    let [_, push] = one_each();
    let rows = [
        (400, "INVALID_ARGUMENT", "refused"),
        (429, "QUOTA_EXCEEDED", "throttled"),
        (500, "INTERNAL", "unavailable"),
        (503, "UNAVAILABLE", "unavailable"),
    ];
    for (status, reason, outcome) in rows {
        let fate = Fate {
            status,
            reason: Some(reason.to_owned()),
            count: Some(1),
            timestamp: None,
        };
        world.handle().set_fate(DROID, fate).unwrap();
        let found = pusher.push(push.clone()).await;
        assert_eq!(found.name(), outcome, "{found:?}");
        assert!(found.reason().contains(reason), "{found:?}");
    }
}

#[tokio::test]
async fn credentials_that_are_wrong_are_told_to_the_operator() {
    let world = World::new().await;
    let mut wrong = apps(&world);
    wrong[0].credentials = Credentials::Apns {
        team_id: TEAM.to_owned(),
        key_id: KEY_ID.to_owned(),
        key_pem: DevCredentials::new().apns_key_pem().to_owned(),
    };
    let another_s = world
        .keys
        .fcm_service_account("jabber-droid", &world.token_uri());
    wrong.remove(1);
    wrong[1].credentials = match Credentials::from_service_account(&another_s).unwrap() {
        Credentials::Fcm {
            client_email,
            private_key_pem,
            token_uri,
            ..
        } => Credentials::Fcm {
            project: "example-droid".to_owned(),
            client_email,
            private_key_pem,
            token_uri,
        },
        _ => unreachable!("a service account is Google's"),
    };
    let pusher = pusher_for(&world, wrong);
    for push in one_each() {
        let outcome = pusher.push(push).await;
        assert_eq!(outcome.name(), "unauthorized", "{outcome:?}");
    }
}

#[tokio::test]
async fn with_known_tokens_only_an_unknown_one_is_dead() {
    let world = World::new().await;
    let pusher = pusher(&world);
    world.handle().set_token_mode(TokenMode::Known);
    let known = world
        .handle()
        .register_token(NewToken {
            provider: Provider::Apns,
            app: PHONE.to_owned(),
            token: None,
            channel: Some(Channel::Voip),
            environment: None,
        })
        .unwrap();
    assert_eq!(pusher.push(call_to(PHONE, &known)).await.name(), "accepted");
    let outcome = pusher.push(call_to(PHONE, DEVICE)).await;
    assert_eq!(outcome.name(), "token_dead", "{outcome:?}");
    // The right token, the wrong channel.
    let message = notification(PHONE, &known, Channel::Message, a_message());
    let outcome = pusher.push(message).await;
    assert_eq!(outcome.reason(), "DeviceTokenNotForTopic", "{outcome:?}");
}

#[tokio::test]
async fn many_bad_tokens_get_the_connection_closed_and_the_good_ones_through() {
    let world = World::with(|config| config.limits.bad_tokens_in_a_row = 3).await;
    let pusher = pusher(&world);
    for _ in 0..10 {
        let outcome = pusher.push(call_to(PHONE, "0011")).await;
        assert_eq!(outcome.name(), "token_dead", "{outcome:?}");
    }
    assert_eq!(pusher.push(call_to(PHONE, DEVICE)).await.name(), "accepted");
}

#[tokio::test]
async fn a_push_takes_no_forty_milliseconds_on_a_warm_connection() {
    let world = World::new().await;
    let pusher = pusher(&world);
    pusher.warm().await;
    for push in one_each() {
        let mut times = Vec::new();
        for _ in 0..21 {
            let start = Instant::now();
            assert_eq!(pusher.push(push.clone()).await.name(), "accepted");
            times.push(start.elapsed());
        }
        times.sort();
        // Nagle's algorithm and delayed acknowledgements together would cost 40 ms every time.
        assert!(times[10] < Duration::from_millis(40), "{times:?}");
    }
}

#[tokio::test]
async fn clouds_that_are_gone_are_told_before_the_wake_has_failed() {
    let world = World::new().await;
    let pusher = pusher(&world);
    for push in one_each() {
        assert_eq!(pusher.push(push).await.name(), "accepted");
    }
    world.clouds.shutdown().await;
    for push in one_each() {
        let start = Instant::now();
        let outcome = pusher.push(push).await;
        assert_eq!(outcome.name(), "unavailable", "{outcome:?}");
        assert!(start.elapsed() < Duration::from_secs(6));
    }
}
