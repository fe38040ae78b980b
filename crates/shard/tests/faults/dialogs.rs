//! A dialog follows a device, not a socket.

use crate::{
    peer::{pn, uri, what},
    world::{SHARDS, World},
};
use sip::Flow;
use std::time::Duration;

/// A phone's Contact with an instance of its own.
fn contact(user: &str, flow: Flow) -> String {
    format!("<{}{}>;+sip.instance=\"<urn:uuid:{user}>\"", uri(user, flow), pn(user))
}

/// A phone registers.
#[track_caller]
fn registers(world: &mut World, flow: Flow, user: &str) {
    let answer = world.register(flow, user, &[&contact(user, flow)]);
    assert_eq!(what(&answer), "200 REGISTER");
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
        for m in world.inbox(lte) { println!("{}", String::from_utf8_lossy(m.bytes())); }
        world.take(alice, "BYE");
        world.ends_clean();
    }
}
