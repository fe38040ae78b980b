//! CANCEL, and the messages that it crosses.

use sip::HeaderName;
use sip::endpoint::Event;

use crate::world::{World, for_invite};

#[test]
fn cancel_waits_for_the_first_response_of_a_branch() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone", "tablet"]);
    world.answer("tablet", &invites[1], 180);
    world.send(
        "caller",
        &for_invite("CANCEL", "Reason: SIP;cause=487;text=\"gone\"\n"),
    );
    assert_eq!(world.seen("phone"), [""; 0]);
    assert_eq!(world.seen("tablet"), ["CANCEL SIP;cause=487"]);
    assert_eq!(world.seen("caller"), ["100", "180", "200 CANCEL"]);
    // That it still rings is no news for the caller.
    world.answer("tablet", &invites[1], 183);
    assert_eq!(world.seen("caller"), [""; 0]);
    // The silent one does not keep the caller once the other has ended.
    world.answer("tablet", &invites[1], 487);
    assert_eq!(world.seen("caller"), ["487"]);

    world.answer("phone", &invites[0], 100);
    let cancel = world.next("phone");
    assert_eq!(
        cancel.header(HeaderName::Reason),
        Some(&b"SIP;cause=487;text=\"gone\""[..])
    );
    assert_eq!(cancel.cseq().unwrap().number, 1);
    world.answer("phone", &invites[0], 487);
    assert_eq!(world.seen("phone"), ["ACK"]);
    world.ends_clean();
}

#[test]
fn cancel_without_a_reason_passes_none_on() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone"]);
    world.answer("phone", &invites[0], 180);
    world.send("caller", &for_invite("CANCEL", ""));
    assert_eq!(world.seen("phone"), ["CANCEL"]);
}

#[test]
fn cancel_is_repeated_until_it_is_answered() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone"]);
    world.answer("phone", &invites[0], 180);
    world.send("caller", &for_invite("CANCEL", ""));
    world.pass_ms(1_600);
    assert_eq!(world.seen("phone"), ["CANCEL"; 3]);
    let cancel = sip_cancel(&invites[0]);
    world.answer("phone", &cancel, 200);
    world.pass_ms(10_000);
    assert_eq!(world.seen("phone"), [""; 0]);
}

/// The CANCEL of this INVITE, as far as a response to it goes.
fn sip_cancel(invite: &sip::Message) -> sip::Message {
    let text = String::from_utf8(invite.bytes().to_vec()).unwrap();
    crate::world::message(&text.replace("INVITE", "CANCEL").replace("\r\n", "\n"))
}

#[test]
fn repeated_cancel_is_answered_again_and_told_once() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone"]);
    world.answer("phone", &invites[0], 180);
    world.seen("caller");
    world.told();
    world.send("caller", &for_invite("CANCEL", ""));
    world.send("caller", &for_invite("CANCEL", ""));
    assert_eq!(world.seen("caller"), ["200 CANCEL"; 2]);
    assert_eq!(world.seen("phone"), ["CANCEL"]);
    assert!(matches!(&world.told()[..], [Event::Cancelled { .. }]));
}

#[test]
fn cancel_of_nothing_is_481() {
    let mut world = World::new();
    world.send("caller", &for_invite("CANCEL", ""));
    assert_eq!(world.seen("caller"), ["481 CANCEL"]);
    assert!(world.told().is_empty());
}

#[test]
fn answer_that_crosses_the_callers_cancel_wins() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone"]);
    world.answer("phone", &invites[0], 180);
    world.seen("caller");
    world.send("caller", &for_invite("CANCEL", ""));
    world.answer("phone", &invites[0], 200);
    assert_eq!(world.seen("caller"), ["200 CANCEL", "200"]);
    // The phone answers the CANCEL too; nothing follows upstream.
    let cancel = world.next("phone");
    world.answer("phone", &cancel, 200);
    world.pass_ms(10_000);
    assert_eq!(world.seen("caller"), [""; 0]);
    world.ends_clean();
}

#[test]
fn cancel_after_the_answer_changes_nothing() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone"]);
    world.answer("phone", &invites[0], 200);
    world.told();
    world.send("caller", &for_invite("CANCEL", ""));
    assert_eq!(world.seen("caller"), ["100", "200", "200 CANCEL"]);
    assert_eq!(world.seen("phone"), [""; 0]);
    assert!(world.told().is_empty());
}

#[test]
fn cancel_that_comes_before_the_owner_opened_the_context_ends_it_there() {
    let mut world = World::new();
    world.send("caller", &crate::world::request("INVITE", "call"));
    let txn = world.arrived();
    world.send("caller", &for_invite("CANCEL", ""));
    assert!(matches!(
        &world.told()[..],
        [Event::Cancelled { context: None, .. }]
    ));
    world.owner(|proxy, now| proxy.open(now, txn)).unwrap();
    assert_eq!(world.seen("caller"), ["200 CANCEL", "100", "487"]);
    world.ends_clean();
}

#[test]
fn cancelled_silent_branch_that_answers_all_the_same_is_hung_up_on() {
    let mut world = World::new();
    let (_, invites) = world.call_to(&["phone"]);
    world.send("caller", &for_invite("CANCEL", "Reason: SIP;cause=487\n"));
    assert_eq!(world.seen("caller"), ["100", "200 CANCEL", "487"]);
    world.answer("phone", &invites[0], 200);
    let ack = world.next("phone");
    assert_eq!(ack.method(), Some(sip::Method::Ack));
    assert_eq!(ack.request_uri(), "sip:bob@10.0.0.21;pn-prid=secret");
    assert_eq!(ack.to().unwrap().tag(), Some("phone"));
    assert!(!ack.has(HeaderName::Route));
    let bye = world.next("phone");
    assert_eq!(bye.header(HeaderName::Reason), Some(&b"SIP;cause=487"[..]));
    assert_eq!(bye.cseq().unwrap().number, 2);
    // The ACK was lost: it is sent again, the BYE is not (it repeats by itself).
    world.answer("phone", &invites[0], 200);
    assert_eq!(world.seen("phone"), ["ACK"]);
    world.answer("phone", &bye, 200);
    world.pass_ms(10_000);
    assert_eq!(world.seen("phone"), [""; 0]);
    assert_eq!(
        world
            .seen("caller")
            .iter()
            .filter(|seen| *seen != "487")
            .count(),
        0
    );
    world.ends_clean();
}

#[test]
fn owner_cancels_one_branch_and_the_call_goes_on() {
    let mut world = World::new();
    let context = world.call();
    let stale = world.fork(context, "phone");
    let invite = world.next("phone");
    world.answer("phone", &invite, 180);
    world.fork(context, "tablet");
    let other = world.next("tablet");
    world.owner(|proxy, now| proxy.cancel_branch(now, stale, Some("SIP;cause=200")));
    assert_eq!(world.seen("phone"), ["CANCEL SIP;cause=200"]);
    world.answer("phone", &invite, 487);
    world.answer("tablet", &other, 200);
    assert_eq!(world.seen("caller"), ["100", "180", "200"]);
    world.ends_clean();
}
