//! What Apple's cloud is asked, and what its answers become.

mod support;

use domain::{Channel, Generation, Notification, Outcome, Purpose, Timestamp};
use reveille_push::{App, Pusher};
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use support::{
    Diary, IPHONE_TOKEN, call,
    cloud::{Asked, Cloud, reply, taken},
    droid, iphone, limits, message, pusher,
};

async fn world() -> (Cloud, Pusher) {
    let cloud = Cloud::start(|_| taken()).await;
    let pusher = pusher(vec![iphone(cloud.port)], cloud.roots.clone(), limits());
    (cloud, pusher)
}

/// Pushes one and returns what the cloud was asked.
async fn asked(push: Notification) -> Asked {
    let (cloud, pusher) = world().await;
    let outcome = pusher.push(push).await;
    assert_eq!(
        outcome,
        Outcome::Accepted {
            provider_id: "A-1".to_owned()
        }
    );
    let [asked] = &cloud.asked()[..] else {
        panic!("asked once")
    };
    asked.clone()
}

fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[tokio::test]
async fn a_call_goes_to_the_voip_topic_now_or_never() {
    let push = Notification {
        id: domain::NotificationId::from("6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
        // A call's is zero, whatever the caller says.
        ttl: Duration::from_mins(1),
        sealed: Some(vec![0xfb, 0xff]),
        ..call(1)
    };
    let asked = asked(push).await;
    assert_eq!(asked.path, format!("/3/device/{IPHONE_TOKEN}"));
    for (name, value) in [
        ("apns-topic", "com.example.phone.voip"),
        ("apns-push-type", "voip"),
        ("apns-priority", "10"),
        ("apns-expiration", "0"),
        ("apns-id", "6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
    ] {
        assert_eq!(asked.header(name), Some(value), "{name}");
    }
    assert_eq!(asked.header("apns-collapse-id"), None);
    assert!(
        asked
            .header("authorization")
            .unwrap()
            .starts_with("Bearer ey")
    );
    assert_eq!(
        asked.json(),
        json!({
            "aps": {},
            "kind": "call",
            "call": "call-1@example.org",
            "register_at": "sips:a.example.org",
            "tracking": "track-1",
            "sealed": "-_8",
        })
    );
}

#[tokio::test]
async fn a_message_is_an_alert_that_says_nothing_of_it() {
    let before = unix_now();
    let asked = asked(message()).await;
    for (name, value) in [
        ("apns-topic", "com.example.phone"),
        ("apns-push-type", "alert"),
        ("apns-priority", "10"),
        ("apns-collapse-id", "c7"),
    ] {
        assert_eq!(asked.header(name), Some(value), "{name}");
    }
    let expiration: u64 = asked.header("apns-expiration").unwrap().parse().unwrap();
    assert!((before + 3600..=unix_now() + 3600).contains(&expiration));
    assert_eq!(
        asked.json(),
        json!({
            "aps": {
                "alert": {"loc-key": "New message"},
                "badge": 3,
                "sound": "default",
                "thread-id": "c7",
                "mutable-content": 1,
            },
            "kind": "message",
            "conversation": "c7",
            "unread": "3",
            "tracking": "track-1",
        })
    );
}

#[tokio::test]
async fn a_missed_call_is_an_alert() {
    let push = Notification {
        purpose: Purpose::MissedCall {
            call: "c@x".to_owned(),
        },
        badge: Some(5),
        ..message()
    };
    let asked = asked(push).await;
    assert_eq!(asked.header("apns-topic"), Some("com.example.phone"));
    let body = asked.json();
    assert_eq!(body["aps"]["alert"]["loc-key"], "Missed call");
    assert_eq!(body["aps"]["badge"], 5);
    assert_eq!(
        (&body["kind"], &body["call"]),
        (&json!("missed_call"), &json!("c@x"))
    );
}

#[tokio::test]
async fn a_refresh_wakes_the_app_in_the_background_and_shows_nothing() {
    let push = Notification {
        purpose: Purpose::Refresh,
        collapse: None,
        badge: None,
        ..message()
    };
    let asked = asked(push).await;
    assert_eq!(asked.header("apns-push-type"), Some("background"));
    assert_eq!(asked.header("apns-priority"), Some("5"));
    assert_eq!(
        asked.json(),
        json!({"aps": {"content-available": 1}, "kind": "refresh", "tracking": "track-1"})
    );
}

#[tokio::test]
async fn what_was_read_elsewhere_is_taken_away_in_the_background() {
    let push = Notification {
        purpose: Purpose::Read {
            conversations: vec!["c7".to_owned(), "c8".to_owned()],
            unread: 2,
        },
        collapse: Some("read".to_owned()),
        badge: Some(2),
        ..message()
    };
    let asked = asked(push).await;
    assert_eq!(asked.header("apns-topic"), Some("com.example.phone"));
    assert_eq!(asked.header("apns-push-type"), Some("background"));
    assert_eq!(asked.header("apns-priority"), Some("5"));
    assert_eq!(asked.header("apns-collapse-id"), Some("read"));
    assert_eq!(
        asked.json(),
        json!({"aps": {"content-available": 1}, "kind": "read", "read": "c7 c8", "unread": "2",
               "tracking": "track-1"})
    );
}

#[tokio::test]
async fn only_a_call_goes_on_the_voip_channel_and_a_cancelled_call_on_none() {
    let (cloud, pusher) = world().await;
    let cancelled = Purpose::CallCancelled {
        call: "c".to_owned(),
    };
    let missed = Purpose::MissedCall {
        call: "c".to_owned(),
    };
    for (channel, purpose) in [
        (Channel::Voip, message().purpose),
        (Channel::Voip, missed),
        (Channel::Voip, cancelled.clone()),
        (Channel::Message, cancelled),
        (Channel::Message, call(1).purpose),
    ] {
        let push = Notification {
            channel,
            purpose,
            collapse: None,
            ..message()
        };
        let outcome = pusher.push(push.clone()).await;
        assert!(
            matches!(outcome, Outcome::Refused { .. }),
            "{push:?}: {outcome:?}"
        );
    }
    assert_eq!(cloud.asked().len(), 0);
}

#[tokio::test]
async fn a_single_channel_app_gets_messages_over_its_one_token() {
    let cloud = Cloud::start(|_| taken()).await;
    let mut app = iphone(cloud.port);
    app.profile.generation = Generation::SingleChannel;
    let pusher = pusher(vec![app], cloud.roots.clone(), limits());
    let push = Notification {
        channel: Channel::Voip,
        ..message()
    };
    assert_eq!(pusher.push(push).await.name(), "accepted");
    let asked = &cloud.asked()[0];
    assert_eq!(asked.header("apns-topic"), Some("com.example.phone.voip"));
    assert_eq!(asked.header("apns-push-type"), Some("voip"));
    assert_eq!(asked.json()["aps"]["alert"]["loc-key"], "New message");
}

#[tokio::test]
async fn a_token_that_is_none_never_reaches_the_cloud() {
    let (cloud, pusher) = world().await;
    for token in [
        "",
        "../../secret",
        "abc/def",
        "abcg",
        "ab cd",
        &"a".repeat(5000),
    ] {
        let push = Notification {
            token: token.to_owned(),
            ..call(1)
        };
        assert_eq!(pusher.push(push).await.name(), "token_dead", "{token}");
    }
    assert_eq!(cloud.asked().len(), 0);
}

#[tokio::test]
async fn a_collapse_key_that_does_not_fit_is_refused() {
    let (cloud, pusher) = world().await;
    for key in ["", "with space", "zwölf", &"x".repeat(65)] {
        let push = Notification {
            collapse: Some(key.to_owned()),
            ..message()
        };
        assert_eq!(pusher.push(push).await.name(), "refused", "{key}");
    }
    assert_eq!(cloud.asked().len(), 0);
}

#[tokio::test]
async fn what_is_too_large_is_not_sent() {
    let (cloud, pusher) = world().await;
    let sized = |bytes, push| Notification {
        sealed: Some(vec![0; bytes]),
        ..push
    };
    // 3/4 of the limit and the rest of the body: just over, for each channel.
    assert_eq!(pusher.push(sized(3072, message())).await, Outcome::TooLarge);
    assert_eq!(pusher.push(sized(3072, call(1))).await.name(), "accepted");
    assert_eq!(pusher.push(sized(3840, call(1))).await, Outcome::TooLarge);
    assert_eq!(cloud.asked().len(), 1);
}

#[tokio::test]
async fn an_expired_provider_token_is_renewed_once_and_the_push_goes_through() {
    let expired = Arc::new(Mutex::new(None::<String>));
    let cloud = Cloud::start(move |asked| {
        let mut expired = expired.lock().unwrap();
        let token = asked.header("authorization").unwrap().to_owned();
        // The first token that is seen has expired.
        if *expired.get_or_insert_with(|| token.clone()) == token {
            return reply(403, &json!({"reason": "ExpiredProviderToken"}));
        }
        taken()
    })
    .await;
    let pusher = pusher(vec![iphone(cloud.port)], cloud.roots.clone(), limits());
    assert_eq!(pusher.push(call(1)).await.name(), "accepted");
    assert_eq!(pusher.push(call(2)).await.name(), "accepted");
    let tokens: Vec<_> = cloud
        .asked()
        .iter()
        .map(|asked| asked.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(tokens.len(), 3);
    assert_ne!(tokens[0], tokens[1]);
    assert_eq!(tokens[1], tokens[2]);
}

#[tokio::test]
async fn a_token_that_stays_expired_ends_as_unauthorized_and_is_not_renewed_again() {
    let cloud = Cloud::start(|_| reply(403, &json!({"reason": "ExpiredProviderToken"}))).await;
    let pusher = pusher(vec![iphone(cloud.port)], cloud.roots.clone(), limits());
    assert_eq!(pusher.push(call(1)).await.name(), "unauthorized");
    let again = pusher.push(call(2)).await;
    assert_eq!(again.name(), "unauthorized");
    assert!(again.reason().contains("clock"), "{again:?}");
    let mut tokens: Vec<_> = cloud
        .asked()
        .iter()
        .map(|asked| asked.header("authorization").unwrap().to_owned())
        .collect();
    tokens.dedup();
    assert_eq!(tokens.len(), 2);
}

#[tokio::test]
async fn refused_credentials_are_unauthorized_and_a_dead_token_has_its_time_of_death() {
    for (status, body, wanted) in [
        (
            403,
            json!({"reason": "InvalidProviderToken"}),
            Outcome::Unauthorized {
                reason: "InvalidProviderToken".to_owned(),
            },
        ),
        (
            410,
            json!({"reason": "Unregistered", "timestamp": 1_700_000_000_123_u64}),
            Outcome::TokenDead {
                since: Some(Timestamp(1_700_000_000_123)),
                reason: "Unregistered".to_owned(),
            },
        ),
    ] {
        let cloud = Cloud::start(move |_| reply(status, &body)).await;
        let pusher = pusher(vec![iphone(cloud.port)], cloud.roots.clone(), limits());
        assert_eq!(pusher.push(call(1)).await, wanted);
        assert_eq!(cloud.asked().len(), 1);
    }
}

#[tokio::test]
async fn apps_of_one_team_share_the_token_and_apps_of_another_do_not() {
    let cloud = Cloud::start(|_| taken()).await;
    let same = iphone(cloud.port);
    let mut second = same.clone();
    second.profile.app = "com.example.phone2".into();
    let mut other: App = iphone(cloud.port);
    other.profile.app = "com.example.other".into();
    if let reveille_push::Credentials::Apns { team_id, .. } = &mut other.credentials {
        *team_id = "TEAM000002".to_owned();
    }
    let apps = vec![same, second, other];
    let names: Vec<_> = apps.iter().map(|app| app.profile.app.clone()).collect();
    let pusher = pusher(apps, cloud.roots.clone(), limits());
    for app in names {
        assert_eq!(
            pusher.push(Notification { app, ..call(1) }).await.name(),
            "accepted"
        );
    }
    let asked = cloud.asked();
    assert_eq!(
        asked[0].header("authorization"),
        asked[1].header("authorization")
    );
    assert_ne!(
        asked[0].header("authorization"),
        asked[2].header("authorization")
    );
}

#[tokio::test]
async fn every_push_is_told_to_the_observer() {
    let cloud = Cloud::start(|_| taken()).await;
    let diary = Arc::new(Diary::default());
    let pusher = Pusher::new(
        vec![iphone(cloud.port)],
        cloud.roots.clone(),
        limits(),
        diary.clone(),
    )
    .unwrap();
    pusher.push(call(1)).await;
    pusher
        .push(Notification {
            token: "no".to_owned(),
            ..call(2)
        })
        .await;
    assert_eq!(
        diary.entries(),
        [
            "connected",
            "pushed com.example.phone apns voip call accepted",
            "pushed com.example.phone apns voip call token_dead",
        ]
    );
}

#[tokio::test]
async fn an_app_without_a_profile_is_refused() {
    let (_cloud, pusher) = world().await;
    let push = Notification {
        app: domain::AppId::from("com.example.unknown"),
        ..call(1)
    };
    assert!(
        pusher
            .push(push)
            .await
            .reason()
            .contains("com.example.unknown")
    );
}

#[test]
fn a_bad_configuration_names_the_app_and_the_remedy() {
    let error = |apps| {
        Pusher::new(apps, rustls::RootCertStore::empty(), limits(), Arc::new(()))
            .unwrap_err()
            .to_string()
    };
    let bad_key = |pem: &str| {
        let mut app = iphone(1);
        if let reveille_push::Credentials::Apns { key_pem, .. } = &mut app.credentials {
            pem.clone_into(key_pem);
        }
        vec![app]
    };
    let mut crossed = iphone(1);
    crossed.credentials = droid(1).credentials;
    let mut plain_http = droid(1);
    if let reveille_push::Credentials::Fcm { token_uri, .. } = &mut plain_http.credentials {
        *token_uri = "http://127.0.0.1/token".to_owned();
    }
    for (apps, wanted) in [
        (bad_key("nonsense"), "not PEM"),
        (bad_key(support::RSA_PEM), "not a P-256 key"),
        (vec![iphone(1), iphone(1)], "configured twice"),
        (vec![crossed], "its credentials are for fcm"),
        (vec![plain_http], "not an https address"),
    ] {
        let error = error(apps);
        assert!(error.starts_with("app com.example."), "{error}");
        assert!(error.contains(wanted), "{error}");
    }
}
