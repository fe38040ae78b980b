//! A call that waits for a phone: the response context with no branch, and what comes of it.

use std::time::Duration;

use sip::HeaderName;
use sip::endpoint::{Event, ForkError};

use crate::world::{World, for_invite, request};

#[test]
fn invite_is_answered_100_at_once_and_held_until_a_phone_comes() {
    let mut world = World::new();
    let context = world.call();
    world.hold(context, true);
    assert_eq!(world.seen("caller"), ["100"]);
    world.pass_ms(5_000);
    assert_eq!(world.seen("caller"), [""; 0]);

    world.fork(context, "phone");
    let invite = world.next("phone");
    assert_eq!(invite.request_uri(), "sip:bob@10.0.0.21");
    world.answer("phone", &invite, 180);
    world.answer("phone", &invite, 200);
    assert_eq!(world.seen("caller"), ["180", "200"]);
    world.hold(context, false);
    assert_eq!(world.seen("caller"), [""; 0]);
    world.ends_clean();
}

#[test]
fn repeated_invite_gets_the_last_provisional_response_again() {
    let mut world = World::new();
    let context = world.call();
    world.hold(context, true);
    world.send("caller", &request("INVITE", "call"));
    assert_eq!(world.seen("caller"), ["100", "100"]);

    world.pass_ms(5_000);
    world.owner(|proxy, now| proxy.provisional(now, context, 180, ""));
    let ringing = world.next("caller");
    world.send("caller", &request("INVITE", "call"));
    assert_eq!(world.next("caller").bytes(), ringing.bytes());
    assert!(world.told().is_empty());

    // The To tag of our own responses is always the same.
    world.owner(|proxy, now| proxy.provisional(now, context, 183, "Waking"));
    let waking = world.next("caller");
    assert_eq!(
        waking.header(HeaderName::To),
        ringing.header(HeaderName::To)
    );
    assert_eq!(waking.reason(), b"Waking");
}

#[test]
fn caller_that_wants_reliable_provisional_responses_gets_none_of_ours() {
    let mut world = World::new();
    let context = world.open(&request("INVITE", "call").replace("To:", "Require: 100rel\nTo:"));
    world.owner(|proxy, now| proxy.provisional(now, context, 180, ""));
    assert_eq!(world.seen("caller"), ["100"]);
}

#[test]
fn cancel_of_a_held_call_with_no_branch_is_487_at_once() {
    let mut world = World::new();
    let context = world.call();
    world.hold(context, true);
    world.send("caller", &for_invite("CANCEL", "Reason: Q.850;cause=16\n"));
    assert_eq!(world.seen("caller"), ["100", "200 CANCEL", "487"]);
    assert!(matches!(
        &world.told()[..],
        [
            Event::Cancelled { context: Some(cancelled), reason: Some(reason), .. },
            Event::ContextDone { status: 487, .. },
        ] if *cancelled == context && reason == "Q.850;cause=16"
    ));
    world.pass_ms(500);
    assert_eq!(world.seen("caller"), ["487"]);
    world.send("caller", &for_invite("ACK", ""));
    world.pass_ms(10_000);
    assert_eq!(world.seen("caller"), [""; 0]);
    assert!(world.told().is_empty());
    world.hold(context, false);
    world.ends_clean();
}

#[test]
fn phone_that_comes_after_the_caller_hung_up_gets_invite_and_then_cancel() {
    let mut world = World::new();
    let context = world.call();
    world.hold(context, true);
    world.send("caller", &for_invite("CANCEL", "Reason: SIP;cause=487\n"));
    world.pass_ms(2_000);

    world.fork(context, "phone");
    let invite = world.next("phone");
    world.pass_ms(100);
    assert_eq!(world.seen("phone"), [""; 0]);
    world.answer("phone", &invite, 180);
    let cancel = world.next("phone");
    assert_eq!(cancel.method(), Some(sip::Method::Cancel));
    assert_eq!(
        cancel.header(HeaderName::Reason),
        Some(&b"SIP;cause=487"[..])
    );
    world.answer("phone", &cancel, 200);
    world.answer("phone", &invite, 487);
    assert_eq!(world.seen("phone"), ["ACK"]);
    world.hold(context, false);
    assert_eq!(
        world.owner(|proxy, now| {
            let target = sip::endpoint::Target::new("sip:x@y", flow());
            proxy.fork(now, context, &target)
        }),
        Err(ForkError::Over)
    );
    world.ends_clean();
}

fn flow() -> sip::endpoint::Flow {
    World::new().flow("tablet")
}

#[test]
fn phone_that_comes_after_another_answered_learns_that_it_was_elsewhere() {
    let mut world = World::new();
    let context = world.call();
    world.hold(context, true);
    world.fork(context, "phone");
    let invite = world.next("phone");
    world.answer("phone", &invite, 200);
    world.pass_ms(1_000);

    world.fork(context, "tablet");
    let invite = world.next("tablet");
    world.answer("tablet", &invite, 100);
    assert_eq!(world.seen("tablet"), ["CANCEL SIP;cause=200"]);
    world.answer("tablet", &invite, 487);
    world.hold(context, false);
    assert_eq!(world.seen("caller"), ["100", "200"]);
    world.ends_clean();
}

