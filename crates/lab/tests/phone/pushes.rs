use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Generation;
use lab::phone::{Caller, PhoneConfig, PhoneEvent};
use push::seal::{Entropy, seal};
use serde_json::json;

use crate::registrar::{Heard, Order};
use crate::world::{World, android, iphone};

fn sealed(world: &World, content: &serde_json::Value) -> String {
    let key = world.phone.config().keys.as_ref().unwrap().public();
    URL_SAFE_NO_PAD.encode(seal(&key, content.to_string().as_bytes(), &Entropy::random()).unwrap())
}

#[tokio::test]
async fn callkit_rings_with_the_sealed_caller_before_any_sip_and_answers_when_the_invite_comes() {
    let world = World::registered(iphone(), |config| config).await;
    world.phone.suspend().await.unwrap();
    let sealed = sealed(
        &world,
        &json!({ "name": "Alice A.", "number": "sip:alice@localhost" }),
    );
    world.push_voip(json!({ "kind": "call", "call": "c1", "tracking": "t", "sealed": sealed }));
    world
        .sees_event(PhoneEvent::CallKitRinging {
            call: "c1".to_owned(),
            name: "Alice A.".to_owned(),
            number: "sip:alice@localhost".to_owned(),
        })
        .await;
    world.phone.answer("c1").await.unwrap();
    world
        .registrar
        .hears(2, |heard| matches!(heard, Heard::Registered { .. }))
        .await;
    world.invite("c1");
    world
        .sees_event(PhoneEvent::Connected {
            call: "c1".to_owned(),
        })
        .await;
    assert_eq!(
        world.order_of(&["call_kit_ringing", "resumed", "invite_received", "answered"]),
        [
            "resumed",
            "call_kit_ringing",
            "resumed",
            "invite_received",
            "answered"
        ]
    );
}

#[tokio::test]
async fn an_android_phone_and_an_old_iphone_register_and_ring_without_callkit() {
    let droid = World::registered(android(), |config| config).await;
    let old = World::registered(iphone(), |config| {
        config.generation(Generation::SingleChannel)
    })
    .await;
    for world in [droid, old] {
        world.phone.suspend().await.unwrap();
        world.push_call("c1");
        world
            .registrar
            .hears(2, |heard| matches!(heard, Heard::Registered { .. }))
            .await;
        world.invite("c1");
        world
            .sees_event(PhoneEvent::Ringing {
                call: "c1".to_owned(),
            })
            .await;
        assert!(!world.has_seen(|event| matches!(event, PhoneEvent::CallKitRinging { .. })));
    }
}

#[tokio::test]
async fn a_push_for_a_call_that_sip_brought_is_dropped_whichever_comes_first() {
    let world = World::registered(iphone(), |config| config).await;
    world.invite("c1");
    world.registrar.hears_answer("c1", 180).await;
    world.push_call("c1");
    world
        .sees_event(PhoneEvent::DuplicatePushDropped {
            call: "c1".to_owned(),
        })
        .await;

    world.push_call("c2");
    world
        .sees(|event| matches!(event, PhoneEvent::Pushed { call: Some(call), .. } if call == "c2"))
        .await;
    world.invite("c2");
    world
        .sees_event(PhoneEvent::DuplicatePushDropped {
            call: "c2".to_owned(),
        })
        .await;
    assert!(!world.has_seen(|event| matches!(event, PhoneEvent::CallKitRinging { .. })));
}

#[tokio::test]
async fn a_voip_push_that_is_no_call_kills_the_iphone_app_for_good() {
    let world = World::registered(iphone(), |config| config).await;
    world.phone.suspend().await.unwrap();
    world.push_voip(json!({ "kind": "message", "conversation": "x", "unread": "1" }));
    world
        .sees(|event| matches!(event, PhoneEvent::Killed { .. }))
        .await;
    // The next call's push is not delivered any more; an ordinary notification is.
    world.push_call("c1");
    world.push_message(json!({ "kind": "message", "unread": 2 }));
    world
        .sees(|event| {
            matches!(
                event,
                PhoneEvent::NotificationShown {
                    unread: Some(2),
                    ..
                }
            )
        })
        .await;
    assert!(!world.has_seen(|event| matches!(event, PhoneEvent::CallKitRinging { .. })));
}

