//! What outlives its flow. The phone that was at "phone" comes back as "desk", the caller as "tablet".

use std::time::Duration;

use sip::endpoint::{BranchId, ContextId, Event, ServerTxn, Transport};
use sip::{HeaderName, Message};

use crate::world::{World, for_invite, request, response};

/// A held call that rings at a phone whose connection has just failed.
fn stranded() -> (World, ContextId, BranchId, Message) {
    let mut world = World::over_tcp();
    let context = world.call();
    world.hold(context, true);
    let branch = world.fork(context, "phone");
    let invite = world.next("phone");
    world.answer("phone", &invite, 180);
    world.told();
    world.flow_fails("phone");
    let told = world.told();
    assert!(
        matches!(told[..], [Event::BranchStranded { context: c, branch: b }] if c == context && b == branch),
        "{told:?}"
    );
    assert_eq!(world.seen("caller"), ["100", "180"]);
    (world, context, branch, invite)
}

fn finals(world: &mut World) -> Vec<u16> {
    let told = world.told().into_iter();
    told.filter_map(|event| match event {
        Event::BranchFinal { status, .. } => Some(status),
        _ => None,
    })
    .collect()
}

#[test]
fn a_branch_that_rings_is_answered_over_another_flow() {
    let (mut world, context, _, invite) = stranded();
    world.send_message("desk", response("phone", &invite, 180));
    world.send_message("desk", response("phone", &invite, 200));
    assert_eq!(world.seen("caller"), ["180", "200"]);
    world.hold(context, false);
    world.ends_clean();
}

#[test]
fn a_branch_that_never_rang_fails_with_its_flow() {
    for answers in [&[][..], &[100]] {
        let mut world = World::over_tcp();
        let (_, invites) = world.call_to(&["phone"]);
        for status in answers {
            world.answer("phone", &invites[0], *status);
        }
        world.flow_fails("phone");
        assert_eq!(finals(&mut world), [503]);
        assert_eq!(world.seen("caller"), ["100", "500"]);
        world.ends_clean();
    }
}

#[test]
fn cancel_and_ack_follow_a_branch_that_was_moved() {
    let (mut world, context, branch, invite) = stranded();
    let flow = world.flow("desk");
    assert!(world.owner(|proxy, now| proxy.move_branch(now, branch, flow)));
    world.send("caller", &for_invite("CANCEL", "Reason: Q.850;cause=16\n"));
    let cancel = world.next("desk");
    assert_eq!(
        cancel.header_text(HeaderName::Reason),
        Some("Q.850;cause=16")
    );
    assert_eq!(
        cancel.header(HeaderName::Via),
        invite.header(HeaderName::Via)
    );
    world.send_message("desk", response("phone", &invite, 487));
    assert_eq!(world.seen("desk"), ["ACK"]);
    assert_eq!(world.seen("phone"), [""; 0]);
    assert_eq!(world.seen("caller"), ["200 CANCEL", "487"]);
    world.hold(context, false);
    world.ends_clean();
}

#[test]
fn a_branch_can_be_moved_before_its_flow_is_known_to_be_dead() {
    let mut world = World::over_tcp();
    let context = world.call();
    let branch = world.fork(context, "phone");
    let invite = world.next("phone");
    let flow = world.flow("desk");
    let moved = world.owner(|proxy, now| proxy.move_branch(now, branch, flow));
    assert!(!moved, "it has not heard the INVITE yet, for all we know");
    world.answer("phone", &invite, 180);
    assert!(world.owner(|proxy, now| proxy.move_branch(now, branch, flow)));
    world.flow_fails("phone");
    assert!(finals(&mut world).is_empty());
    world.owner(|proxy, now| proxy.cancel_branch(now, branch, None));
    assert_eq!(world.seen("desk"), ["CANCEL"]);
    world.flow_fails("desk");
    assert_eq!(finals(&mut world), [408]);
    world.ends_clean();
}

#[test]
fn a_caller_who_hangs_up_does_not_wait_for_a_phone_out_of_reach_and_it_is_told_when_it_is_back() {
    let (mut world, context, branch, invite) = stranded();
    world.send("caller", &for_invite("CANCEL", ""));
    assert_eq!(world.seen("caller"), ["200 CANCEL", "487"]);
    assert_eq!(finals(&mut world), [408]);

    world.pass_ms(4_000);
    let flow = world.flow("desk");
    assert!(world.owner(|proxy, now| proxy.move_branch(now, branch, flow)));
    assert_eq!(world.seen("desk"), ["CANCEL"]);
    world.send_message("desk", response("phone", &invite, 487));
    assert_eq!(world.seen("desk"), ["ACK"]);
    assert!(finals(&mut world).is_empty());
    world.hold(context, false);
    world.ends_clean();
}

