//! The endpoint as a user agent: what the simulated phone and the registrar build on.

use sip::HeaderName;
use sip::endpoint::{ClientTxn, Endpoint, Event};

use crate::world::{World, for_invite, in_dialog, message, request, response};

/// A request of our own: no Via yet.
fn own(method: &str) -> sip::Message {
    let text = request(method, "x");
    let via = text
        .lines()
        .find(|line| line.starts_with("Via"))
        .unwrap()
        .to_owned();
    message(&text.replace(&format!("{via}\n"), ""))
}

fn sends(world: &mut World, method: &str) -> ClientTxn {
    let flow = world.flow("phone");
    world
        .owner(|agent, now| agent.request(now, flow, &own(method)))
        .unwrap()
}

#[test]
fn accepted_invite_is_repeated_until_its_ack_comes() {
    let mut world = World::new();
    world.send("caller", &request("INVITE", "call"));
    let txn = world.arrived();
    world.owner(|agent, now| agent.answer(now, txn, 180, ""));
    world.owner(|agent, now| {
        let ok = agent
            .response_to(txn, 200, "")
            .unwrap()
            .header(HeaderName::Contact, "<sip:bob@proxy.example>");
        agent.respond(now, txn, &ok.build());
    });
    assert_eq!(world.next("caller").status(), Some(180));
    let accepted = world.next("caller");
    world.pass_ms(8_000);
    // After 0.5, 1.5, 3.5 and 7.5 seconds.
    assert_eq!(world.seen("caller"), ["200"; 4]);
    // A repeated INVITE is absorbed meanwhile.
    world.send("caller", &request("INVITE", "call"));
    assert_eq!(world.seen("caller"), [""; 0]);

    world.send("caller", &in_dialog("ACK", "ack", 1, &accepted));
    assert!(matches!(&world.told()[..], [Event::Ack { txn: Some(acked), .. }] if *acked == txn));
    world.pass_ms(8_000);
    assert_eq!(world.seen("caller"), [""; 0]);
    world.ends_clean();
    assert!(world.told().is_empty());
}

#[test]
fn accepted_invite_without_an_ack_is_told() {
    let mut world = World::over_tcp();
    world.send("caller", &request("INVITE", "call"));
    let txn = world.arrived();
    world.owner(|agent, now| agent.answer(now, txn, 200, ""));
    world.pass_ms(32_000);
    assert_eq!(world.seen("caller").len(), 11);
    assert!(matches!(&world.told()[..], [Event::AckMissing { txn: unheard }] if *unheard == txn));
    world.ends_clean();
}

#[test]
fn refused_invite_is_repeated_over_udp_until_its_ack_comes() {
    let mut world = World::new();
    world.send("caller", &request("INVITE", "call"));
    let txn = world.arrived();
    world.owner(|agent, now| agent.answer(now, txn, 486, ""));
    world.pass_ms(1_600);
    assert_eq!(world.seen("caller"), ["486"; 3]);
    world.send("caller", &request("INVITE", "call"));
    assert_eq!(world.seen("caller"), ["486"]);
    world.send("caller", &for_invite("ACK", ""));
    world.send("caller", &for_invite("ACK", ""));
    world.pass_ms(4_000);
    world.send("caller", &request("INVITE", "call"));
    assert_eq!(world.seen("caller"), [""; 0]);
    assert!(world.told().is_empty());
    world.ends_clean();
}

#[test]
fn refused_invite_that_is_never_acknowledged_is_given_up() {
    let mut world = World::new();
    world.send("caller", &request("INVITE", "call"));
    let txn = world.arrived();
    world.owner(|agent, now| agent.answer(now, txn, 486, ""));
    world.ends_clean();
    assert_eq!(world.seen("caller").len(), 11);
}

#[test]
fn our_invite_is_acknowledged_when_it_is_refused() {
    let mut world = World::new();
    let txn = sends(&mut world, "INVITE");
    let invite = world.next("phone");
    world.answer("phone", &invite, 180);
    world.answer("phone", &invite, 486);
    world.answer("phone", &invite, 486);
    assert_eq!(world.seen("phone"), ["ACK", "ACK"]);
    let statuses: Vec<_> = world
        .told()
        .iter()
        .map(|event| match event {
            Event::Response { txn: of, response } if *of == txn => response.status().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(statuses, [180, 486]);
    world.ends_clean();
}

#[test]
fn every_2xx_to_our_invite_is_handed_over() {
    let mut world = World::new();
    sends(&mut world, "INVITE");
    let invite = world.next("phone");
    world.answer("phone", &invite, 200);
    world.answer("phone", &invite, 200);
    // From another fork further on.
    world.send_message("phone", response("tablet", &invite, 200));
    assert_eq!(world.told().len(), 3);
    assert_eq!(world.seen("phone"), [""; 0]);
    let flow = world.flow("phone");
    world.owner(|agent, _| {
        agent.send_ack(flow, &own("ACK"));
        agent.send_ack(flow, &own("ACK"));
    });
    let (first, second) = (world.next("phone"), world.next("phone"));
    assert_ne!(
        first.top_via().unwrap().branch(),
        second.top_via().unwrap().branch()
    );
    world.ends_clean();
}

#[test]
fn our_request_that_nobody_answers_fails_with_408_and_over_a_broken_flow_with_503() {
    let mut world = World::new();
    let txn = sends(&mut world, "REGISTER");
    world.pass_ms(32_000);
    assert!(matches!(&world.told()[..], [Event::Failed { txn: of, status: 408 }] if *of == txn));
    let txn = sends(&mut world, "REGISTER");
    world.flow_fails("phone");
    assert!(matches!(&world.told()[..], [Event::Failed { txn: of, status: 503 }] if *of == txn));
    world.ends_clean();
}

#[test]
fn our_cancelled_invite_ends_with_487() {
    let mut world = World::new();
    let txn = sends(&mut world, "INVITE");
    let invite = world.next("phone");
    world.owner(|agent, now| agent.cancel(now, txn, Some("SIP;cause=487")));
    assert_eq!(world.seen("phone"), [""; 0]);
    world.answer("phone", &invite, 180);
    assert_eq!(world.seen("phone"), ["CANCEL SIP;cause=487"]);
    world.answer("phone", &invite, 487);
    assert_eq!(world.told().len(), 2);
    world.ends_clean();
}

#[test]
fn stale_names_have_no_effect() {
    let mut world = World::over_tcp();
    world.send("caller", &request("MESSAGE", "m"));
    let txn = world.arrived();
    let client = sends(&mut world, "OPTIONS");
    let sent = world.next("phone");
    world.answer("phone", &sent, 200);
    world.owner(|agent: &mut Endpoint, now| {
        agent.answer(now, txn, 200, "");
        agent.answer(now, txn, 200, "");
        agent.cancel(now, client, None);
        assert!(agent.open(now, txn).is_err());
    });
    assert_eq!(world.seen("caller"), ["200 MESSAGE"]);
    assert_eq!(world.seen("phone"), [""; 0]);
}
