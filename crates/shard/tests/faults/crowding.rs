//! Somebody who lets requests pile up: they get no more places than are theirs, and everybody else has room.

use crate::{
    dialogs::registers,
    peer::{credentials, what},
    world::World,
};
use domain::Refusal;
use sip::{Flow, HeaderName, Message};
use std::time::Duration;

/// What one may have at once here.
const MOST: u32 = 10;

fn world() -> World {
    let mut world = World::new(2);
    world.settings.requests_per_source = MOST;
    world.settings.strangers = true;
    world.restart();
    world
}

/// A user asks a phone something, which never answers; what the server says to it at once.
fn asks(world: &mut World, flow: Flow, from: &str, to: &str) -> Option<Message> {
    let first = world.request("OPTIONS", flow, from, to, "");
    world.send(flow, first);
    let challenged = world.take(flow, "407 OPTIONS");
    let answer = credentials(&challenged, from, &format!("sip:{to}@r.example"));
    let extra = format!("Proxy-Authorization: {answer}\n");
    let again = world.request("OPTIONS", flow, from, to, &extra);
    world.send(flow, again);
    world.inbox(flow).pop()
}

#[test]
fn a_user_whose_requests_pile_up_is_refused_wherever_they_come_from_and_others_are_not() {
    let mut world = world();
    let phone = world.tcp("198.51.100.20:40000");
    registers(&mut world, phone, "bob");
    for number in 0..MOST {
        let from = world.udp(&format!("203.0.113.{number}:5060"));
        assert_eq!(asks(&mut world, from, "alice", "bob"), None, "it waits");
    }
    let from = world.tcp("203.0.113.99:5060");
    for refused in 1..=2 {
        let answer = asks(&mut world, from, "alice", "bob").unwrap();
        assert_eq!(what(&answer), "503 OPTIONS");
        assert!(answer.has(HeaderName::RetryAfter));
        assert_eq!(world.refused[&Refusal::Requests], refused);
    }
    let other = world.tcp("203.0.113.99:5061");
    assert_eq!(asks(&mut world, other, "carol", "bob"), None, "it waits");
    // What is over gives its place back.
    world.pass(Duration::from_secs(40));
    assert_eq!(asks(&mut world, from, "alice", "bob"), None);
    world.close(phone);
    world.pass(Duration::from_mins(2));
    world.ends_clean();
}

#[test]
fn strangers_share_by_source_where_they_are_let_in() {
    let mut world = world();
    let phone = world.tcp("198.51.100.20:40000");
    registers(&mut world, phone, "bob");
    let asks = |world: &mut World, remote: &str| {
        let flow = world.tcp(remote);
        let number = world.number();
        world.send(
            flow,
            crate::peer::message(&format!(
                "OPTIONS sip:bob@r.example SIP/2.0\nVia: SIP/2.0/TCP {remote};branch=z9hG4bK{number}\n\
                 From: <sip:{number}@far.example>;tag=1\nTo: <sip:bob@r.example>\nCall-ID: {number}\n\
                 CSeq: 1 OPTIONS\n\n"
            )),
        );
        world.inbox(flow).pop().map(|it| what(&it))
    };
    for number in 0..MOST {
        let waits = asks(&mut world, &format!("[2001:db8:0:1::{number}]:5060"));
        assert_eq!(waits, None);
    }
    let refused = asks(&mut world, "[2001:db8:0:1:f::]:5060");
    assert_eq!(refused.as_deref(), Some("503 OPTIONS"), "one network");
    assert_eq!(asks(&mut world, "[2001:db8:0:2::1]:5060"), None);
}
