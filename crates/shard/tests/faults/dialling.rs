//! A Contact or Via whose connection is gone is dialled, if it is one that can be (RFC 3261 §16.6 item 7, §18.2.2).

use crate::{
    dialogs::registers,
    peer::{Dialog, uri, what},
    settings::{SHARDS, address, at},
    world::World,
};
use domain::Mode;
use hub::Question;
use sip::{Flow, Transport};
use std::time::Duration;

/// Where bob's phone takes connections.
pub(crate) const DESK: &str = "10.0.0.20:5060";

/// Each number of shards with each transport that has connections.
pub(crate) fn each() -> impl Iterator<Item = (usize, Transport)> {
    let transports = [Transport::Tcp, Transport::Tls];
    SHARDS
        .into_iter()
        .flat_map(move |shards| transports.map(|transport| (shards, transport)))
}

/// What a phone says of where it takes connections.
pub(crate) fn desk(transport: Transport) -> String {
    format!("sip:bob@{DESK}{}", transport.uri_suffix())
}

/// Bob's phone registers this Contact from a port of its own, and the connection ends.
fn registers_and_goes(world: &mut World, transport: Transport, contact: &str) {
    let flow = world.peer(transport, "10.0.0.20:40000");
    let answer = world.register(flow, "bob", &[contact]);
    assert_eq!(what(&answer), "200 REGISTER");
    world.close(flow);
}

/// A world in which it has done so with an address where it can be dialled, Alice's flow, and that Contact.
fn out_of_reach(shards: usize, transport: Transport) -> (World, Flow, String) {
    let mut world = World::new(shards);
    let alice = world.udp("10.0.0.10:5060");
    let contact = format!("<{}>", desk(transport));
    registers_and_goes(&mut world, transport, &contact);
    (world, alice, contact)
}

/// The connection that we made to a place.
#[track_caller]
fn dialled(world: &World, place: &str) -> Flow {
    let flow = world.connection_to(place);
    flow.unwrap_or_else(|| panic!("{place} was not dialled"))
}

#[test]
fn a_call_is_dialled_for_and_its_dialog_stays_there() {
    for (shards, transport) in each() {
        for (restart, named) in [(false, false), (true, false), (false, true)] {
            let mut world = World::new(shards);
            let alice = world.udp("10.0.0.10:5060");
            let mut contact = desk(transport);
            if named {
                contact = contact.replace("10.0.0.20", "desk.r.example");
                world
                    .hosts
                    .insert("desk.r.example".to_owned(), at(DESK).ip());
            }
            registers_and_goes(&mut world, transport, &format!("<{contact}>"));
            world.listening.insert(at(DESK));
            if restart {
                world.restart();
            }
            world.invite(alice, "alice", "bob");
            let bob = dialled(&world, DESK);
            assert_eq!(bob.transport, transport);
            let invite = world.take(bob, "INVITE");
            world.answer(bob, &invite, 180, &contact);
            world.take(alice, "180");
            world.answer(bob, &invite, 200, &contact);
            let answer = world.take(alice, "200");
            let caller = Dialog::of_caller(&answer).at(&uri("alice", alice));
            let callee = Dialog::of_callee(&invite, "callee").at(&contact);
            for (dialog, method, from, to) in [
                (&caller, "ACK", alice, bob),
                (&callee, "INFO", bob, alice),
                (&caller, "BYE", alice, bob),
            ] {
                world.within(dialog, method, from);
                world.take(to, method);
            }
            world.ends_clean();
        }
    }
}

