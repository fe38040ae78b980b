//! What somebody whom we do not know can bring about: one answer to one request, over datagrams at most twice as large,
//! and nothing that is kept.

use crate::{
    peer::{message, what},
    settings::SHARDS,
    world::World,
};
use domain::Refusal;
use shard::Load;
use sip::{Message, Transport};
use std::time::Duration;

/// The smallest requests that can be made, and some with more in them; `{}`: Via and Call-ID are unlike any other's.
const REQUESTS: [(&str, &str); 8] = [
    ("INVITE sip:bob@r.example SIP/2.0", "<sip:alice@r.example>"),
    (
        "INVITE sip:bob@r.example SIP/2.0",
        "<sip:mallory@far.example>",
    ),
    ("REGISTER sip:r.example SIP/2.0", "<sip:alice@r.example>"),
    (
        "REGISTER sip:far.example SIP/2.0",
        "<sip:alice@far.example>",
    ),
    ("OPTIONS sip:r.example SIP/2.0", "<sip:a@far.example>"),
    ("MESSAGE sip:bob@r.example SIP/2.0", "<sip:alice@r.example>"),
    (
        "SUBSCRIBE sip:nobody@far.example SIP/2.0",
        "<sip:alice@r.example>",
    ),
    ("INVITE tel:+1 SIP/2.0", "<sip:alice@r.example>"),
];

fn requests(transport: Transport, remote: &str, number: usize) -> Vec<Message> {
    let transport = transport.as_str();
    let mut all = Vec::new();
    for (at, (line, from)) in REQUESTS.into_iter().enumerate() {
        let method = line.split(' ').next().unwrap();
        let to = if method == "REGISTER" {
            from
        } else {
            "<sip:bob@r.example>"
        };
        for extra in ["", "Max-Forwards: 0\n", "Proxy-Require: nonsense\n"] {
            for to_tag in ["", ";tag=made-up"] {
                let number = format!("{number}-{at}-{}{}", extra.len(), to_tag.len());
                all.push(message(&format!(
                    "{line}\nVia: SIP/2.0/{transport} {remote};branch=z9hG4bK{number}\nFrom: {from};tag=1\n\
                     To: {to}{to_tag}\nCall-ID: {number}\nCSeq: 1 {method}\n{extra}\n"
                )));
            }
        }
    }
    all
}

#[test]
fn a_stranger_gets_one_answer_to_one_request_and_nothing_is_kept() {
    for shards in SHARDS {
        for transport in [Transport::Udp, Transport::Tcp] {
            let mut world = World::new(shards);
            let remote = "203.0.113.9:5060";
            let flow = world.peer(transport, remote);
            for number in 0..20 {
                for request in requests(transport, remote, number) {
                    let asked = request.bytes().len();
                    world.send(flow, request.clone());
                    let answers = world.inbox(flow);
                    assert!(answers.len() <= 1, "{answers:?}");
                    for answer in &answers {
                        let octets = answer.bytes().len();
                        let fits = transport == Transport::Tcp || octets <= 2 * asked;
                        assert!(fits, "{octets} for {asked}: {}", what(answer));
                    }
                    assert_eq!(world.load_now(), Load::default(), "{}", what(&request));
                }
            }
            world.pass(Duration::from_mins(5));
            assert_eq!(world.heard(flow), [""; 0], "nothing is repeated");
            assert!(world.refused.contains_key(&Refusal::Challenged));
            world.ends_clean();
        }
    }
}

#[test]
fn a_challenge_that_would_be_too_large_names_one_algorithm_and_one_too_small_for_that_is_counted() {
    let mut world = World::new(1);
    let flow = world.udp("203.0.113.9:5060");
    let ask = |world: &mut World, filler: usize| {
        let number = world.number();
        let subject = "x".repeat(filler);
        let invite = message(&format!(
            "INVITE sip:bob@r.example SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bK{number}\n\
             From: <sip:alice@r.example>;tag=1\nTo: <sip:bob@r.example>\nCall-ID: {number}\nCSeq: 1 INVITE\n\
             Subject: {subject}\n\n"
        ));
        world.send(flow, invite);
        let answers = world.inbox(flow);
        let challenges = answers.first().map(|answer| {
            let values = answer.headers(sip::HeaderName::ProxyAuthenticate);
            values
                .map(|it| String::from_utf8_lossy(it).into_owned())
                .collect::<Vec<_>>()
        });
        challenges.unwrap_or_default()
    };
    assert_eq!(ask(&mut world, 300).len(), 2);
    let one = ask(&mut world, 50);
    assert_eq!(one.len(), 1);
    assert!(one[0].contains("MD5"), "everybody knows that: {one:?}");
    assert_eq!(world.refused.get(&Refusal::Unanswered), None);
    assert_eq!(ask(&mut world, 0), [""; 0]);
    assert_eq!(world.refused.get(&Refusal::Unanswered), Some(&1));
}