#[test]
fn a_branch_that_was_given_up_may_still_be_picked_up() {
    let (mut world, context, branch, invite) = stranded();
    world.owner(|proxy, now| proxy.cancel_branch(now, branch, None));
    assert_eq!(finals(&mut world), [408]);
    assert_eq!(world.seen("caller"), [""; 0], "the call is held");
    world.send_message("desk", response("phone", &invite, 200));
    assert!(matches!(
        world.told()[..],
        [
            Event::ContextAnswered { .. },
            Event::ContextDone { status: 200, .. }
        ]
    ));
    assert_eq!(world.seen("caller"), ["200"]);
    world.hold(context, false);
    world.ends_clean();
}

#[test]
fn a_phone_that_never_comes_back_is_waited_for_as_long_as_timer_c() {
    let (mut world, context, ..) = stranded();
    world.hold(context, false);
    world.pass(Duration::from_secs(184));
    assert_eq!(world.seen("caller"), [""; 0]);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.seen("caller"), ["408"]);
    world.ends_clean();
}

#[test]
fn a_call_answered_elsewhere_ends_a_branch_out_of_reach() {
    let (mut world, context, _, _) = stranded();
    world.fork(context, "tablet");
    let invite = world.next("tablet");
    world.answer("tablet", &invite, 200);
    assert_eq!(world.seen("caller"), ["200"]);
    assert_eq!(finals(&mut world), [200, 408]);
    world.hold(context, false);
    world.ends_clean();
}

/// The caller's connection fails while its call rings, and the phone gives this final answer.
fn caller_gone(status: u16) -> (World, ServerTxn) {
    let mut world = World::over_tcp();
    let (_, invites) = world.call_to(&["phone"]);
    world.seen("caller");
    world.told();
    world.flow_fails("caller");
    assert!(world.told().is_empty());
    world.answer("phone", &invites[0], status);
    assert_eq!(world.seen("caller"), [""; 0]);
    let asked = world.told().into_iter().find_map(|event| match event {
        Event::ResponseStranded {
            txn,
            transport,
            address,
            host,
        } => Some((txn, transport, address.to_string(), host)),
        _ => None,
    });
    let (txn, transport, address, host) = asked.expect("a connection is asked for");
    assert_eq!(transport, Transport::Tcp);
    assert_eq!((&address[..], &host[..]), ("10.0.0.10:5060", "10.0.0.10"));
    (world, txn)
}

#[test]
fn a_final_response_without_a_connection_leaves_over_the_one_that_is_made() {
    for status in [200, 486] {
        let (mut world, txn) = caller_gone(status);
        let flow = world.flow("tablet");
        world.owner(|proxy, _| proxy.move_response(txn, flow));
        assert_eq!(world.seen("tablet"), [status.to_string()]);
        world.owner(|proxy, _| proxy.move_response(txn, flow));
        assert_eq!(world.seen("tablet"), [""; 0], "once");
        world.ends_clean();
    }
}

#[test]
fn a_caller_that_sends_its_request_again_gets_the_response_there() {
    let (mut world, _) = caller_gone(486);
    world.send("tablet", &request("INVITE", "call"));
    assert!(world.seen("tablet").contains(&"486".to_owned()));
    world.send("tablet", &for_invite("ACK", ""));
    world.ends_clean();
}

#[test]
fn a_response_that_no_connection_is_made_for_is_forgotten_in_time() {
    let (mut world, _) = caller_gone(486);
    world.ends_clean();
}

#[test]
fn a_refusal_that_was_not_acknowledged_goes_again_over_a_new_connection() {
    let mut world = World::over_tcp();
    let (_, invites) = world.call_to(&["phone"]);
    world.answer("phone", &invites[0], 486);
    assert_eq!(world.seen("caller"), ["100", "486"]);
    world.told();
    world.flow_fails("caller");
    assert!(matches!(world.told()[..], [Event::ResponseStranded { .. }]));
    world.ends_clean();
}

#[test]
fn a_peer_that_listens_nowhere_is_given_up_after_a_few_connections() {
    let (mut world, txn) = caller_gone(486);
    let mut asked = 1;
    while asked < 100 {
        let flow = world.flow("tablet");
        world.owner(|proxy, _| proxy.move_response(txn, flow));
        assert_eq!(world.seen("tablet"), ["486"]);
        world.told();
        world.flow_fails("tablet");
        if world.told().is_empty() {
            break;
        }
        asked += 1;
    }
    assert_eq!(asked, 4);
    world.ends_clean();
}

#[test]
fn the_answer_to_a_message_follows_its_sender_too() {
    let mut world = World::over_tcp();
    world.send(
        "caller",
        &request("MESSAGE", "m").replace("10.0.0.10:5060", "caller.example:5070"),
    );
    let txn = world.arrived();
    world.flow_fails("caller");
    world.owner(|proxy, now| proxy.answer(now, txn, 202, ""));
    let told = world.told();
    let [Event::ResponseStranded { address, host, .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(
        (address.to_string(), &host[..]),
        ("10.0.0.10:5070".to_owned(), "caller.example")
    );
    let flow = world.flow("tablet");
    world.owner(|proxy, _| proxy.move_response(txn, flow));
    assert_eq!(world.seen("tablet"), ["202 MESSAGE"]);
    assert_eq!(world.load(), sip::endpoint::Load::default());
}
