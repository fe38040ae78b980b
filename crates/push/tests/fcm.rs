//! What Google's cloud is asked, and what its answers become.

mod support;

use domain::{Channel, Notification, Outcome, Purpose};
use reveille_push::Pusher;
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use support::{
    call,
    cloud::{Asked, Cloud, reply},
    droid, for_droid, limits, message, pusher,
};
use tokio::task::JoinSet;

const SEND: &str = "/v1/projects/example-droid/messages:send";

/// A cloud that gives out access tokens named `access-1`, `access-2` and so on, and answers pushes by `send`.
async fn world(send: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static) -> (Cloud, Pusher) {
    world_with_tokens_for(3599, send).await
}

/// The same with access tokens that live so many seconds.
async fn world_with_tokens_for(
    lifetime: u32,
    send: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static,
) -> (Cloud, Pusher) {
    let granted = AtomicUsize::new(0);
    let cloud = Cloud::start(move |asked| {
        let (status, body) = if asked.path == "/token" {
            let number = granted.fetch_add(1, Ordering::Relaxed) + 1;
            let token = format!("access-{number}");
            (
                200,
                json!({"access_token": token, "expires_in": lifetime, "token_type": "Bearer"}),
            )
        } else {
            send(asked)
        };
        reply(status, &body)
    })
    .await;
    let pusher = pusher(vec![droid(cloud.port)], cloud.roots.clone(), limits());
    (cloud, pusher)
}

fn taken(_: &Asked) -> (u16, Value) {
    (200, json!({"name": "projects/example-droid/messages/0:17"}))
}

fn count(cloud: &Cloud, path: &str) -> usize {
    cloud
        .asked()
        .iter()
        .filter(|asked| asked.path == path)
        .count()
}

