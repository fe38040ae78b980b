use std::time::Duration;

use lab::phone::machine::{Done, Order};
use lab::phone::{PhoneError, PhoneEvent};
use lab::sim::Plan;
use sip::endpoint::Transport;

use crate::server;
use crate::world::{BOB, World, android, config, iphone};

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn the_first_registration_takes_two_round_trips_and_one_after_a_sleep_takes_one() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let mut world = World::with(config("bob", transport, iphone(), 1), Plan::CALM);
        world.obeys(BOB, Order::Suspend).unwrap();
        world.obeys(BOB, Order::Resume).unwrap();
        let round_trips: Vec<_> = world.phones[BOB]
            .events
            .iter()
            .filter_map(|(_, event)| match event {
                PhoneEvent::Registered { round_trips, .. } => Some(*round_trips),
                _ => None,
            })
            .collect();
        assert_eq!(round_trips, [2, 1], "{transport:?}");
    }
}

#[test]
fn a_registration_is_refreshed_at_half_its_time_for_as_long_as_the_app_runs() {
    let mut world = World::of(iphone());
    world.run_for(Duration::from_mins(125));
    assert_eq!(world.heard("REGISTER bob 3600"), 1 + 4);
    world.obeys(BOB, Order::Suspend).unwrap();
    world.run_for(Duration::from_hours(5));
    assert_eq!(world.heard("REGISTER bob 3600"), 1 + 4);
}

#[test]
fn a_shorter_time_that_the_server_grants_is_kept_to() {
    let mut world = World::new(Plan::CALM, 1);
    world.server.grants = 60;
    let bob = world.add(config("bob", Transport::Udp, android(), 1));
    world.obeys(bob, Order::Register).unwrap();
    world.run_for(Duration::from_secs(100));
    assert_eq!(world.heard("REGISTER bob 3600"), 1 + 3);
}

#[test]
fn a_wrong_password_is_the_servers_last_word() {
    let mut config = config("bob", Transport::Tcp, iphone(), 1);
    config.password = "guess".to_owned();
    let mut world = World::new(Plan::CALM, 1);
    let bob = world.add(config);
    let result = world.obeys(bob, Order::Register);
    assert!(matches!(
        result,
        Err(PhoneError::Refused { status: 401, .. })
    ));
    world.run_for(Duration::from_hours(2));
    assert_eq!(world.heard("401 bob"), 2, "not tried again");
}

#[test]
fn a_server_that_is_away_is_tried_with_growing_pauses_until_it_is_back() {
    let mut world = World::new(Plan::CALM, 1);
    world.network.unbind(world.clock.now(), server::address());
    let bob = world.add(config("bob", Transport::Tcp, iphone(), 1));
    let result = world.obeys(bob, Order::Register);
    assert!(matches!(
        result,
        Err(PhoneError::Refused { status: 503, .. })
    ));
    world.run_for(MINUTE);
    let tries = world.count(|event| matches!(event, PhoneEvent::RegistrationFailed { .. }));
    assert!((5..15).contains(&tries), "{tries} tries in a minute");
    world.network.bind(server::address());
    world.run_for(MINUTE);
    assert_eq!(world.heard("REGISTER bob 3600"), 1);
    assert_eq!(world.network.streams(), 1, "no connection was left behind");
}

#[test]
fn signing_out_takes_the_contact_back_for_good() {
    let mut world = World::of(android());
    assert_eq!(world.obeys(BOB, Order::Unregister).unwrap(), Done::Obeyed);
    assert!(world.has_seen(&PhoneEvent::Unregistered));
    world.run_for(Duration::from_hours(2));
    assert_eq!(world.heard("REGISTER bob 0"), 1);
    assert_eq!(world.heard("REGISTER bob 3600"), 1, "it stays signed out");
}

#[test]
fn a_crashed_app_has_forgotten_its_nonce_and_a_switched_off_one_is_silent() {
    let mut world = World::of(android());
    world.obeys(BOB, Order::Crash).unwrap();
    assert!(matches!(
        world.obeys(BOB, Order::Suspend),
        Err(PhoneError::NotRunning)
    ));
    world.obeys(BOB, Order::Resume).unwrap();
    assert_eq!(world.heard("401 bob"), 2);
    world.obeys(BOB, Order::SwitchOff).unwrap();
    world.run_for(Duration::from_hours(3));
    assert_eq!(world.heard("REGISTER bob 3600"), 2);
    assert_eq!(world.phones[BOB].phone.next_timeout(), None);
    assert_eq!(world.network.streams(), 0);
}
