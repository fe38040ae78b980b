//! Refusals that keep no state, as a challenge must be (RFC 3261 §26.3.2.4).

use sip::HeaderName;
use sip::endpoint::{Endpoint, Load, ServerTxn};

use crate::world::{World, for_invite, request};

fn refuse(world: &mut World, txn: ServerTxn) {
    world.owner(|proxy, _| {
        let challenge = proxy.refusal_to(txn, 407, "").unwrap();
        let challenge = challenge.header(HeaderName::ProxyAuthenticate, "Digest realm=\"r\"");
        assert!(proxy.refuse(txn, [challenge.build()]));
    });
}

#[test]
fn a_refusal_leaves_no_trace_and_a_repetition_is_a_new_request_with_the_same_answer() {
    for mut world in [World::new(), World::over_tcp()] {
        for method in ["INVITE", "MESSAGE"] {
            let text = request(method, "call");
            world.send("caller", &text);
            let txn = world.arrived();
            refuse(&mut world, txn);
            let first = world.next("caller");
            assert_eq!(first.status(), Some(407));
            assert!(first.to().unwrap().tag().is_some());
            assert_eq!(world.load(), Load::default());

            world.send("caller", &text);
            let txn = world.arrived();
            refuse(&mut world, txn);
            assert_eq!(world.next("caller"), first);
            assert_eq!(world.load(), Load::default());
        }
    }
}

#[test]
fn the_ack_to_a_refusal_ends_here() {
    let mut world = World::new();
    world.send("caller", &request("INVITE", "call"));
    let txn = world.arrived();
    refuse(&mut world, txn);
    let refusal = world.next("caller");
    let to = refusal.header_text(HeaderName::To).unwrap();
    let ack = for_invite("ACK", "").replace("<sip:bob@proxy.example>\n", &format!("{to}\n"));
    world.send("caller", &ack);
    assert!(world.told().is_empty());
    assert_eq!(world.load(), Load::default());
    assert!(world.next_timeout().is_none());
}

#[test]
fn what_is_proxied_or_answered_is_not_refused() {
    let mut world = World::new();
    world.send("caller", &request("INVITE", "call"));
    let txn = world.arrived();
    world.owner(|proxy, now| {
        let refusal = proxy.refusal_to(txn, 403, "").unwrap().build();
        proxy.open(now, txn).unwrap();
        proxy.refuse(txn, [refusal]);
    });
    assert_eq!(world.seen("caller"), ["100"]);
    world.send("caller", &request("MESSAGE", "m"));
    let message = world.told().pop();
    let Some(sip::endpoint::Event::Request { txn, .. }) = message else {
        panic!("no request")
    };
    world.owner(|proxy, now| {
        let refusal = proxy.refusal_to(txn, 403, "").unwrap().build();
        proxy.answer(now, txn, 202, "");
        proxy.refuse(txn, [refusal]);
    });
    assert_eq!(world.seen("caller"), ["202 MESSAGE"]);
}

/// A challenge with so much in it.
fn challenge(proxy: &Endpoint, txn: ServerTxn, octets: usize) -> sip::Message {
    let challenge = proxy.refusal_to(txn, 407, "").unwrap();
    let value = "x".repeat(octets);
    challenge
        .header(HeaderName::ProxyAuthenticate, value)
        .build()
}

#[test]
fn a_stranger_over_datagrams_gets_the_first_answer_that_is_at_most_twice_as_large_as_the_request() {
    for (sizes, sent) in [
        (&[10][..], true),
        (&[2000, 20], true),
        (&[2000, 3000], false),
    ] {
        let mut world = World::new();
        let text = request("INVITE", "call");
        world.send("caller", &text);
        let txn = world.arrived();
        let refused = world.owner(|proxy, _| {
            let answers: Vec<_> = sizes
                .iter()
                .map(|size| challenge(proxy, txn, *size))
                .collect();
            proxy.refuse(txn, answers)
        });
        assert_eq!(refused, sent);
        assert_eq!(
            world.seen("caller").len(),
            usize::from(sent),
            "one answer or none"
        );
        world.pass_ms(70_000);
        assert_eq!(world.seen("caller"), [""; 0], "nothing is repeated");
        assert_eq!(world.load(), Load::default());
    }
    let mut world = World::over_tcp();
    world.send("caller", &request("INVITE", "call"));
    let txn = world.arrived();
    assert!(world.owner(|proxy, _| {
        let challenge = challenge(proxy, txn, 2000);
        proxy.refuse(txn, [challenge])
    }));
    assert_eq!(
        world.seen("caller"),
        ["407"],
        "a connection is whose it says"
    );
}
