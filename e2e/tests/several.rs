//! Several devices share an address: all are pushed and forked, and who does not answer is told who did.

use reveille_e2e::{Linphone, Pjsua, Reveille, SOON, Transport, android, iphone, new_token};

const BOB: &str = "sip:bob@localhost";
const ELSEWHERE: &str = "Reason: SIP;cause=200;text=\"Call completed elsewhere\"";

#[test]
fn two_phones_ring_and_the_one_that_does_not_answer_is_told_why_it_stops() {
    let server = Reveille::started();
    let mut one = Linphone::registered(server.account("bob", Transport::Udp, iphone(&new_token())));
    let mut other =
        Linphone::registered(server.account("bob", Transport::Tcp, android(&new_token())));
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);

    alice.call(BOB);
    one.wait_ringing(SOON);
    other.wait_ringing(SOON);
    one.answer();
    alice.expect("CALL CONFIRMED 200", SOON);
    other.expect(ELSEWHERE, SOON);
    other.wait_call_over(SOON);
    one.hang_up();
    alice.expect("CALL DISCONNECTED", SOON);
}

#[test]
fn a_phone_that_wakes_after_the_call_was_answered_elsewhere_rings_and_stops() {
    let server = Reveille::started();
    let token = new_token();
    let mut late = Linphone::registered(server.account("bob", Transport::Tcp, iphone(&token)));
    late.kill();
    let mut awake =
        Linphone::registered(server.account("bob", Transport::Udp, android(&new_token())));
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);

    alice.call(BOB);
    server.lab().wait_for_push(&token, "call", SOON);
    awake.wait_ringing(SOON);
    awake.answer();
    alice.expect("CALL CONFIRMED 200", SOON);

    // Its CallKit screen is up since the push: only an INVITE and a CANCEL can close it.
    late.start();
    late.wait_ringing(SOON);
    late.expect(ELSEWHERE, SOON);
    late.wait_call_over(SOON);
    alice.hang_up();
    awake.wait_call_over(SOON);
}

#[test]
fn a_phone_that_declines_ends_the_call_for_the_one_that_sleeps() {
    let server = Reveille::started();
    let token = new_token();
    let mut late = Linphone::registered(server.account("bob", Transport::Tcp, iphone(&token)));
    late.kill();
    let mut awake =
        Linphone::registered(server.account("bob", Transport::Udp, android(&new_token())));
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);

    alice.call(BOB);
    server.lab().wait_for_push(&token, "call", SOON);
    awake.wait_ringing(SOON);
    awake.hang_up();
    alice.expect("CALL DISCONNECTED 603", SOON);
    awake.wait_call_over(SOON);

    late.start();
    late.wait_ringing(SOON);
    late.wait_call_over(SOON);
    assert_eq!(server.lab().pushes(&token, "call").len(), 1);
}

#[test]
fn a_sleeping_android_phone_is_told_by_push_that_the_call_was_answered_elsewhere() {
    let server = Reveille::started();
    let token = new_token();
    let mut asleep = Linphone::registered(server.account("bob", Transport::Tcp, android(&token)));
    asleep.kill();
    let mut awake =
        Linphone::registered(server.account("bob", Transport::Udp, iphone(&new_token())));
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);

    alice.call(BOB);
    let push = server.lab().wait_for_push(&token, "call", SOON);
    awake.wait_ringing(SOON);
    awake.answer();
    alice.expect("CALL CONFIRMED 200", SOON);
    let cancel = server.lab().wait_for_push(&token, "call_cancelled", SOON);
    assert_eq!(cancel.data("call"), push.data("call"));
    assert_eq!(cancel.data("tracking"), push.data("tracking"));
    assert!(server.lab().pushes(&token, "missed_call").is_empty());
    awake.hang_up();
    alice.expect("CALL DISCONNECTED", SOON);
}
