//! A dialog follows a device, not a socket.

use crate::{
    peer::{pn, uri, what},
    settings::SHARDS,
    world::World,
};
use sip::{Flow, Transport};
use std::time::Duration;

/// A phone's Contact with an instance of its own.
pub(crate) fn contact(user: &str, flow: Flow) -> String {
    format!(
        "<{}{}>;+sip.instance=\"<urn:uuid:{user}>\"",
        uri(user, flow),
        pn(user)
    )
}

/// A phone registers.
#[track_caller]
pub(crate) fn registers(world: &mut World, flow: Flow, user: &str) {
    let answer = world.register(flow, user, &[&contact(user, flow)]);
    assert_eq!(what(&answer), "200 REGISTER");
}

/// Another phone of a user registers.
#[track_caller]
pub(crate) fn registers_as(world: &mut World, flow: Flow, user: &str, name: &str) {
    let contact = format!(
        "<{}{}>;+sip.instance=\"<urn:uuid:{name}>\"",
        uri(user, flow),
        pn(name)
    );
    let answer = world.register(flow, user, &[&contact]);
    assert_eq!(what(&answer), "200 REGISTER");
}

/// Each number of shards with each transport.
fn each_transport() -> impl Iterator<Item = (usize, Transport)> {
    let transports = [Transport::Udp, Transport::Tcp, Transport::Tls];
    SHARDS
        .into_iter()
        .flat_map(move |shards| transports.map(|transport| (shards, transport)))
}

#[test]
fn a_dialog_never_goes_to_another_user_of_its_connection() {
    for (shards, restart) in SHARDS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let both = world.tcp("10.0.0.20:40000");
        registers(&mut world, both, "bob");
        registers(&mut world, both, "carol");
        let (caller, _) = world.call((alice, "alice"), (both, "bob"));
        if restart {
            world.restart();
        } else {
            world.close(both);
        }
        let back = world.tcp("10.0.0.30:40001");
        registers(&mut world, back, "carol");
        world.within(&caller, "MESSAGE", alice);
        world.within(&caller, "BYE", alice);
        world.pass(Duration::from_secs(40));
        assert_eq!(world.heard(back), [""; 0], "{shards} {restart}");
        assert_eq!(world.heard(alice), ["480 MESSAGE", "480 BYE"]);
        world.ends_clean();
    }
}

#[test]
fn a_dialog_follows_its_device_after_a_restart() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let both = world.tcp("10.0.0.20:40000");
        registers(&mut world, both, "bob");
        registers(&mut world, both, "carol");
        let (caller, callee) = world.call((alice, "alice"), (both, "bob"));
        world.restart();
        let carol = world.tcp("10.0.0.30:40001");
        registers(&mut world, carol, "carol");
        let bob = world.tcp("10.0.0.20:40002");
        registers(&mut world, bob, "bob");
        world.within(&caller, "INFO", alice);
        let info = world.take(bob, "INFO");
        world.answer(bob, &info, 200, "sip:bob@10.0.0.20");
        world.take(alice, "200 INFO");
        world.within(&callee, "BYE", bob);
        let bye = world.take(alice, "BYE");
        world.answer(alice, &bye, 200, "sip:alice@10.0.0.10");
        world.take(bob, "200 BYE");
        assert_eq!(world.heard(carol), [""; 0]);
        world.ends_clean();
    }
}

#[test]
fn a_dialog_follows_a_device_that_moved_before_a_restart_and_after_it() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.tcp("10.0.0.10:40000");
        let bob = world.udp("10.0.0.20:5060");
        let other = world.tcp("10.0.0.30:40000");
        registers(&mut world, alice, "alice");
        registers_as(&mut world, other, "alice", "tablet");
        registers(&mut world, bob, "bob");
        let (_, callee) = world.call((alice, "alice"), (bob, "bob"));
        // Who began the dialog is known by the flow alone, and there are two devices of theirs.
        let moved = world.tcp("10.0.0.66:50000");
        registers(&mut world, moved, "alice");
        world.restart();
        let again = world.tcp("10.0.0.77:50001");
        registers(&mut world, again, "alice");
        let other = world.tcp("10.0.0.30:40001");
        registers_as(&mut world, other, "alice", "tablet");
        world.within(&callee, "BYE", bob);
        let bye = world.take(again, "BYE");
        world.answer(again, &bye, 200, &uri("alice", again));
        world.take(bob, "200 BYE");
        assert_eq!(world.heard(other), [""; 0]);
        world.ends_clean();
    }
}

#[test]
fn a_phone_that_changed_networks_without_a_word_is_followed() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let wifi = world.tcp("10.0.0.20:40000");
        registers(&mut world, wifi, "bob");
        let (caller, callee) = world.call((alice, "alice"), (wifi, "bob"));
        let lte = world.tcp("10.0.0.66:50000");
        registers(&mut world, lte, "bob");
        for method in ["INFO", "INVITE", "BYE"] {
            world.within(&caller, method, alice);
            let request = world.take(lte, method);
            world.answer(lte, &request, 200, &uri("bob", lte));
        }
        assert_eq!(world.heard(wifi), [""; 0]);
        world.within(&callee, "BYE", lte);
        world.take(alice, "BYE");
        world.ends_clean();
    }
}

