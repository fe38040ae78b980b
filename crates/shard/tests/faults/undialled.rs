//! Whom we do not dial: who comes by itself, and any other host than the peer's own.

use crate::{
    dialling::{DESK, desk, each},
    peer::{pn, uri, what},
    settings::at,
    world::World,
};
use std::time::Duration;

#[test]
fn what_comes_by_itself_or_is_out_of_our_reach_is_not_dialled() {
    let victim = "192.0.2.66:6379";
    for (shards, transport) in each() {
        let there = desk(transport);
        let suffix = transport.uri_suffix();
        for (contact, path) in [
            // A push wakes it (RFC 8599).
            (format!("<{there}{}>", pn("bob")), ""),
            // Its flow is gone (RFC 5626 §7).
            (
                format!("<{there}>;reg-id=1;+sip.instance=\"<urn:uuid:U>\""),
                "",
            ),
            (
                format!("<{there}>"),
                "Path: <sip:edge@10.0.0.20:5060;transport=tcp;lr>\n",
            ),
            // It stands behind a NAT, or means harm.
            (format!("<sip:bob@{victim}{suffix}>"), ""),
            (format!("<sip:bob@victim.example:6379{suffix}>"), ""),
            (format!("<sip:bob@10.0.0.1:5060{suffix}>"), ""),
        ] {
            let mut world = World::new(shards);
            let alice = world.udp("10.0.0.10:5060");
            let flow = world.peer(transport, "10.0.0.20:40000");
            let answer = world.register_with(flow, "bob", &[&contact], path);
            assert_eq!(what(&answer.unwrap()), "200 REGISTER");
            world.close(flow);
            world
                .hosts
                .insert("victim.example".to_owned(), at(victim).ip());
            let places = [DESK, victim, "10.0.0.1:5060"];
            world.listening.extend(places.map(at));
            for restart in [false, true] {
                if restart {
                    world.restart();
                }
                world.invite(alice, "alice", "bob");
                world.message(alice, "alice", "bob");
                let options = world.request("OPTIONS", alice, "alice", "bob", "");
                world.send(alice, options);
                world.pass(Duration::from_secs(20));
                for place in places {
                    assert_eq!(world.connection_to(place), None, "{contact}");
                }
                let heard = world.heard(alice);
                assert!(heard.contains(&"480".to_owned()), "{contact}: {heard:?}");
                assert!(heard.contains(&"480 OPTIONS".to_owned()), "{heard:?}");
            }
            world.ends_clean();
        }
    }
}

#[test]
fn we_do_not_dial_ourselves() {
    for (shards, transport) in each() {
        // A phone on our own host.
        for place in ["10.0.0.1:5060", "node.r.example:5060"] {
            let mut world = World::new(shards);
            let alice = world.udp("10.0.0.10:5060");
            let bob = world.peer(transport, "10.0.0.1:40000");
            let contact = format!("<sip:bob@{place}{}>", transport.uri_suffix());
            world.register(bob, "bob", &[&contact]);
            world.close(bob);
            let ours = at("10.0.0.1:5060");
            world.hosts.insert("node.r.example".to_owned(), ours.ip());
            world.listening.insert(ours);
            world.invite(alice, "alice", "bob");
            assert_eq!(world.connection_to("10.0.0.1:5060"), None);
            assert_eq!(world.heard(alice), ["100", "480"]);
            world.ends_clean();
        }
    }
}

#[test]
fn a_request_within_a_dialog_makes_us_connect_to_no_other_host() {
    let victim = "192.0.2.66:6379";
    for (shards, transport) in each() {
        for target in [victim, "victim.example:6379"] {
            let mut world = World::new(shards);
            let alice = world.udp("10.0.0.10:5060");
            let bob = world.peer(transport, "10.0.0.20:40000");
            world.register(bob, "bob", &[&format!("<{}>", uri("bob", bob))]);
            let (caller, _) = world.call((alice, "alice"), (bob, "bob"));
            world.close(bob);
            world
                .hosts
                .insert("victim.example".to_owned(), at(victim).ip());
            world.listening.insert(at(victim));
            let caller = caller.to(&format!("sip:bob@{target}{}", transport.uri_suffix()));
            world.within(&caller, "BYE", alice);
            assert_eq!(world.connection_to(victim), None);
            assert_eq!(world.heard(alice), ["480 BYE"]);
            world.ends_clean();
        }
    }
}
