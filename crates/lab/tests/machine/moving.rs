use std::time::Duration;

use domain::Channel;
use lab::phone::PhoneEvent;
use lab::phone::machine::Order;
use lab::sim::Plan;
use sip::endpoint::Transport;

use crate::server;
use crate::world::{BOB, World, config, iphone, push};

const SECOND: Duration = Duration::from_secs(1);

/// Every stream breaks with the first word over it, and no end is told.
fn void() -> Plan {
    Plan {
        breaks: 1_000,
        half_open: 1_000,
        ..Plan::CALM
    }
}

#[test]
fn a_phone_on_another_network_registers_from_there_at_once() {
    for transport in [Transport::Udp, Transport::Tls] {
        let mut world = World::with(config("bob", transport, iphone(), 1), Plan::CALM);
        world.obeys(BOB, Order::ChangeNetwork).unwrap();
        world.run_for(SECOND);
        let [before, after] = world.server.places[..] else {
            panic!("{:?}", world.server.places)
        };
        assert_ne!(before, after);
        assert_eq!(world.order_of(&["connection_lost"]).len(), 0);
        // The server was not told that the old connection is gone.
        let streams = if transport == Transport::Udp { 0 } else { 2 };
        assert_eq!(world.network.streams(), streams);
    }
}

#[test]
fn a_phone_that_moves_while_it_registers_does_it_anew() {
    let mut world = World::new(Plan::CALM, 1);
    let bob = world.add(config("bob", Transport::Tcp, iphone(), 1));
    world.order(bob, Order::Register);
    world.order(bob, Order::ChangeNetwork);
    world.run_for(SECOND);
    assert_eq!(world.heard("REGISTER bob 3600"), 1);
    assert_eq!(world.order_of(&["registered"]).len(), 1);
}

#[test]
fn a_sleeping_phone_that_moves_says_nothing_until_it_is_woken() {
    let mut world = World::of(iphone());
    world.obeys(BOB, Order::Suspend).unwrap();
    world.obeys(BOB, Order::ChangeNetwork).unwrap();
    world.run_for(60 * SECOND);
    assert_eq!(world.heard("REGISTER bob 3600"), 1);
    world.call(BOB, "c1");
    world.run_for(SECOND);
    assert_eq!(world.order_of(&["ringing"]).len(), 1);
}

#[test]
fn a_frozen_phone_that_moves_registers_anew_when_it_is_woken() {
    let mut world = World::of(iphone());
    world.obeys(BOB, Order::Background).unwrap();
    world.obeys(BOB, Order::ChangeNetwork).unwrap();
    world.call(BOB, "c1");
    world.run_for(SECOND);
    assert_eq!(world.heard("REGISTER bob 3600"), 2);
    assert_eq!(world.order_of(&["ringing"]).len(), 1);
}

#[test]
fn a_frozen_phone_that_moves_while_it_opens_a_connection_opens_another_one_in_front() {
    let mut world = World::of(iphone());
    world.obeys(BOB, Order::Background).unwrap();
    world.obeys(BOB, Order::ChangeNetwork).unwrap();
    world.push(BOB, &push("refresh", None, Channel::Message));
    world.run_for(SECOND);
    world.obeys(BOB, Order::ChangeNetwork).unwrap();
    world.obeys(BOB, Order::Resume).unwrap();
    world.run_for(SECOND);
    assert_eq!(world.heard("REGISTER bob 3600"), 2);
    assert_eq!(world.order_of(&["registered"]).len(), 2);
}

#[test]
fn a_connection_that_says_nothing_any_more_is_given_up_in_time_for_a_call() {
    let mut world = World::of(iphone());
    world.obeys(BOB, Order::Background).unwrap();
    world.network.set_plan(void());
    world.server(|server, now| server.message(now, "bob", "m1"));
    world.network.set_plan(Plan::CALM);
    world.call(BOB, "c1");
    world.run_for(10 * SECOND);
    let pushed = world.time_of(|event| matches!(event, PhoneEvent::Pushed { .. }));
    let rang = world.time_of(|event| matches!(event, PhoneEvent::Ringing { .. }));
    assert!(rang < pushed + 6 * SECOND, "at {rang:?}");
    assert_eq!(world.order_of(&["killed"]).len(), 0);
}

#[test]
fn a_connection_that_breaks_in_front_is_opened_anew_and_one_while_frozen_on_waking() {
    let mut world = World::of(iphone());
    world.network.unbind(world.clock.now(), server::address());
    world.network.bind(server::address());
    world.run_for(2 * SECOND);
    assert_eq!(world.heard("REGISTER bob 3600"), 2);
    world.obeys(BOB, Order::Background).unwrap();
    world.network.unbind(world.clock.now(), server::address());
    world.network.bind(server::address());
    world.run_for(60 * SECOND);
    assert_eq!(world.heard("REGISTER bob 3600"), 2);
    world.push(BOB, &push("call", Some("c1"), Channel::Voip));
    world.run_for(SECOND);
    assert_eq!(world.heard("REGISTER bob 3600"), 3);
    assert_eq!(world.order_of(&["connection_lost"]).len(), 2);
}