#[tokio::test]
async fn a_call_is_a_data_message_of_high_priority_now_or_never() {
    let (cloud, pusher) = world(taken).await;
    let push = for_droid(Notification {
        sealed: Some(vec![1, 2, 3]),
        badge: Some(4),
        ..call(1)
    });
    assert_eq!(
        pusher.push(push).await,
        Outcome::Accepted {
            provider_id: "projects/example-droid/messages/0:17".to_owned()
        }
    );
    let asked = cloud.asked();
    let [grant, send] = &asked[..] else {
        panic!("a token, then the push")
    };
    assert_eq!(
        grant.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert!(grant.body.starts_with(
        b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey"
    ));
    assert_eq!(send.path, SEND);
    assert_eq!(send.header("authorization"), Some("Bearer access-1"));
    assert_eq!(
        send.json(),
        json!({"message": {
            "token": "fPq:APA91bH_x-7",
            "data": {
                "kind": "call",
                "call": "call-1@example.org",
                "register_at": "sips:a.example.org",
                "tracking": "track-1",
                "badge": "4",
                "sealed": "AQID",
            },
            "android": {"priority": "HIGH", "ttl": "0s"},
        }})
    );
}

#[tokio::test]
async fn messages_live_and_collapse_and_every_value_is_a_string() {
    let (cloud, pusher) = world(taken).await;
    assert_eq!(pusher.push(for_droid(message())).await.name(), "accepted");
    let sent = cloud.asked()[1].json();
    assert_eq!(
        sent["message"]["android"],
        json!({"priority": "HIGH", "ttl": "3600s", "collapse_key": "c7"})
    );
    let data = sent["message"]["data"].as_object().unwrap();
    assert_eq!(data["unread"], "3");
    assert!(data.values().all(Value::is_string), "{data:?}");
}

#[tokio::test]
async fn what_was_read_elsewhere_replaces_what_waits_and_wakes_nobody() {
    let (cloud, pusher) = world(taken).await;
    let read = Notification {
        purpose: Purpose::Read {
            conversations: vec!["c7".to_owned()],
            unread: 0,
        },
        badge: Some(0),
        ..message()
    };
    assert_eq!(pusher.push(for_droid(read)).await.name(), "accepted");
    let sent = cloud.asked()[1].json();
    assert_eq!(
        sent["message"]["android"],
        json!({"priority": "NORMAL", "ttl": "3600s", "collapse_key": "c7"})
    );
    assert_eq!(
        sent["message"]["data"],
        json!({"kind": "read", "read": "c7", "unread": "0", "badge": "0", "tracking": "track-1"})
    );
}

#[tokio::test]
async fn a_cancelled_call_is_told_to_android_at_once() {
    let (cloud, pusher) = world(taken).await;
    let push = for_droid(Notification {
        channel: Channel::Voip,
        purpose: Purpose::CallCancelled {
            call: "c@x".to_owned(),
        },
        ttl: Duration::from_mins(1),
        ..call(1)
    });
    assert_eq!(pusher.push(push).await.name(), "accepted");
    let sent = cloud.asked()[1].json();
    assert_eq!(sent["message"]["data"]["kind"], "call_cancelled");
    assert_eq!(sent["message"]["android"]["ttl"], "0s");
}

#[tokio::test]
async fn fifty_pushes_at_once_fetch_one_access_token() {
    let (cloud, pusher) = world(taken).await;
    let mut all = JoinSet::new();
    for number in 0..50 {
        let pusher = pusher.clone();
        all.spawn(async move { pusher.push(for_droid(call(number))).await });
    }
    let outcomes = all.join_all().await;
    assert!(support::all_accepted(&outcomes), "{outcomes:?}");
    assert_eq!((count(&cloud, "/token"), count(&cloud, SEND)), (1, 50));
}

#[tokio::test]
async fn an_access_token_is_not_used_in_its_last_minute() {
    for (lifetime, fetched) in [(60, 2), (90, 1)] {
        let (cloud, pusher) = world_with_tokens_for(lifetime, taken).await;
        for number in 0..2 {
            assert_eq!(
                pusher.push(for_droid(call(number))).await.name(),
                "accepted"
            );
        }
        assert_eq!(count(&cloud, "/token"), fetched, "{lifetime} s");
    }
}

#[tokio::test]
async fn a_refused_access_token_is_replaced_once() {
    let (cloud, pusher) = world(|asked| {
        if asked.header("authorization") == Some("Bearer access-1") {
            return (
                401,
                json!({"error": {"code": 401, "status": "UNAUTHENTICATED"}}),
            );
        }
        taken(asked)
    })
    .await;
    assert_eq!(pusher.push(for_droid(call(1))).await.name(), "accepted");
    assert_eq!(pusher.push(for_droid(call(2))).await.name(), "accepted");
    assert_eq!((count(&cloud, "/token"), count(&cloud, SEND)), (2, 3));
}

#[tokio::test]
async fn an_access_token_that_is_always_refused_ends_as_unauthorized() {
    let (cloud, pusher) = world(|_| (401, json!({"error": {"status": "UNAUTHENTICATED"}}))).await;
    let outcome = pusher.push(for_droid(call(1))).await;
    assert_eq!(
        outcome,
        Outcome::Unauthorized {
            reason: "UNAUTHENTICATED".to_owned()
        }
    );
    assert_eq!((count(&cloud, "/token"), count(&cloud, SEND)), (2, 2));
}

#[tokio::test]
async fn a_service_account_that_google_does_not_know_is_unauthorized() {
    let refusal = json!({"error": "invalid_grant", "error_description": "Invalid JWT Signature."});
    let cloud = Cloud::start(move |_| reply(400, &refusal)).await;
    let pusher = pusher(vec![droid(cloud.port)], cloud.roots.clone(), limits());
    assert_eq!(
        pusher.push(for_droid(call(1))).await,
        Outcome::Unauthorized {
            reason: "no access token: HTTP 400 invalid_grant Invalid JWT Signature.".to_owned()
        }
    );
}

#[tokio::test]
async fn trouble_at_the_token_server_is_asked_about_once_by_all_who_wait() {
    let cloud = Cloud::start(|_| reply(503, &json!({}))).await;
    let pusher = pusher(vec![droid(cloud.port)], cloud.roots.clone(), limits());
    let mut all = JoinSet::new();
    for number in 0..50 {
        let pusher = pusher.clone();
        all.spawn(async move { pusher.push(for_droid(call(number))).await });
    }
    for outcome in all.join_all().await {
        assert_eq!(outcome.name(), "unavailable");
        assert_eq!(outcome.reason(), "no access token: HTTP 503");
    }
    assert_eq!(count(&cloud, "/token"), 1);
}

#[tokio::test]
async fn warming_fetches_the_token_and_connects() {
    let (cloud, pusher) = world(taken).await;
    pusher.warm().await;
    assert_eq!(count(&cloud, "/token"), 1);
    assert_eq!(pusher.push(for_droid(call(1))).await.name(), "accepted");
    assert_eq!(count(&cloud, "/token"), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_keeps_its_status() {
    // Longer than what is read of it.
    let long = "x".repeat(100_000);
    let (_cloud, pusher) = world(move |_| {
        (
            503,
            json!({"error": {"status": "UNAVAILABLE", "message": long}}),
        )
    })
    .await;
    let outcome = pusher.push(for_droid(call(1))).await;
    assert_eq!(outcome.name(), "unavailable");
}