#[test]
fn a_refreshed_target_is_honoured_whoever_moved() {
    let all = each_transport().flat_map(|(shards, transport)| {
        [false, true].map(|registered| (shards, transport, registered))
    });
    for (shards, transport, registered) in all {
        for method in ["INVITE", "UPDATE"] {
            let mut world = World::new(shards);
            let alice = world.peer(transport, "10.0.0.10:5070");
            let bob = world.peer(transport, "10.0.0.20:5070");
            registers(&mut world, bob, "bob");
            if registered {
                registers(&mut world, alice, "alice");
            }
            let (caller, callee) = world.call((alice, "alice"), (bob, "bob"));
            world.pass(Duration::from_secs(1));
            // Alice comes from another port.
            let moved = world.peer(transport, "10.0.0.10:5090");
            let caller = caller.at(&uri("alice", moved));
            world.within(&caller, method, moved);
            let refresh = world.take(bob, method);
            let callee = callee.refreshed_by(&refresh);
            world.answer(bob, &refresh, 200, &uri("bob", bob));
            if method == "INVITE" {
                world.take(moved, "200");
                world.within(&caller, "ACK", moved);
                world.take(bob, "ACK");
            }
            world.close(alice);
            // Bob moves, too.
            let bob_moved = world.peer(transport, "10.0.0.20:5099");
            let callee = callee.at(&uri("bob", bob_moved));
            world.within(&callee, method, bob_moved);
            let refresh = world.take(moved, method);
            let caller = caller.refreshed_by(&refresh);
            world.answer(moved, &refresh, 200, &uri("alice", moved));
            if method == "INVITE" {
                world.take(bob_moved, "200");
                world.within(&callee, "ACK", bob_moved);
                world.take(moved, "ACK");
            }
            world.inbox(alice);
            world.within(&caller, "INFO", moved);
            world.take(bob_moved, "INFO");
            world.within(&callee, "BYE", bob_moved);
            world.take(moved, "BYE");
            assert_eq!(
                world.heard(alice),
                [""; 0],
                "{shards} {transport:?} {registered}"
            );
            world.ends_clean();
        }
    }
}

#[test]
fn a_phone_that_comes_back_over_the_same_connection_is_in_its_dialogs() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let both = world.tcp("10.0.0.20:40000");
        registers(&mut world, both, "bob");
        registers(&mut world, both, "carol");
        let (caller, _) = world.call((alice, "alice"), (both, "bob"));
        // He takes his registration back, and keeps the call.
        let gone = format!("{};expires=0", contact("bob", both));
        world.register(both, "bob", &[&gone]);
        world.within(&caller, "INFO", alice);
        world.take(both, "INFO");
        world.close(both);
        let carol = world.tcp("10.0.0.30:40000");
        registers(&mut world, carol, "carol");
        world.within(&caller, "BYE", alice);
        world.pass(Duration::from_secs(40));
        assert_eq!(world.heard(carol), [""; 0]);
        world.ends_clean();
    }
}

#[test]
fn a_dialog_between_two_accounts_of_one_app_goes_to_the_right_one() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let both = world.tcp("10.0.0.20:40000");
        registers(&mut world, both, "bob");
        registers(&mut world, both, "carol");
        let (caller, callee) = world.call((both, "bob"), (both, "carol"));
        world.close(both);
        let bob = world.tcp("10.0.0.30:40000");
        registers(&mut world, bob, "bob");
        let carol = world.tcp("10.0.0.40:40000");
        registers(&mut world, carol, "carol");
        world.within(&caller, "INFO", bob);
        world.take(carol, "INFO");
        world.within(&callee, "BYE", carol);
        world.take(bob, "BYE");
        assert_eq!(world.heard(carol), ["100 INFO"; 0]);
        world.ends_clean();
    }
}

#[test]
fn a_caller_that_registers_elsewhere_is_followed_over_any_transport() {
    for (shards, transport) in each_transport() {
        let mut world = World::new(shards);
        let bob = world.peer(transport, "10.0.0.20:5060");
        registers(&mut world, bob, "bob");
        let first = world.peer(transport, "10.0.0.10:5060");
        registers(&mut world, first, "alice");
        let (_, callee) = world.call((first, "alice"), (bob, "bob"));
        for port in [5061, 5062] {
            world.pass(Duration::from_secs(1));
            let moved = world.peer(transport, &format!("10.0.0.10:{port}"));
            registers(&mut world, moved, "alice");
            world.within(&callee, "INFO", bob);
            world.take(moved, "INFO");
        }
        assert_eq!(world.heard(first), [""; 0]);
        world.ends_clean();
    }
}

#[test]
fn a_dialog_through_a_proxy_never_goes_to_another_user_of_it() {
    for (shards, restart) in SHARDS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let sbc = world.tcp("10.0.0.20:40000");
        let registers = |world: &mut World, sbc, user: &str| {
            let path = "Path: <sip:sbc@10.0.0.20:40000;transport=tcp;lr>\n";
            let answer = world.register_with(sbc, user, &[&contact(user, sbc)], path);
            assert_eq!(what(&answer.unwrap()), "200 REGISTER");
        };
        registers(&mut world, sbc, "bob");
        registers(&mut world, sbc, "carol");
        let (caller, _) = world.call((alice, "alice"), (sbc, "bob"));
        if restart {
            world.restart();
        } else {
            world.close(sbc);
        }
        let back = world.tcp("10.0.0.20:40001");
        registers(&mut world, back, "carol");
        world.within(&caller, "INFO", alice);
        world.pass(Duration::from_secs(40));
        assert_eq!(world.heard(back), [""; 0], "{shards} {restart}");
        assert_eq!(world.heard(alice), ["480 INFO"]);
        registers(&mut world, back, "bob");
        world.within(&caller, "BYE", alice);
        world.take(back, "BYE");
        world.ends_clean();
    }
}
