use std::time::Duration;

use lab::phone::machine::{Done, Order};
use lab::phone::{PhoneConfig, PhoneEvent};
use lab::sim::Plan;
use sip::HeaderName;
use sip::endpoint::Transport;

use crate::world::{BOB, World, config, iphone};

const SECOND: Duration = Duration::from_secs(1);

fn call() -> String {
    "c1".to_owned()
}

#[test]
fn a_call_rings_is_answered_and_ended_by_us() {
    let mut world = World::of(iphone());
    world.server(|server, now| server.invite(now, "bob", "c1"));
    world.run_for(SECOND);
    assert_eq!(world.heard("180 c1"), 1);
    world.obeys(BOB, Order::Answer(call())).unwrap();
    world.run_for(SECOND);
    assert!(world.has_seen(&PhoneEvent::Connected { call: call() }));
    world.obeys(BOB, Order::Hangup(call())).unwrap();
    world.run_for(SECOND);
    assert_eq!(world.heard("BYE c1"), 1);
    assert!(world.has_seen(&PhoneEvent::Ended {
        call: call(),
        by_us: true
    }));
}

#[test]
fn in_a_call_a_phone_says_anew_where_it_is() {
    let mut world = World::of(iphone());
    world.server(|server, now| server.invite(now, "bob", "c1"));
    world.run_for(SECOND);
    world.obeys(BOB, Order::Answer(call())).unwrap();
    world.run_for(SECOND);
    world.obeys(BOB, Order::ChangeNetwork).unwrap();
    world.run_for(SECOND);
    let place = world.server.places.last().unwrap().to_string();
    for (says, over) in [(200, 0), (481, 1)] {
        world.server.says = says;
        world.obeys(BOB, Order::Renew).unwrap();
        world.run_for(SECOND);
        let request = world.server.requests.last().unwrap();
        let contact = request.header_text(HeaderName::Contact).unwrap();
        assert!(contact.contains(&place), "{contact} is not {place}");
        assert_eq!(world.order_of(&["ended"]).len(), over);
    }
    assert_eq!(world.heard("INVITE c1"), 2);
    assert_eq!(world.heard("ACK c1"), 1);
}

#[test]
fn who_renews_a_call_is_found_at_the_new_place() {
    let mut world = World::of(iphone());
    world.server(|server, now| server.invite(now, "bob", "c1"));
    world.run_for(SECOND);
    world.obeys(BOB, Order::Answer(call())).unwrap();
    world.run_for(SECOND);
    world.server(|server, now| server.renew(now, "bob", "c1", "203.0.113.7"));
    world.run_for(SECOND);
    assert_eq!(world.order_of(&["renewed"]).len(), 1);
    world.obeys(BOB, Order::Hangup(call())).unwrap();
    world.run_for(SECOND);
    assert_eq!(world.heard("BYE c1"), 1);
    let bye = world.server.requests.last().unwrap();
    assert_eq!(bye.request_uri(), "sip:alice@203.0.113.7");
}

#[test]
fn a_call_whose_ack_never_comes_is_ended() {
    let mut world = World::of(iphone());
    world.server(|server, now| server.invite(now, "bob", "c1"));
    world.run_for(SECOND);
    // From now on nothing gets through.
    world.network.set_plan(Plan {
        breaks: 1_000,
        half_open: 0,
        ..Plan::CALM
    });
    world.obeys(BOB, Order::Answer(call())).unwrap();
    world.run_for(Duration::from_mins(1));
    assert!(!world.has_seen(&PhoneEvent::Connected { call: call() }));
    assert!(world.has_seen(&PhoneEvent::Ended {
        call: call(),
        by_us: true
    }));
}

#[test]
fn a_phone_told_so_answers_by_itself_after_so_much_ringing() {
    let config = PhoneConfig {
        auto_answer: Some(Duration::from_secs(4)),
        ..config("bob", Transport::Udp, iphone(), 1)
    };
    let mut world = World::with(config, Plan::CALM);
    world.server(|server, now| server.invite(now, "bob", "c1"));
    world.run_for(10 * SECOND);
    let rang = world.time_of(|event| *event == PhoneEvent::Ringing { call: call() });
    let answered = world.time_of(|event| *event == PhoneEvent::Answered { call: call() });
    assert_eq!(answered, rang + 4 * SECOND);
}

