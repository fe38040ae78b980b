use std::time::Duration;

use domain::Channel;
use lab::phone::machine::Order;
use lab::phone::{PhoneConfig, PhoneEvent};
use lab::sim::{Fate, Plan};
use sip::endpoint::Transport;

use crate::world::{BOB, World, android, config, iphone, push};

const SECOND: Duration = Duration::from_secs(1);

fn call() -> String {
    "c1".to_owned()
}

fn voip_fate(world: &mut World, fate: Fate) {
    let token = world.phones[BOB].phone.config().tokens.voip.clone();
    world.cloud.decide(&token, fate);
}

#[test]
fn a_sleeping_iphone_shows_the_call_before_any_sip_and_answers_when_the_invite_comes() {
    let mut world = World::of(iphone());
    world.obeys(BOB, Order::Suspend).unwrap();
    world.call(BOB, "c1");
    world.run_until(SECOND, |world| {
        world.count(|event| matches!(event, PhoneEvent::CallKitRinging { .. })) > 0
    });
    world.obeys(BOB, Order::Answer(call())).unwrap();
    world.run_for(SECOND);
    assert_eq!(
        world.order_of(&[
            "suspended",
            "call_kit_ringing",
            "resumed",
            "invite_received",
            "answered",
            "connected"
        ]),
        [
            "resumed",
            "suspended",
            "call_kit_ringing",
            "resumed",
            "invite_received",
            "answered",
            "connected"
        ]
    );
}

#[test]
fn an_android_phone_registers_and_rings_without_callkit() {
    for transport in [Transport::Udp, Transport::Tls] {
        let mut world = World::with(config("bob", transport, android(), 1), Plan::CALM);
        world.obeys(BOB, Order::Suspend).unwrap();
        world.call(BOB, "c1");
        world.run_for(SECOND);
        assert!(world.has_seen(&PhoneEvent::Ringing { call: call() }));
        assert_eq!(world.order_of(&["call_kit_ringing"]).len(), 0);
    }
}

#[test]
fn a_push_for_a_call_that_sip_brought_is_dropped_whichever_comes_first() {
    let mut world = World::of(iphone());
    world.server(|server, now| server.invite(now, "bob", "c1"));
    world.run_for(SECOND);
    world.push(BOB, &push("call", Some("c1"), Channel::Voip));
    world.run_for(SECOND);
    assert!(world.has_seen(&PhoneEvent::DuplicatePushDropped { call: call() }));

    world.push(BOB, &push("call", Some("c2"), Channel::Voip));
    world.run_for(SECOND);
    world.server(|server, now| server.invite(now, "bob", "c2"));
    world.run_for(SECOND);
    let call = "c2".to_owned();
    assert!(world.has_seen(&PhoneEvent::DuplicatePushDropped { call }));
    assert_eq!(world.order_of(&["call_kit_ringing"]).len(), 0);
}

#[test]
fn a_push_that_is_delivered_twice_wakes_once() {
    let mut world = World::of(iphone());
    world.obeys(BOB, Order::Suspend).unwrap();
    voip_fate(&mut world, Fate::delivered([SECOND, 2 * SECOND]));
    world.call(BOB, "c1");
    world.run_for(30 * SECOND);
    assert_eq!(
        world.order_of(&["pushed", "call_kit_ringing", "duplicate_push_dropped"]),
        [
            "pushed",
            "call_kit_ringing",
            "pushed",
            "duplicate_push_dropped"
        ]
    );
    assert_eq!(world.order_of(&["ringing", "killed"]), ["ringing"]);
}

#[test]
fn a_voip_push_whose_call_never_comes_kills_the_iphone_app_when_patience_is_over() {
    let mut world = World::of(iphone());
    world.obeys(BOB, Order::Suspend).unwrap();
    world.push(BOB, &push("call", Some("c1"), Channel::Voip));
    world.run_for(60 * SECOND);
    let pushed = world.time_of(|event| matches!(event, PhoneEvent::Pushed { .. }));
    let killed = world.time_of(|event| matches!(event, PhoneEvent::Killed { .. }));
    assert_eq!(killed, pushed + 20 * SECOND);
    assert!(world.has_seen(&PhoneEvent::CallKitClosed { call: call() }));
    // iOS sends it no VoIP push any more.
    world.push(BOB, &push("call", Some("c2"), Channel::Voip));
    world.run_for(60 * SECOND);
    assert_eq!(world.order_of(&["pushed"]).len(), 1);

    let mut droid = World::of(android());
    droid.obeys(BOB, Order::Suspend).unwrap();
    droid.push(BOB, &push("call", Some("c1"), Channel::Voip));
    droid.run_for(60 * SECOND);
    assert!(droid.has_seen(&PhoneEvent::WokenForNothing { call: call() }));
}

#[test]
fn a_voip_push_that_is_no_call_kills_the_iphone_app_at_once() {
    let mut world = World::of(iphone());
    world.obeys(BOB, Order::Suspend).unwrap();
    world.push(BOB, &push("message", None, Channel::Voip));
    world.run_for(SECOND);
    assert_eq!(world.order_of(&["pushed", "killed"]), ["pushed", "killed"]);
}

