//! Requests that are not let through, and how they are answered (RFC 3261 §8.2, §16.3).

use sip::HeaderName;
use sip::endpoint::Refused;

use crate::world::{World, config, for_invite, request};

/// The caller sends this, the owner wants to proxy it; returns how it was refused.
fn refused(world: &mut World, text: &str) -> Refused {
    world.send("caller", text);
    let txn = world.arrived();
    world.owner(|proxy, now| proxy.open(now, txn)).unwrap_err()
}

#[test]
fn request_at_the_end_of_its_hops_is_483_when_proxied_and_fine_for_us() {
    let mut world = World::new();
    let text = request("INVITE", "call").replace("Forwards: 70", "Forwards: 0");
    assert_eq!(refused(&mut world, &text).status, 483);
    let refusal = world.next("caller");
    assert_eq!(refusal.status(), Some(483));
    let to = refusal.header_text(HeaderName::To).unwrap();
    let ack = for_invite("ACK", "").replace("<sip:bob@proxy.example>\n", &format!("{to}\n"));
    world.send("caller", &ack);

    world.send(
        "caller",
        &request("OPTIONS", "o").replace("Forwards: 70", "Forwards: 0"),
    );
    let txn = world.arrived();
    world.owner(|proxy, now| proxy.answer(now, txn, 200, ""));
    assert_eq!(world.seen("caller"), ["200 OPTIONS"]);
    world.ends_clean();
}

#[test]
fn request_at_the_end_of_its_hops_is_483_before_its_sender_is_challenged() {
    let mut world = World::new();
    let text = request("INVITE", "call").replace("Forwards: 70", "Forwards: 0");
    world.send("caller", &text);
    let txn = world.arrived();
    let refused = world.owner(|proxy, _| proxy.screen(txn));
    assert_eq!(refused.unwrap_err().status, 483);
    assert_eq!(world.seen("caller"), ["483"]);
}

#[test]
fn request_that_comes_back_as_it_left_is_482_and_a_spiral_goes_on() {
    let mut world = World::new();
    let context = world.call();
    world.fork(context, "phone");
    let forwarded = world.next("phone");
    let again = String::from_utf8(forwarded.bytes().to_vec())
        .unwrap()
        .replace("\r\n", "\n");

    // To bob at the phone, which is another place than bob at the proxy.
    world.send("phone", &again);
    let txn = world.arrived();
    assert!(world.owner(|proxy, now| proxy.open(now, txn)).is_ok());

    // Back to where it first went, through somebody else.
    let looped = again
        .replacen("sip:bob@10.0.0.21", "sip:bob@proxy.example", 1)
        .replacen(
            "Via: ",
            "Via: SIP/2.0/UDP 10.0.0.21;branch=z9hG4bKother\nVia: ",
            1,
        );
    world.send("phone", &looped);
    let txn = world.arrived();
    let refused = world.owner(|proxy, now| proxy.open(now, txn)).unwrap_err();
    assert_eq!(refused.status, 482);
    assert!(world.seen("phone").contains(&"482".to_owned()));
}

#[test]
fn option_that_a_proxy_must_know_and_does_not_is_420() {
    let mut config = config();
    config.proxy_options = vec!["known".to_owned()];
    let mut world = World::with(config);
    let text = request("INVITE", "call")
        .replace("To:", "Proxy-Require: foo, known\nProxy-Require: bar\nTo:");
    assert_eq!(refused(&mut world, &text).status, 420);
    let answer = world.next("caller");
    assert_eq!(
        answer.header(HeaderName::Unsupported),
        Some(&b"foo, bar"[..])
    );
}

#[test]
fn bad_request_is_answered_without_state_and_its_ack_is_absorbed() {
    let mut world = World::new();
    for (what, from, to, status) in [
        ("scheme", "INVITE sip:", "INVITE gopher:", "416"),
        ("CSeq", "CSeq: 1 INVITE", "CSeq: 1 BYE", "400"),
        (
            "hops",
            "Max-Forwards: 70",
            "Max-Forwards: 70\nMax-Forwards: 9",
            "400",
        ),
    ] {
        world.send("caller", &request("INVITE", "call").replace(from, to));
        let answer = world.next("caller");
        assert_eq!(answer.status().unwrap().to_string(), status, "{what}");
        let tag = answer.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        let ack =
            for_invite("ACK", "").replace("example>\nCall", &format!("example>;tag={tag}\nCall"));
        world.send("caller", &ack);
        assert!(world.told().is_empty(), "{what}");
        assert_eq!(world.load(), sip::endpoint::Load::default());
    }
}

#[test]
fn ack_that_cannot_be_read_is_dropped() {
    let mut world = World::new();
    world.send(
        "caller",
        &for_invite("ACK", "").replace("CSeq: 1 ACK", "CSeq: one ACK"),
    );
    assert!(world.told().is_empty());
    assert_eq!(world.seen("caller"), [""; 0]);
}

#[test]
fn request_of_a_client_of_rfc_2543_is_matched_without_a_cookie() {
    let mut world = World::new();
    let old = |text: String| text.replace("z9hG4bKcall", "1");
    let context = world.open(&old(request("INVITE", "call")));
    world.hold(context, true);
    world.send("caller", &old(request("INVITE", "call")));
    assert_eq!(world.seen("caller"), ["100", "100"]);
    world.send("caller", &old(for_invite("CANCEL", "")));
    assert_eq!(world.seen("caller"), ["200 CANCEL", "487"]);
    world.send(
        "caller",
        &old(for_invite("ACK", "")).replace("example>\nCall", "example>;tag=x\nCall"),
    );
    world.pass_ms(600);
    assert_eq!(world.seen("caller"), [""; 0]);
}