#[test]
fn a_cancelled_call_stops_ringing() {
    let mut world = World::of(iphone());
    world.server(|server, now| server.invite(now, "bob", "c1"));
    world.run_for(SECOND);
    world.server(|server, now| server.cancel(now, "c1"));
    world.run_for(SECOND);
    assert_eq!(world.heard("487 c1"), 1);
    assert_eq!(world.order_of(&["ringing", "cancelled"]).len(), 2);
    assert!(world.obeys(BOB, Order::Answer(call())).is_err());
}

#[test]
fn the_same_call_once_more_rings_on_in_the_new_transaction() {
    let mut world = World::of(iphone());
    for _ in 0..2 {
        world.server(|server, now| server.invite(now, "bob", "c1"));
        world.run_for(SECOND);
    }
    assert_eq!(world.heard("482 c1"), 1);
    world.obeys(BOB, Order::Answer(call())).unwrap();
    world.run_for(SECOND);
    assert!(world.has_seen(&PhoneEvent::Connected { call: call() }));
    assert_eq!(world.order_of(&["ringing"]).len(), 1);
}

#[test]
fn an_answer_that_was_lost_with_its_connection_is_given_again_when_the_invite_comes_again() {
    let mut world = World::of(iphone());
    world.server(|server, now| server.invite(now, "bob", "c1"));
    world.run_for(SECOND);
    world.network.set_plan(Plan {
        breaks: 1_000,
        half_open: 0,
        ..Plan::CALM
    });
    world.obeys(BOB, Order::Answer(call())).unwrap();
    world.network.set_plan(Plan::CALM);
    world.server.hold("bob", "c1");
    world.run_for(2 * SECOND);
    assert_eq!(world.heard("200 c1"), 1);
    assert!(world.has_seen(&PhoneEvent::Connected { call: call() }));
    assert_eq!(world.order_of(&["ringing", "answered"]).len(), 2);
}

#[test]
fn a_call_that_is_up_is_not_begun_anew() {
    let mut world = World::of(iphone());
    world.server(|server, now| server.invite(now, "bob", "c1"));
    world.run_for(SECOND);
    world.obeys(BOB, Order::Answer(call())).unwrap();
    world.run_for(SECOND);
    world.server(|server, now| server.invite(now, "bob", "c1"));
    world.run_for(SECOND);
    assert_eq!(world.heard("482 c1"), 1);
    world.obeys(BOB, Order::Hangup(call())).unwrap();
    assert_eq!(world.order_of(&["ringing", "ended"]), ["ringing", "ended"]);
}

#[test]
fn a_call_from_the_phone_is_answered_over_a_network_that_loses_much() {
    let plan = Plan {
        loss: 300,
        duplicate: 300,
        ..Plan::CALM
    };
    let mut world = World::with(config("bob", Transport::Udp, iphone(), 1), plan);
    let uri = "sip:alice@localhost".to_owned();
    let Done::Calling(call) = world.obeys(BOB, Order::Call { uri }).unwrap() else {
        panic!("no call")
    };
    world.run_for(10 * SECOND);
    let answered = PhoneEvent::Answered { call: call.clone() };
    assert_eq!(world.count(|event| *event == answered), 1);
    assert_eq!(world.heard(&format!("INVITE {call}")), 1);
    world.obeys(BOB, Order::Hangup(call.clone())).unwrap();
    world.run_for(40 * SECOND);
    assert_eq!(world.heard(&format!("BYE {call}")), 1);
}

#[test]
fn a_call_from_the_phone_that_is_refused_says_how() {
    let mut world = World::of(iphone());
    world.server.says = 486;
    let uri = "sip:alice@localhost".to_owned();
    world.obeys(BOB, Order::Call { uri }).unwrap();
    world.run_for(SECOND);
    assert_eq!(
        world.count(|event| matches!(event, PhoneEvent::CallFailed { status: 486, .. })),
        1
    );
}
