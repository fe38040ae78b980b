use std::time::Duration;

use lab::phone::{PhoneConfig, PhoneEvent};

use crate::registrar::{Heard, Order};
use crate::world::{World, iphone};

fn heard(method: &str, of: &str) -> impl FnMut(&Heard) -> bool {
    move |heard| matches!(heard, Heard::Request { method: m, call, .. } if m == method && call == of)
}

#[tokio::test]
async fn a_call_rings_is_answered_and_ended_by_the_caller() {
    let world = World::registered(iphone(), |config| config).await;
    world.invite("c1");
    world.registrar.hears_answer("c1", 180).await;
    world
        .sees_event(PhoneEvent::InviteReceived {
            call: "c1".to_owned(),
            from: "Alice A.".to_owned(),
        })
        .await;
    world.phone.answer("c1").await.unwrap();
    world.registrar.hears_answer("c1", 200).await;
    world
        .sees_event(PhoneEvent::Connected {
            call: "c1".to_owned(),
        })
        .await;
    world.registrar.order(Order::Bye {
        call: "c1".to_owned(),
    });
    world
        .sees_event(PhoneEvent::Ended {
            call: "c1".to_owned(),
            by_us: false,
        })
        .await;
}

#[tokio::test]
async fn a_call_is_ended_by_us_with_a_bye() {
    let world = World::registered(iphone(), |config| config).await;
    world.invite("c1");
    world.registrar.hears_answer("c1", 180).await;
    world.phone.answer("c1").await.unwrap();
    world
        .sees_event(PhoneEvent::Connected {
            call: "c1".to_owned(),
        })
        .await;
    world.phone.hangup("c1").await.unwrap();
    world.registrar.hears(1, heard("BYE", "c1")).await;
    world
        .sees_event(PhoneEvent::Ended {
            call: "c1".to_owned(),
            by_us: true,
        })
        .await;
}

#[tokio::test]
async fn a_declined_call_is_declined_everywhere() {
    let world = World::registered(iphone(), |config| config).await;
    world.invite("c1");
    world.registrar.hears_answer("c1", 180).await;
    world.phone.decline("c1").await.unwrap();
    world.registrar.hears_answer("c1", 603).await;
    assert!(world.phone.answer("c1").await.is_err());
}

#[tokio::test]
async fn a_cancelled_call_stops_ringing_and_knows_why() {
    let world = World::registered(iphone(), |config| config).await;
    world.invite("c1");
    world.registrar.hears_answer("c1", 180).await;
    let reason = "SIP;cause=200;text=\"Call completed elsewhere\"".to_owned();
    world.registrar.order(Order::Cancel {
        call: "c1".to_owned(),
        reason,
    });
    world.registrar.hears_answer("c1", 487).await;
    let reason = Some("Call completed elsewhere".to_owned());
    world
        .sees_event(PhoneEvent::Cancelled {
            call: "c1".to_owned(),
            reason,
        })
        .await;
}

#[tokio::test]
async fn a_phone_told_so_answers_by_itself() {
    let change = |config| PhoneConfig {
        auto_answer: Some(Duration::from_millis(20)),
        ..config
    };
    let world = World::registered(iphone(), change).await;
    world.invite("c1");
    world.registrar.hears_answer("c1", 200).await;
    world
        .sees_event(PhoneEvent::Connected {
            call: "c1".to_owned(),
        })
        .await;
}

#[tokio::test]
async fn the_same_call_once_more_rings_on_and_is_answered_in_the_new_transaction() {
    let world = World::registered(iphone(), |config| config).await;
    world.invite("c1");
    world.registrar.hears_answer("c1", 180).await;
    world.invite("c1");
    world.registrar.hears_answer("c1", 482).await;
    world.phone.answer("c1").await.unwrap();
    world.registrar.hears_answer("c1", 200).await;
    world
        .sees_event(PhoneEvent::Connected {
            call: "c1".to_owned(),
        })
        .await;
    assert_eq!(world.order_of(&["ringing"]).len(), 1);
}

#[tokio::test]
async fn a_call_from_the_phone_rings_there_and_is_ended() {
    let world = World::registered(iphone(), |config| config).await;
    let call = world.phone.call("sip:alice@localhost").await.unwrap();
    world
        .sees_event(PhoneEvent::Progress {
            call: call.clone(),
            status: 180,
        })
        .await;
    world
        .sees_event(PhoneEvent::Answered { call: call.clone() })
        .await;
    world.registrar.hears(1, heard("ACK", &call)).await;
    world.phone.hangup(&call).await.unwrap();
    world.registrar.hears(1, heard("BYE", &call)).await;
}

#[tokio::test]
async fn a_call_from_the_phone_that_is_refused_says_how() {
    let world = World::registered(iphone(), |config| config).await;
    world.registrar.order(Order::AnswerWith(486));
    let call = world.phone.call("sip:alice@localhost").await.unwrap();
    world
        .sees_event(PhoneEvent::CallFailed {
            call: call.clone(),
            status: 486,
            reason: "Busy Here".to_owned(),
        })
        .await;
    assert!(world.phone.hangup(&call).await.is_err());
}

#[tokio::test]
async fn hanging_up_before_the_answer_cancels() {
    let world = World::registered(iphone(), |config| config).await;
    world.registrar.order(Order::AnswerWith(100));
    let call = world.phone.call("sip:alice@localhost").await.unwrap();
    world
        .sees_event(PhoneEvent::Progress {
            call: call.clone(),
            status: 180,
        })
        .await;
    world.phone.hangup(&call).await.unwrap();
    world
        .sees(|event| matches!(event, PhoneEvent::CallFailed { status: 487, .. }))
        .await;
}

#[tokio::test]
async fn a_phone_that_is_not_running_cannot_call() {
    let world = World::registered(iphone(), |config| config).await;
    world.phone.suspend().await.unwrap();
    assert!(world.phone.call("sip:alice@localhost").await.is_err());
}

#[tokio::test]
async fn others_see_the_name_of_who_calls_them() {
    let world = World::registered(iphone(), |config| config).await;
    let call = world.phone.call("sip:alice@localhost").await.unwrap();
    world.registrar.hears(1, heard("INVITE", &call)).await;
    assert_eq!(world.registrar.last_from(), "\"Bob\" <sip:bob@localhost>");
}