#[test]
fn messages_and_other_requests_are_dialled_for() {
    for (shards, transport) in each() {
        let mut world = World::new(shards);
        let alice = world.udp("10.0.0.10:5060");
        let contact = desk(transport);
        registers_and_goes(&mut world, transport, &format!("<{contact}>"));
        world.listening.insert(at(DESK));
        assert_eq!(world.message(alice, "alice", "bob"), Some(202));
        let bob = dialled(&world, DESK);
        let message = world.take(bob, "MESSAGE");
        world.answer(bob, &message, 200, &contact);
        assert_eq!(world.store.queued(), 0);
        world.close(bob);
        let contact_of_alice = format!("Contact: <{}>\n", uri("alice", alice));
        for method in ["OPTIONS", "SUBSCRIBE"] {
            let request = world.request(method, alice, "alice", "bob", &contact_of_alice);
            world.send(alice, request);
            let bob = dialled(&world, DESK);
            let request = world.take(bob, method);
            world.answer(bob, &request, 200, &contact);
            world.take(alice, &format!("200 {method}"));
            world.close(bob);
        }
        world.ends_clean();
    }
}

#[test]
fn where_nobody_takes_the_connection_the_caller_hears_it_at_once_and_mail_waits() {
    for (shards, transport) in each() {
        for takes in [false, true] {
            let (mut world, alice, contact) = out_of_reach(shards, transport);
            if takes {
                world.listening.insert(at(DESK));
            }
            // A connection may also break before the phone has said a word.
            let breaks = |world: &mut World| {
                if takes {
                    let broken = dialled(world, DESK);
                    world.close(broken);
                }
            };
            world.invite(alice, "alice", "bob");
            breaks(&mut world);
            assert_eq!(world.heard(alice), ["100", "480"], "{shards} {takes}");
            assert_eq!(world.message(alice, "alice", "bob"), Some(202));
            breaks(&mut world);
            let options = world.request("OPTIONS", alice, "alice", "bob", "");
            world.send(alice, options);
            breaks(&mut world);
            let status = if takes { "500 OPTIONS" } else { "480 OPTIONS" };
            assert_eq!(world.heard(alice), [status]);
            assert_eq!(world.store.queued(), 1);
            world.listening.clear();
            let back = world.peer(transport, "10.0.0.20:40001");
            world.register(back, "bob", &[&contact]);
            let message = world.take(back, "MESSAGE");
            world.answer(back, &message, 200, &desk(transport));
            assert_eq!(world.store.queued(), 0);
            world.ends_clean();
        }
    }
}

#[test]
fn a_phone_that_takes_the_connection_and_says_nothing_has_until_the_wake_timeout() {
    for (shards, transport) in each() {
        for comes_back in [false, true] {
            let (mut world, alice, contact) = out_of_reach(shards, transport);
            world.listening.insert(at(DESK));
            world.invite(alice, "alice", "bob");
            let silent = dialled(&world, DESK);
            world.take(silent, "INVITE");
            world.pass(Duration::from_secs(12));
            assert_eq!(world.heard(alice), ["100", "180"]);
            if comes_back {
                let back = world.peer(transport, "10.0.0.20:40001");
                world.register(back, "bob", &[&contact]);
                let invite = world.take(back, "INVITE");
                world.answer(back, &invite, 200, &desk(transport));
                world.take(alice, "200");
            } else {
                world.pass(Duration::from_secs(2));
                world.take(alice, "480");
            }
            world.ends_clean();
        }
    }
}

#[test]
fn a_phone_that_comes_back_while_it_is_dialled_has_the_call_and_the_message_once() {
    for (shards, transport) in each() {
        let (mut world, alice, contact) = out_of_reach(shards, transport);
        world.listening.insert(at(DESK));
        world.reaching = true;
        world.invite(alice, "alice", "bob");
        assert_eq!(world.message(alice, "alice", "bob"), Some(202));
        let back = world.peer(transport, "10.0.0.20:40001");
        world.register(back, "bob", &[&contact]);
        world.reached();
        let heard = world.inbox(back);
        let heard: Vec<_> = heard.iter().map(what).collect();
        assert_eq!(heard, ["INVITE", "MESSAGE"]);
        let dialled = dialled(&world, DESK);
        assert_eq!(world.heard(dialled), [""; 0]);
        world.ends_clean();
    }
}