#[tokio::test]
async fn a_voip_push_whose_call_never_comes_kills_the_iphone_app() {
    let change = |config| PhoneConfig {
        call_patience: Duration::from_millis(100),
        ..config
    };
    let world = World::registered(iphone(), change).await;
    world.phone.suspend().await.unwrap();
    world.push_call("c1");
    world
        .sees(|event| matches!(event, PhoneEvent::Killed { why } if why.contains("c1")))
        .await;
    assert!(world.has_seen(|event| *event
        == PhoneEvent::CallKitClosed {
            call: "c1".to_owned()
        }));

    let change = |config| PhoneConfig {
        call_patience: Duration::from_millis(100),
        ..config
    };
    let droid = World::registered(android(), change).await;
    droid.push_call("c1");
    droid
        .sees_event(PhoneEvent::WokenForNothing {
            call: "c1".to_owned(),
        })
        .await;
}

#[tokio::test]
async fn a_woken_iphone_whose_call_ended_closes_its_screen_on_invite_and_cancel() {
    let world = World::registered(iphone(), |config| config).await;
    world.phone.suspend().await.unwrap();
    world.push_call("c1");
    world
        .registrar
        .hears(2, |heard| matches!(heard, Heard::Registered { .. }))
        .await;
    world.invite("c1");
    world.registrar.hears_answer("c1", 180).await;
    world.registrar.order(Order::Cancel {
        call: "c1".to_owned(),
        reason: "SIP;cause=487".to_owned(),
    });
    world
        .sees_event(PhoneEvent::CallKitClosed {
            call: "c1".to_owned(),
        })
        .await;
    assert!(!world.has_seen(|event| matches!(event, PhoneEvent::Killed { .. })));
}

#[tokio::test]
async fn a_cancel_push_ends_the_wait_of_an_android_phone() {
    let world = World::registered(android(), |config| config).await;
    world.phone.suspend().await.unwrap();
    world.push_call("c1");
    world.push_voip(json!({ "kind": "call_cancelled", "call": "c1" }));
    world
        .sees_event(PhoneEvent::Cancelled {
            call: "c1".to_owned(),
            reason: Some("push".to_owned()),
        })
        .await;
}

#[tokio::test]
async fn a_message_push_is_shown_and_only_a_tap_opens_the_app() {
    let world = World::registered(iphone(), |config| config).await;
    world.phone.suspend().await.unwrap();
    let sealed = sealed(
        &world,
        &json!({ "name": "Alice", "number": "sip:alice@localhost", "text": "hi" }),
    );
    world.push_message(json!({ "aps": {}, "kind": "message", "unread": "3", "sealed": sealed }));
    world
        .sees_event(PhoneEvent::NotificationShown {
            kind: "message".to_owned(),
            from: Some(Caller {
                name: "Alice".to_owned(),
                number: "sip:alice@localhost".to_owned(),
            }),
            text: Some("hi".to_owned()),
            unread: Some(3),
        })
        .await;
    assert_eq!(
        world.order_of(&["resumed"]).len(),
        1,
        "not resumed by itself"
    );
    world.phone.tap().await.unwrap();
    world
        .registrar
        .hears(2, |heard| matches!(heard, Heard::Registered { .. }))
        .await;
}

#[tokio::test]
async fn a_refresh_push_lets_a_sleeping_app_register_unseen() {
    let world = World::registered(iphone(), |config| config).await;
    world.phone.suspend().await.unwrap();
    world.push_message(json!({ "aps": { "content-available": 1 }, "kind": "refresh" }));
    world
        .registrar
        .hears(2, |heard| matches!(heard, Heard::Registered { .. }))
        .await;
    assert!(!world.has_seen(|event| matches!(event, PhoneEvent::NotificationShown { .. })));
    assert_eq!(
        world.order_of(&["resumed"]).len(),
        1,
        "not brought to the foreground"
    );
}

#[tokio::test]
async fn what_was_read_elsewhere_goes_and_the_phone_sleeps_on() {
    let world = World::registered(iphone(), |config| config).await;
    world.phone.suspend().await.unwrap();
    for (conversation, unread) in [("c1", "1"), ("c2", "2")] {
        world.push_message(
            json!({ "kind": "message", "conversation": conversation, "unread": unread }),
        );
    }
    world.push_message(
        json!({ "aps": { "content-available": 1 }, "kind": "read", "read": "c1 c3", "unread": "1" }),
    );
    let gone = |removed| PhoneEvent::NotificationsRemoved {
        removed,
        unread: Some(1),
    };
    world.sees(|event| *event == gone(1)).await;
    world.push_message(json!({ "kind": "read", "read": "c1", "unread": "1" }));
    world.sees(|event| *event == gone(0)).await;
    let names = world.order_of(&["resumed", "suspended"]);
    assert_eq!(names, ["resumed", "suspended"], "it sleeps on");
}

