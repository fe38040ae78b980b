use std::time::Duration;

use lab::phone::machine::{Done, Order};
use lab::phone::{PhoneError, PhoneEvent};
use lab::sim::Plan;
use sip::endpoint::Transport;

use crate::world::{BOB, World, config, iphone};

fn received(event: &PhoneEvent) -> bool {
    matches!(event, PhoneEvent::MessageReceived { id, .. } if id == "m1")
}

#[test]
fn a_message_is_shown_once_however_often_the_server_sends_it() {
    let mut world = World::of(iphone());
    for _ in 0..2 {
        world.server(|server, now| server.message(now, "bob", "m1"));
        world.run_for(Duration::from_secs(1));
        // A sleep in which the phone could have forgotten it.
        world.obeys(BOB, Order::Suspend).unwrap();
        world.obeys(BOB, Order::Resume).unwrap();
    }
    assert_eq!(world.count(received), 1);
    let id = "m1".to_owned();
    assert!(world.has_seen(&PhoneEvent::DuplicateMessageDropped { id }));
    assert_eq!(world.heard("200 m1"), 2);
}

#[test]
fn a_message_is_shown_once_over_any_network() {
    for seed in 0..50 {
        let plan = Plan {
            loss: 300,
            duplicate: 500,
            straggle: 300,
            straggle_by: Duration::from_secs(5),
            ..Plan::CALM
        };
        let mut world = World::new(Plan::CALM, seed);
        let bob = world.add(config("bob", Transport::Udp, iphone(), seed));
        world.obeys(bob, Order::Register).unwrap();
        world.network.set_plan(plan);
        world.server(|server, now| server.message(now, "bob", "m1"));
        world.run_for(Duration::from_mins(2));
        assert_eq!(world.count(received), 1, "seed {seed}");
    }
}

#[test]
fn a_message_from_the_phone_says_what_the_server_made_of_it() {
    let mut world = World::of(iphone());
    let send = || Order::Send {
        uri: "sip:alice@localhost".to_owned(),
        text: "grüße".to_owned(),
    };
    world.server.says = 202;
    assert_eq!(world.obeys(BOB, send()).unwrap(), Done::Sent(202));
    world.server.says = 404;
    let refused = world.obeys(BOB, send());
    assert!(matches!(
        refused,
        Err(PhoneError::Refused { status: 404, .. })
    ));
    world.obeys(BOB, Order::Suspend).unwrap();
    assert!(matches!(
        world.obeys(BOB, send()),
        Err(PhoneError::NotRunning)
    ));
}

#[test]
fn a_phone_put_to_sleep_says_that_nothing_became_of_its_message() {
    let mut world = World::of(iphone());
    let order = world.order(
        BOB,
        Order::Send {
            uri: "sip:alice@localhost".to_owned(),
            text: "wait".to_owned(),
        },
    );
    world.obeys(BOB, Order::Suspend).unwrap();
    let outcome = world.phones[BOB].outcome(order).unwrap();
    assert!(matches!(outcome, Err(PhoneError::NotRunning)));
}