#[test]
fn a_woken_iphone_whose_call_ended_closes_its_screen_on_invite_and_cancel() {
    let mut world = World::of(iphone());
    world.obeys(BOB, Order::Suspend).unwrap();
    world.call(BOB, "c1");
    world.run_for(SECOND);
    world.server(|server, now| server.cancel(now, "c1"));
    world.run_for(60 * SECOND);
    assert!(world.has_seen(&PhoneEvent::CallKitClosed { call: call() }));
    assert_eq!(world.order_of(&["killed"]).len(), 0);
}

#[test]
fn a_push_that_comes_after_the_end_of_its_call_was_seen_closes_its_screen_at_once() {
    let mut world = World::of(iphone());
    let now = world.clock.now();
    world.server(|server, _| server.invite(now, "bob", "c1"));
    world.run_for(SECOND);
    world.server(|server, now| server.cancel(now, "c1"));
    world.run_for(SECOND);
    world.obeys(BOB, Order::Suspend).unwrap();
    world.push(BOB, &push("call", Some("c1"), Channel::Voip));
    world.run_for(60 * SECOND);
    assert_eq!(
        world.order_of(&["cancelled", "call_kit_ringing", "call_kit_closed", "killed"]),
        ["cancelled", "call_kit_ringing", "call_kit_closed"]
    );
}

#[test]
fn a_cancel_push_ends_the_wait_of_an_android_phone() {
    let mut world = World::of(android());
    world.obeys(BOB, Order::Suspend).unwrap();
    world.push(BOB, &push("call", Some("c1"), Channel::Voip));
    world.push(BOB, &push("call_cancelled", Some("c1"), Channel::Voip));
    world.run_for(60 * SECOND);
    assert_eq!(
        world.order_of(&["cancelled", "woken_for_nothing"]),
        ["cancelled"]
    );
}

#[test]
fn a_frozen_iphone_reads_the_invite_only_after_its_push_and_callkit_rings_first() {
    let mut world = World::of(iphone());
    world.obeys(BOB, Order::Background).unwrap();
    world.server(|server, now| server.invite(now, "bob", "c1"));
    world.run_for(SECOND);
    assert_eq!(world.heard("180 c1"), 0);
    world.push(BOB, &push("call", Some("c1"), Channel::Voip));
    world.run_for(SECOND);
    assert_eq!(world.heard("180 c1"), 1);
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

#[test]
fn what_came_for_a_frozen_app_is_bounded_and_a_stream_that_it_does_not_read_is_lost() {
    let mut world = World::of(iphone());
    world.obeys(BOB, Order::Background).unwrap();
    for number in 0..300 {
        world.server(|server, now| server.message(now, "bob", &format!("m{number}")));
    }
    world.run_for(SECOND);
    assert_eq!(world.network.streams(), 0);
    world.obeys(BOB, Order::Resume).unwrap();
    assert_eq!(world.heard("REGISTER bob 3600"), 2);
}

#[test]
fn a_phone_put_to_sleep_while_it_rings_is_woken_again_for_the_same_call() {
    let mut world = World::of(iphone());
    world.server(|server, now| server.invite(now, "bob", "c1"));
    world.run_for(SECOND);
    world.obeys(BOB, Order::Suspend).unwrap();
    world.call(BOB, "c1");
    world.run_for(SECOND);
    assert_eq!(
        world.order_of(&["ringing", "call_kit_ringing", "duplicate_push_dropped"]),
        ["ringing", "call_kit_ringing", "ringing"]
    );
}

#[test]
fn a_refresh_push_lets_a_sleeping_app_register_unseen_and_sleep_on() {
    let mut world = World::of(iphone());
    world.obeys(BOB, Order::Suspend).unwrap();
    world.push(BOB, &push("refresh", None, Channel::Message));
    world.run_for(10 * SECOND);
    assert_eq!(world.heard("REGISTER bob 3600"), 2);
    assert_eq!(
        world.order_of(&["resumed", "suspended", "notification_shown"]),
        ["resumed", "suspended", "suspended"]
    );
    assert_eq!(world.network.streams(), 0);
    assert_eq!(world.phones[BOB].phone.next_timeout(), None);
}

#[test]
fn a_push_that_comes_late_wakes_late() {
    let config = PhoneConfig {
        auto_answer: Some(SECOND),
        ..config("bob", Transport::Tls, iphone(), 1)
    };
    let mut world = World::with(config, Plan::CALM);
    world.obeys(BOB, Order::Suspend).unwrap();
    voip_fate(&mut world, Fate::delivered([40 * SECOND]));
    world.call(BOB, "c1");
    world.run_for(39 * SECOND);
    assert_eq!(world.order_of(&["pushed"]).len(), 0);
    world.run_for(5 * SECOND);
    assert!(world.has_seen(&PhoneEvent::Connected { call: call() }));
}

#[test]
fn a_message_push_is_shown_and_only_a_tap_opens_the_app() {
    let mut world = World::of(iphone());
    world.obeys(BOB, Order::Suspend).unwrap();
    world.push(BOB, &push("message", None, Channel::Message));
    world.run_for(SECOND);
    assert_eq!(
        world.order_of(&["notification_shown", "resumed"]),
        ["resumed", "notification_shown"]
    );
    world.obeys(BOB, Order::Tap).unwrap();
    assert_eq!(world.heard("REGISTER bob 3600"), 2);
}