#[tokio::test]
async fn an_app_in_front_shows_no_message_push() {
    let world = World::registered(iphone(), |config| config).await;
    world.push_message(json!({ "kind": "message", "unread": "1" }));
    world
        .sees(|event| matches!(event, PhoneEvent::Pushed { .. }))
        .await;
    world.phone.suspend().await.unwrap();
    assert!(!world.has_seen(|event| matches!(event, PhoneEvent::NotificationShown { .. })));
}

#[tokio::test]
async fn a_background_phone_is_woken_over_the_connection_that_it_has() {
    let world = World::registered(android(), |config| config).await;
    world.phone.background().await.unwrap();
    world.push_call("c1");
    world
        .registrar
        .hears(2, |heard| matches!(heard, Heard::Registered { .. }))
        .await;
    assert!(!world.registrar.heard().contains(&Heard::Closed));
}

#[tokio::test]
async fn a_push_wakes_a_crashed_app() {
    let world = World::registered(android(), |config| config).await;
    world.phone.crash().await.unwrap();
    world.push_call("c1");
    world
        .sees_event(PhoneEvent::Resumed { by_push: true })
        .await;
    world
        .registrar
        .hears(2, |heard| matches!(heard, Heard::Registered { .. }))
        .await;
}

#[tokio::test]
async fn what_was_sealed_for_another_phone_stays_closed() {
    let world = World::registered(iphone(), |config| config).await;
    let other = World::registered(iphone(), |config| config).await;
    world.phone.suspend().await.unwrap();
    let sealed = sealed(&other, &json!({ "name": "Alice" }));
    world.push_voip(json!({ "kind": "call", "call": "c1", "sealed": sealed }));
    world
        .sees(|event| matches!(event, PhoneEvent::CallKitRinging { name, .. } if name == "Unknown"))
        .await;
}

#[tokio::test]
async fn a_frozen_iphone_reads_the_invite_only_after_its_push_and_callkit_rings_first() {
    let world = World::registered(iphone(), |config| config).await;
    world.phone.background().await.unwrap();
    world.invite("c1");
    world.push_call("c1");
    world.registrar.hears_answer("c1", 180).await;
    assert_eq!(
        world.order_of(&[
            "backgrounded",
            "call_kit_ringing",
            "invite_received",
            "duplicate_push_dropped"
        ]),
        ["backgrounded", "call_kit_ringing", "invite_received"]
    );
}

#[tokio::test]
async fn a_connection_that_broke_while_the_app_was_frozen_is_opened_anew() {
    let world = World::registered(iphone(), |config| config).await;
    world.phone.background().await.unwrap();
    world.registrar.order(Order::Disconnect);
    world
        .registrar
        .hears(1, |heard| *heard == Heard::Closed)
        .await;
    world.phone.resume().await.unwrap();
    world
        .registrar
        .hears(2, |heard| matches!(heard, Heard::Registered { .. }))
        .await;
}

#[tokio::test]
async fn a_call_declined_on_the_callkit_screen_is_declined_when_its_invite_comes() {
    let world = World::registered(iphone(), |config| config).await;
    world.phone.suspend().await.unwrap();
    world.push_call("c1");
    world
        .sees(|event| matches!(event, PhoneEvent::CallKitRinging { .. }))
        .await;
    world.phone.decline("c1").await.unwrap();
    world
        .registrar
        .hears(2, |heard| matches!(heard, Heard::Registered { .. }))
        .await;
    world.invite("c1");
    world.registrar.hears_answer("c1", 603).await;
    world
        .sees_event(PhoneEvent::CallKitClosed {
            call: "c1".to_owned(),
        })
        .await;
}

#[tokio::test]
async fn a_phone_put_to_sleep_while_it_rings_is_woken_again_for_the_same_call() {
    let world = World::registered(iphone(), |config| config).await;
    world.invite("c1");
    world.registrar.hears_answer("c1", 180).await;
    world.phone.suspend().await.unwrap();
    world.push_call("c1");
    world
        .sees(|event| matches!(event, PhoneEvent::CallKitRinging { .. }))
        .await;
    world
        .registrar
        .hears(2, |heard| matches!(heard, Heard::Registered { .. }))
        .await;
    assert!(!world.has_seen(|event| matches!(event, PhoneEvent::DuplicatePushDropped { .. })));
}
