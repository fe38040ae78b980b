//! A phone that rings and comes back gets a second copy of its call: what it says of that, and what becomes of the first.

use crate::{dialogs::registers, peer::uri, settings::SHARDS, world::World};
use sip::{Flow, Message};
use std::time::Duration;

/// Bob's phone registers, and rings with a call of Alice's: as she sent it, and as it came.
#[track_caller]
fn rings(world: &mut World, alice: Flow, phone: Flow) -> (Message, Message) {
    registers(world, phone, "bob");
    let call = world.invite(alice, "alice", "bob");
    let invite = world.take(phone, "INVITE");
    world.answer(phone, &invite, 180, &uri("bob", phone));
    (call, invite)
}

/// The phone's answer to the copy is acknowledged, and it is told of no end of its call.
#[track_caller]
fn rings_on(world: &mut World, phone: Flow) {
    let heard = world.heard(phone);
    assert!(heard.contains(&"ACK".to_owned()), "{heard:?}");
    assert!(!heard.contains(&"CANCEL".to_owned()), "{heard:?}");
}

#[test]
fn a_phone_that_has_the_call_says_so_and_rings_on() {
    for (shards, status) in SHARDS.into_iter().flat_map(|it| [(it, 482), (it, 486)]) {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let first = world.tcp("10.0.0.20:40000");
        let (_, invite) = rings(&mut world, alice, first);
        world.take(alice, "180");
        world.close(first);
        let second = world.tcp("10.0.0.20:40001");
        registers(&mut world, second, "bob");
        world.pass(Duration::from_secs(1));
        let copy = world.take(second, "INVITE");
        world.answer(second, &copy, status, &uri("bob", second));
        world.pass(Duration::from_secs(5));
        rings_on(&mut world, second);
        assert_eq!(world.heard(alice), ["100"], "{shards} {status}");
        // He takes it: the first copy is answered over the new connection.
        world.answer(second, &invite, 200, &uri("bob", second));
        world.take(alice, "200");
        world.ends_clean();
    }
}

#[test]
fn a_ringing_phone_that_came_back_can_be_told_that_it_is_over() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let first = world.tcp("10.0.0.20:40000");
        let (call, invite) = rings(&mut world, alice, first);
        world.close(first);
        let second = world.tcp("10.0.0.20:40001");
        registers(&mut world, second, "bob");
        let copy = world.take(second, "INVITE");
        world.answer(second, &copy, 482, &uri("bob", second));
        rings_on(&mut world, second);
        world.cancel(alice, &call);
        world.take(alice, "200 CANCEL");
        world.take(second, "CANCEL");
        world.answer(second, &invite, 487, &uri("bob", second));
        world.take(alice, "487");
        world.ends_clean();
    }
}

#[test]
fn a_phone_of_datagrams_that_rings_and_moves_has_the_call_once() {
    for (shards, status) in SHARDS.into_iter().flat_map(|it| [(it, 482), (it, 486)]) {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let first = world.udp("10.0.0.20:40000");
        let (_, invite) = rings(&mut world, alice, first);
        let second = world.udp("10.0.0.20:40001");
        registers(&mut world, second, "bob");
        world.pass(Duration::from_secs(1));
        let copy = world.take(second, "INVITE");
        world.answer(second, &copy, status, &uri("bob", second));
        world.pass(Duration::from_secs(5));
        rings_on(&mut world, second);
        let heard = world.heard(alice);
        assert!(
            heard.iter().all(|it| it == "100" || it == "180"),
            "{heard:?}"
        );
        world.answer(second, &invite, 200, &uri("bob", second));
        world.take(alice, "200");
        world.ends_clean();
    }
}

#[test]
fn a_phone_that_has_no_call_may_say_that_it_is_busy() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let first = world.tcp("10.0.0.20:40000");
        registers(&mut world, first, "bob");
        world.invite(alice, "alice", "bob");
        // It closed before it rang.
        world.close(first);
        let second = world.tcp("10.0.0.20:40001");
        registers(&mut world, second, "bob");
        let invite = world.take(second, "INVITE");
        world.answer(second, &invite, 486, &uri("bob", second));
        world.take(alice, "486");
        world.ends_clean();
    }
}
