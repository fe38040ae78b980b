use std::time::Duration;

use lab::phone::machine::{Done, Order, Word};
use lab::phone::{PhoneError, PhoneEvent};
use lab::sim::Plan;
use sip::endpoint::Transport;

use crate::world::{BOB, World, config, iphone};

const SECOND: Duration = Duration::from_secs(1);

fn world() -> World {
    let mut config = config("bob", Transport::Tcp, iphone(), 1);
    config.device_api = Some("the one of this world".to_owned());
    World::with(config, Plan::CALM)
}

#[test]
fn the_server_hears_of_the_device_and_of_each_mode_in_its_order() {
    let mut world = world();
    world.obeys(BOB, Order::Background).unwrap();
    world.obeys(BOB, Order::Resume).unwrap();
    assert_eq!(
        world.phones[BOB].words,
        [
            Word::Device,
            Word::Foreground,
            Word::Suspended,
            Word::Foreground
        ]
    );
}

#[test]
fn an_app_goes_to_the_background_when_the_server_has_heard_and_not_before() {
    let mut world = world();
    world.phones[BOB].api_says = None;
    let order = world.order(BOB, Order::Background);
    world.run_for(SECOND);
    assert!(world.phones[BOB].outcome(order).is_none());
    assert!(!world.has_seen(&PhoneEvent::Backgrounded));
    world.phones[BOB].api_says = Some(Ok(()));
    world.perform(BOB);
    assert_eq!(
        world.phones[BOB].outcome(order).unwrap().unwrap(),
        Done::Obeyed
    );
    assert!(world.has_seen(&PhoneEvent::Backgrounded));
}

#[test]
fn an_app_that_is_opened_again_before_the_server_has_heard_stays_in_front_and_says_so() {
    let mut world = world();
    world.phones[BOB].api_says = None;
    let order = world.order(BOB, Order::Background);
    world.obeys(BOB, Order::Resume).unwrap();
    world.phones[BOB].api_says = Some(Ok(()));
    world.perform(BOB);
    assert!(world.phones[BOB].outcome(order).unwrap().is_ok());
    assert!(!world.has_seen(&PhoneEvent::Backgrounded));
    assert_eq!(world.phones[BOB].words.last(), Some(&Word::Foreground));
}

#[test]
fn a_device_api_that_refuses_is_an_error_and_nothing_else_happens() {
    let mut config = config("bob", Transport::Tcp, iphone(), 1);
    config.device_api = Some("the one of this world".to_owned());
    let mut world = World::new(Plan::CALM, 1);
    let bob = world.add(config);
    world.phones[bob].api_says = Some(Err("no".to_owned()));
    let refused = world.obeys(bob, Order::Register);
    assert!(matches!(refused, Err(PhoneError::DeviceApi(why)) if why == "no"));
    assert_eq!(world.server.heard, [""; 0]);
}

#[test]
fn what_a_dead_app_had_to_say_is_not_said() {
    let mut world = world();
    world.phones[BOB].api_says = None;
    let order = world.order(BOB, Order::Background);
    world.obeys(BOB, Order::Crash).unwrap();
    let outcome = world.phones[BOB].outcome(order).unwrap();
    assert!(matches!(outcome, Err(PhoneError::NotRunning)));
    world.phones[BOB].api_says = Some(Ok(()));
    world.perform(BOB);
    assert!(!world.has_seen(&PhoneEvent::Backgrounded));
}
