//! Many phones in one bad world.

use std::time::Duration;

use lab::phone::machine::Order;
use lab::phone::{PhoneConfig, PhoneEvent};
use lab::rng::Rng;
use lab::sim::{Fate, Plan};
use sip::endpoint::Transport;

use crate::world::{World, android, config, iphone};

/// Phones of every kind sleep, wake, move, call and are called, as a seed will have it; gives all that happened.
fn story(seed: u64, phones: usize, steps: usize) -> Vec<(usize, Duration, PhoneEvent)> {
    let mut rng = Rng::new(seed);
    let mut world = World::new(Plan::drawn(&mut rng), rng.number());
    for number in 0..phones {
        let transport = *rng
            .pick(&[Transport::Udp, Transport::Tcp, Transport::Tls])
            .unwrap();
        let service = if rng.chance(500) { iphone() } else { android() };
        let config = PhoneConfig {
            auto_answer: rng.chance(500).then_some(Duration::from_secs(3)),
            ..config(&format!("user{number}"), transport, service, rng.number())
        };
        let phone = world.add(config);
        let token = world.phones[phone].phone.config().tokens.voip.clone();
        world.cloud.decide(&token, Fate::drawn(&mut rng));
        world.order(phone, Order::Register);
    }
    world.run_for(Duration::from_secs(10));
    for step in 0..steps {
        let who = usize::try_from(rng.below(phones as u64)).unwrap();
        let other = format!("sip:user{}@localhost", rng.below(phones as u64));
        match rng.below(8) {
            0 | 1 => world.call(who, &format!("call{step}")),
            2 => drop(world.order(who, Order::Suspend)),
            3 => drop(world.order(who, Order::Background)),
            4 => drop(world.order(who, Order::Resume)),
            5 => drop(world.order(who, Order::ChangeNetwork)),
            6 => drop(world.order(who, Order::Call { uri: other })),
            _ => drop(world.order(who, Order::Crash)),
        }
        let pause = rng.between(Duration::ZERO, Duration::from_millis(500));
        world.run_for(pause);
    }
    // When everybody is off, all is over and nothing is left to wait for.
    for who in 0..phones {
        world.order(who, Order::SwitchOff);
        assert_eq!(world.phones[who].phone.next_timeout(), None);
        assert_eq!(world.phones[who].unanswered(), 0, "seed {seed}");
    }
    let all = world.phones.into_iter().enumerate();
    all.flat_map(|(who, phone)| {
        phone
            .events
            .into_iter()
            .map(move |(at, event)| (who, at, event))
    })
    .collect()
}

#[test]
fn a_seed_plays_the_same_story_again() {
    for seed in 0..10 {
        let first = story(seed, 10, 100);
        assert!(first.len() > 20, "seed {seed}: nothing happened");
        assert_eq!(first, story(seed, 10, 100), "seed {seed}");
    }
    assert_ne!(story(1, 10, 100), story(2, 10, 100));
}

#[test]
fn thousands_of_phones_fit_into_one_world() {
    let story = story(7, 1_000, 300);
    let registered = |event: &PhoneEvent| matches!(event, PhoneEvent::Registered { .. });
    let who: std::collections::BTreeSet<_> = story
        .iter()
        .filter(|(.., event)| registered(event))
        .map(|(who, ..)| who)
        .collect();
    assert!(who.len() > 800, "only {} registered", who.len());
}
