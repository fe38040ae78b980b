//! While the store has not spoken: nobody hears what may not become so, and what happens meanwhile is not lost.

use crate::{
    dialogs::{contact, registers},
    peer::uri,
    settings::SHARDS,
    truth::each,
    world::World,
};
use domain::Mode;
use std::time::Duration;

#[test]
fn nothing_is_answered_before_the_store_has_spoken() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let (alice, bob) = (world.udp("10.0.0.10:5060"), world.tcp("10.0.0.20:5060"));
        world.store.holds = true;
        let bobs = contact("bob", bob);
        assert!(world.register_with(bob, "bob", &[&bobs], "").is_none());
        assert_eq!(world.message(alice, "alice", "carol"), None);
        assert_eq!(world.heard(alice), [""; 0]);
        // A call promises nothing that must be kept: it goes to the phone that is about to be there.
        world.invite(alice, "alice", "bob");
        world.store_answers();
        world.take(bob, "200 REGISTER");
        world.take(alice, "202 MESSAGE");
        world.pass(Duration::from_millis(10));
        world.ends_clean();
    }
}

#[test]
fn a_registration_that_a_call_went_to_may_still_be_refused() {
    each(|mut world, why, status| {
        let alice = world.udp("10.0.0.10:5060");
        let old = world.tcp("10.0.0.20:40000");
        registers(&mut world, old, "bob");
        world.close(old);
        world.invite(alice, "alice", "bob");
        let new = world.tcp("10.0.0.20:40001");
        world.store.holds = true;
        world.store.refuses = Some(why);
        let answer = world.register_with(new, "bob", &[&contact("bob", new)], "");
        assert!(answer.is_none());
        let invite = world.take(new, "INVITE");
        world.answer(new, &invite, 180, &uri("bob", new));
        world.store_answers();
        world.take(new, &format!("{status} REGISTER"));
        world.store.refuses = None;
        world.assert_memory_is_what_is_kept();
        world.answer(new, &invite, 200, &uri("bob", new));
        world.take(alice, "200");
        world.ends_clean();
    });
}

#[test]
fn of_two_registrations_each_hears_its_own_truth() {
    each(|mut world, why, status| {
        let (one, two) = (world.tcp("10.0.0.20:40000"), world.tcp("10.0.0.21:40000"));
        world.store.holds = true;
        world.store.refuses = Some(why);
        world.register_with(one, "bob", &[&contact("bob", one)], "");
        world.register_with(two, "bob", &[&contact("bob", two)], "");
        world.store.refuses = None;
        world.store_answers();
        world.take(one, &format!("{status} REGISTER"));
        world.take(two, "200 REGISTER");
        world.assert_memory_is_what_is_kept();
        let alice = world.udp("10.0.0.10:5060");
        world.invite(alice, "alice", "bob");
        world.take(two, "INVITE");
        assert_eq!(world.heard(one), [""; 0]);
        world.ends_clean();
    });
}

#[test]
fn a_connection_that_ends_while_its_registration_is_saved_is_gone() {
    for shards in SHARDS {
        for known in [false, true] {
            let mut world = World::new(shards);
            let alice = world.udp("10.0.0.10:5060");
            if known {
                let before = world.tcp("10.0.0.20:40000");
                registers(&mut world, before, "bob");
                world.close(before);
            }
            let bob = world.tcp("10.0.0.20:40001");
            world.store.holds = true;
            world.register_with(bob, "bob", &[&contact("bob", bob)], "");
            world.close(bob);
            world.store_answers();
            assert_eq!(world.devices("bob")[0].mode, Mode::Suspended);
            world.invite(alice, "alice", "bob");
            assert_eq!(world.cloud.pushes.len(), 1);
            let back = world.tcp("10.0.0.20:40002");
            registers(&mut world, back, "bob");
            world.take(back, "INVITE");
            world.ends_clean();
        }
    }
}

#[test]
fn a_call_that_comes_while_a_lost_registration_is_saved_waits_for_the_phone() {
    for shards in SHARDS {
        for early in [false, true] {
            let mut world = World::new(shards);
            let alice = world.udp("10.0.0.10:5060");
            let before = world.tcp("10.0.0.20:40000");
            registers(&mut world, before, "bob");
            world.close(before);
            let bob = world.tcp("10.0.0.20:40001");
            world.store.holds = true;
            world.register_with(bob, "bob", &[&contact("bob", bob)], "");
            if early {
                world.invite(alice, "alice", "bob");
            }
            world.close(bob);
            if !early {
                world.invite(alice, "alice", "bob");
            }
            world.pass(Duration::from_millis(10));
            world.store_answers();
            world.pass(Duration::from_millis(10));
            assert_eq!(world.heard(alice), ["100"], "{shards} {early}");
            assert_eq!(world.cloud.pushes.len(), 1, "{early}");
            let back = world.tcp("10.0.0.20:40002");
            registers(&mut world, back, "bob");
            world.take(back, "INVITE");
            world.ends_clean();
        }
    }
}

/// A phone that changes networks twice while the store takes its time: its registrations wait for one another, and the connection of
/// the second has ended when its turn comes.
#[test]
fn a_registration_that_lost_its_connection_while_it_waited_takes_no_call_away() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let before = world.tcp("10.0.0.20:40000");
        registers(&mut world, before, "bob");
        world.close(before);
        world.store.holds = true;
        let [first, second] = [40001, 40002].map(|port| world.tcp(&format!("10.0.0.20:{port}")));
        for flow in [first, second] {
            world.register_with(flow, "bob", &[&contact("bob", flow)], "");
        }
        world.close(second);
        world.invite(alice, "alice", "bob");
        assert_eq!(world.cloud.pushes.len(), 1);
        world.store_answers();
        world.take(first, "200 REGISTER");
        world.take(first, "INVITE");
        assert_eq!(world.there(first), [""; 0], "once");
        // The latest word counts, though nobody is there any more who said it.
        world.store_answers();
        assert_eq!(world.devices("bob")[0].mode, Mode::Suspended);
        let third = world.tcp("10.0.0.20:40003");
        registers(&mut world, third, "bob");
        world.take(third, "INVITE");
        world.assert_memory_is_what_is_kept();
        world.ends_clean();
    }
}