#[test]
fn phone_whose_user_answers_too_late_is_hung_up_on_and_the_caller_is_left_alone() {
    let mut world = World::new();
    let context = world.call();
    world.hold(context, true);
    world.fork(context, "phone");
    let invite = world.next("phone");
    world.answer("phone", &invite, 200);
    world.seen("caller");

    world.fork(context, "tablet");
    let invite = world.next("tablet");
    world.answer("tablet", &invite, 200);
    assert_eq!(world.seen("tablet"), ["ACK", "BYE SIP;cause=200"]);
    assert_eq!(world.seen("caller"), [""; 0]);
    world.hold(context, false);
    world.ends_clean();
}

#[test]
fn letting_go_of_a_held_call_that_nobody_came_for_is_480() {
    let mut world = World::new();
    let context = world.call();
    world.hold(context, true);
    world.pass_ms(13_000);
    world.hold(context, false);
    assert_eq!(world.seen("caller"), ["100", "480"]);
    world.ends_clean();
}

#[test]
fn failures_of_branches_are_kept_from_the_caller_while_the_call_is_held() {
    let mut world = World::new();
    let context = world.call();
    world.hold(context, true);
    world.fork(context, "phone");
    let invite = world.next("phone");
    world.answer("phone", &invite, 486);
    assert_eq!(world.seen("caller"), ["100"]);
    assert!(matches!(
        &world.told()[..],
        [Event::BranchFinal {
            status: 486,
            response: Some(_),
            ..
        }]
    ));
    world.fork(context, "tablet");
    let invite = world.next("tablet");
    world.answer("tablet", &invite, 180);
    world.hold(context, false);
    assert_eq!(world.seen("caller"), ["180"]);
    world.answer("tablet", &invite, 404);
    assert_eq!(world.seen("caller"), ["486"]);
    world.ends_clean();
}

#[test]
fn held_call_is_ended_by_a_6xx() {
    let mut world = World::new();
    let context = world.call();
    world.hold(context, true);
    world.fork(context, "phone");
    let invite = world.next("phone");
    world.answer("phone", &invite, 180);
    world.answer("phone", &invite, 603);
    assert_eq!(world.seen("caller"), ["100", "180", "603"]);
    world.hold(context, false);
    world.ends_clean();
}

#[test]
fn owner_finishes_a_held_call_and_what_rings_is_cancelled() {
    let mut world = World::new();
    let context = world.call();
    world.hold(context, true);
    world.fork(context, "phone");
    let invite = world.next("phone");
    world.answer("phone", &invite, 180);
    world.owner(|proxy, now| proxy.finish(now, context, 480, None));
    assert_eq!(world.seen("caller"), ["100", "180", "480"]);
    assert_eq!(world.seen("phone"), ["CANCEL SIP;cause=480"]);
    world.answer("phone", &invite, 487);
    assert_eq!(world.seen("phone"), ["ACK"]);
    world.hold(context, false);
    world.ends_clean();
}

#[test]
fn owner_redirects_with_its_own_response() {
    let mut world = World::new();
    world.send("caller", &request("INVITE", "call"));
    let txn = world.arrived();
    world.owner(|proxy, now| {
        let context = proxy.open(now, txn).unwrap();
        let moved = proxy.response_to(txn, 302, "").unwrap();
        let moved = moved
            .header(HeaderName::Contact, "<sip:voicemail@proxy.example>")
            .build();
        proxy.finish_with(now, context, &moved, None);
    });
    assert_eq!(world.next("caller").status(), Some(100));
    let moved = world.next("caller");
    assert_eq!(moved.status(), Some(302));
    assert_eq!(
        moved.header(HeaderName::Contact),
        Some(&b"<sip:voicemail@proxy.example>"[..])
    );
    world.send("caller", &for_invite("ACK", ""));
    world.ends_clean();
}

#[test]
fn call_that_its_owner_forgot_is_let_go_of() {
    let mut world = World::new();
    let context = world.call();
    world.hold(context, true);
    world.pass(Duration::from_secs(184));
    assert_eq!(world.seen("caller"), ["100"]);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.seen("caller")[0], "480");
    world.ends_clean();
}

#[test]
fn the_owner_ends_a_held_call_with_what_a_phone_said_and_does_not_wait_for_a_silent_one() {
    let mut world = World::new();
    let context = world.call();
    world.hold(context, true);
    world.fork(context, "phone");
    world.fork(context, "desk");
    let invite = world.next("phone");
    world.answer("phone", &invite, 486);
    assert_eq!(world.seen("caller"), ["100"]);
    world.owner(|proxy, now| proxy.finish_best(now, context, "SIP;cause=487"));
    assert_eq!(world.seen("caller"), ["486"]);
}

#[test]
fn the_owner_ends_a_held_call_on_which_nobody_said_anything_with_480() {
    let mut world = World::new();
    let context = world.call();
    world.hold(context, true);
    world.fork(context, "phone");
    world.owner(|proxy, now| proxy.finish_best(now, context, "SIP;cause=487"));
    assert_eq!(world.seen("caller"), ["100", "480"]);
}