#[test]
fn a_phone_that_leaves_while_it_is_dialled_fails_the_call_at_once() {
    for (shards, transport) in each() {
        let (mut world, alice, contact) = out_of_reach(shards, transport);
        world.listening.insert(at(DESK));
        world.reaching = true;
        world.invite(alice, "alice", "bob");
        let back = world.peer(transport, "10.0.0.20:40001");
        world.register(back, "bob", &[&format!("{contact};expires=0")]);
        world.reached();
        assert_eq!(world.heard(alice), ["100", "480"]);
        world.ends_clean();
    }
}

#[test]
fn what_a_phone_said_of_itself_ends_with_its_connection() {
    for (shards, transport) in each() {
        for mode in [Mode::Foreground, Mode::Suspended] {
            let mut world = World::new(shards);
            let alice = world.udp("10.0.0.10:5060");
            let bob = world.peer(transport, "10.0.0.20:40000");
            world.register(bob, "bob", &[&format!("<{}>", desk(transport))]);
            let device = world.devices("bob")[0].device.id.clone();
            let states = Question::SetMode(address("bob"), device, mode);
            world.ask("bob", states).unwrap();
            world.close(bob);
            assert_eq!(world.devices("bob")[0].mode, Mode::Unknown);
            world.listening.insert(at(DESK));
            world.invite(alice, "alice", "bob");
            let bob = dialled(&world, DESK);
            world.take(bob, "INVITE");
            world.ends_clean();
        }
    }
}

#[test]
fn an_answer_whose_connection_is_gone_goes_to_the_place_that_the_via_names() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let alice = world.tcp("10.0.0.10:5060");
        let bob = world.udp("10.0.0.20:5060");
        registers(&mut world, bob, "bob");
        world.invite(alice, "alice", "bob");
        let invite = world.take(bob, "INVITE");
        world.answer(bob, &invite, 180, &uri("bob", bob));
        world.take(alice, "180");
        world.listening.insert(alice.remote);
        world.close(alice);
        world.answer(bob, &invite, 200, &uri("bob", bob));
        let dialled = world.connection_to("10.0.0.10:5060").unwrap();
        assert_ne!(dialled, alice);
        let answer = world.take(dialled, "200");
        let caller = Dialog::of_caller(&answer).at(&uri("alice", dialled));
        let callee = Dialog::of_callee(&invite, "callee").at(&uri("bob", bob));
        world.within(&caller, "ACK", dialled);
        world.take(bob, "ACK");
        // The same for requests: her Contact names a place that can be dialled.
        world.close(dialled);
        world.within(&callee, "BYE", bob);
        let again = world.connection_to("10.0.0.10:5060").unwrap();
        let bye = world.take(again, "BYE");
        world.answer(again, &bye, 200, &uri("alice", again));
        world.take(bob, "200 BYE");
        world.ends_clean();
    }
}

#[test]
fn a_request_that_nobody_can_be_dialled_for_fails() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let (alice, bob) = (world.tcp("10.0.0.10:5060"), world.udp("10.0.0.20:5060"));
        registers(&mut world, bob, "bob");
        let (_, callee) = world.call((alice, "alice"), (bob, "bob"));
        world.close(alice);
        world.within(&callee, "BYE", bob);
        world.pass(Duration::from_secs(1));
        assert_eq!(world.heard(bob), ["480 BYE"]);
        world.ends_clean();
    }
}

#[test]
fn an_answer_within_a_dialog_is_dialled_for_too() {
    for (shards, transport) in each() {
        let mut world = World::new(shards);
        let alice = world.peer(transport, "10.0.0.10:5060");
        let bob = world.udp("10.0.0.20:5060");
        registers(&mut world, bob, "bob");
        let (caller, _) = world.call((alice, "alice"), (bob, "bob"));
        world.within(&caller, "INFO", alice);
        let info = world.take(bob, "INFO");
        world.listening.insert(alice.remote);
        world.close(alice);
        world.answer(bob, &info, 200, &uri("bob", bob));
        let dialled = world.connection_to("10.0.0.10:5060").unwrap();
        assert_eq!(dialled.transport, transport);
        world.take(dialled, "200 INFO");
        world.ends_clean();
    }
}
