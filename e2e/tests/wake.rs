//! A call wakes a sleeping Linphone: its process is ended, the simulated cloud gets one push, the app starts again,
//! registers, rings by the held INVITE and answers.

use std::time::Duration;

use reveille_e2e::{
    Linphone, Load, Notification, Pjsua, PushParams, Reveille, SOON, Sipp, Transport, android,
    iphone, iphone_with_two_tokens, new_token,
};

const BOB: &str = "sip:bob@localhost";

#[test]
fn an_iphone_is_woken_over_udp() {
    let token = new_token();
    let push = wakes(Transport::Udp, iphone(&token), &token);
    assert_is_a_voip_push(&push);
}

#[test]
fn an_iphone_is_woken_over_tcp() {
    let token = new_token();
    let push = wakes(Transport::Tcp, iphone(&token), &token);
    assert_is_a_voip_push(&push);
}

#[test]
fn an_iphone_is_woken_over_tls() {
    let token = new_token();
    let push = wakes(Transport::Tls, iphone(&token), &token);
    assert_is_a_voip_push(&push);
}

#[test]
fn an_android_phone_is_woken_over_udp() {
    let token = new_token();
    let push = wakes(Transport::Udp, android(&token), &token);
    assert_is_a_high_data_message(&push);
}

#[test]
fn an_android_phone_is_woken_over_tcp() {
    let token = new_token();
    let push = wakes(Transport::Tcp, android(&token), &token);
    assert_is_a_high_data_message(&push);
}

#[test]
fn an_android_phone_is_woken_over_tls() {
    let token = new_token();
    let push = wakes(Transport::Tls, android(&token), &token);
    assert_is_a_high_data_message(&push);
}

/// PJSUA2 calls a Linphone that sleeps. Returns the one push that woke it.
fn wakes(transport: Transport, push: PushParams, token: &str) -> Notification {
    let server = Reveille::started();
    let mut bob = asleep(&server, transport, push);
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);

    alice.call(BOB);
    let push = server.lab().wait_for_push(token, "call", SOON);

    bob.start();
    bob.wait_registered();
    bob.wait_ringing(SOON);
    alice.expect("CALL EARLY 180", SOON);
    bob.answer();
    alice.expect("CALL CONFIRMED 200", SOON);
    alice.hang_up();
    bob.wait_call_over(SOON);
    alice.expect("CALL DISCONNECTED", SOON);

    let pushes = server.lab().notifications(token);
    assert_eq!(pushes.len(), 1, "one call, one push: {pushes:#?}");
    let heard = alice.process().output();
    assert!(
        !heard.contains(token) && !heard.contains("pn-prid"),
        "the caller learned the push token:\n{heard}"
    );
    push
}

/// A Linphone of bob's that was registered and whose process was ended.
fn asleep(server: &Reveille, transport: Transport, push: PushParams) -> Linphone {
    let mut bob = Linphone::registered(server.account("bob", transport, push));
    bob.kill();
    bob
}

fn assert_is_a_voip_push(push: &Notification) {
    assert_eq!(push.field("provider"), "apns");
    assert_eq!(push.field("type"), "voip");
    assert_eq!(push.field("topic"), "com.example.phone.voip");
    assert_eq!(push.field("priority"), "10");
    assert_eq!(push.field("expiration"), "0");
    assert_is_accepted_and_silent(push);
}

fn assert_is_a_high_data_message(push: &Notification) {
    assert_eq!(push.field("provider"), "fcm");
    assert_eq!(push.field("project"), "example-droid");
    assert!(
        push.field("priority").eq_ignore_ascii_case("high"),
        "{push:?}"
    );
    assert_is_accepted_and_silent(push);
}

/// The cloud took it, the platform has nothing against it, and it names nobody.
fn assert_is_accepted_and_silent(push: &Notification) {
    assert_eq!(push.status(), 200, "{push:?}");
    assert_eq!(push.violations(), [""; 0]);
    assert!(
        !push.data("call").is_empty() && !push.data("tracking").is_empty(),
        "{push:?}"
    );
    for personal in ["alice", "bob"] {
        assert!(!push.says(personal), "{personal} in the clear: {push:?}");
    }
}

#[test]
fn a_call_from_sipp_wakes_a_phone_and_the_phone_may_hang_up() {
    let token = new_token();
    let server = Reveille::started();
    let mut bob = asleep(&server, Transport::Tcp, iphone(&token));

    let one_call = Load {
        calls: 1,
        rate: 1,
        hold: Duration::from_millis(300),
        lost_percent: 0,
    };
    let mut caller = Sipp::calling("alice", "bob", server.sip(Transport::Udp), one_call);
    server.lab().wait_for_push(&token, "call", SOON);
    bob.start();
    bob.wait_ringing(SOON);
    bob.answer();
    bob.wait_call_over(SOON);
    let report = caller.finish(SOON);
    assert_eq!((report.successful, report.failed), (1, 0));

    let mut alice = Pjsua::registered(&server, "alice", Transport::Tcp);
    alice.call(BOB);
    bob.wait_ringing(SOON);
    bob.answer();
    alice.expect("CALL CONFIRMED 200", SOON);
    bob.hang_up();
    alice.expect("CALL DISCONNECTED", SOON);
}

#[test]
fn a_phone_that_is_awake_rings_at_once_and_is_pushed_as_well() {
    let token = new_token();
    let server = Reveille::started();
    let mut bob = Linphone::registered(server.account("bob", Transport::Udp, iphone(&token)));
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);

    alice.call(BOB);
    bob.wait_ringing(SOON);
    server.lab().wait_for_push(&token, "call", SOON);
    bob.answer();
    alice.expect("CALL CONFIRMED 200", SOON);
    alice.hang_up();
    bob.wait_call_over(SOON);
    assert_eq!(server.lab().pushes(&token, "call").len(), 1);
}

#[test]
fn a_call_from_one_transport_to_another_can_be_ended_from_either_side() {
    let server = Reveille::started();
    for (caller, callee) in [
        (Transport::Tls, Transport::Udp),
        (Transport::Tcp, Transport::Tls),
        (Transport::Udp, Transport::Tcp),
    ] {
        let push = iphone(&new_token());
        let mut bob = Linphone::registered(server.account("bob", callee, push));
        let mut alice = Pjsua::registered(&server, "alice", caller);
        for bob_hangs_up in [true, false] {
            alice.call(BOB);
            bob.wait_ringing(SOON);
            bob.answer();
            alice.expect("CALL CONFIRMED 200", SOON);
            if bob_hangs_up {
                bob.hang_up();
            } else {
                alice.hang_up();
            }
            bob.wait_call_over(SOON);
            alice.expect("CALL DISCONNECTED", SOON);
        }
        for device in server.devices("bob") {
            server.ask(&["device", "forget", &device]);
        }
    }
}

#[test]
fn a_phone_woken_for_a_call_that_the_caller_gave_up_rings_and_stops() {
    let token = new_token();
    let server = Reveille::started();
    let mut bob = asleep(&server, Transport::Tcp, iphone(&token));
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);

    alice.call(BOB);
    server.lab().wait_for_push(&token, "call", SOON);
    alice.hang_up();
    alice.expect("CALL DISCONNECTED 487", SOON);

    bob.start();
    bob.wait_ringing(SOON);
    bob.wait_call_over(SOON);
    assert_eq!(server.lab().pushes(&token, "call").len(), 1);
}

#[test]
fn a_call_that_the_caller_gave_up_is_told_as_missed() {
    let (voip, remote) = (new_token(), new_token());
    let server = Reveille::started();
    let push = iphone_with_two_tokens(&voip, &remote);
    let _bob = asleep(&server, Transport::Tcp, push);
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);

    alice.call(BOB);
    let call = server.lab().wait_for_push(&voip, "call", SOON);
    alice.hang_up();
    alice.expect("CALL DISCONNECTED 487", SOON);
    let missed = server.lab().wait_for_push(&remote, "missed_call", SOON);
    assert_eq!(missed.field("topic"), "com.example.phone");
    assert_eq!(missed.data("call"), call.data("call"));
    assert_is_accepted_and_silent(&missed);
    assert_eq!(server.lab().notifications(&voip).len(), 1);
}

#[test]
fn the_trace_of_a_woken_call_tells_each_step_with_milliseconds() {
    let token = new_token();
    let server = Reveille::started();
    let mut bob = asleep(&server, Transport::Tcp, iphone(&token));
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);
    alice.call(BOB);
    let push = server.lab().wait_for_push(&token, "call", SOON);
    bob.start();
    bob.wait_ringing(SOON);
    bob.answer();
    alice.expect("CALL CONFIRMED 200", SOON);
    alice.hang_up();
    bob.wait_call_over(SOON);

    let story = server.ask(&["trace", push.data("tracking")]);
    let mut rest = story.to_lowercase();
    for step in ["alice", "push", "regist", "ring", "answer"] {
        let found = rest
            .find(step)
            .unwrap_or_else(|| panic!("no {step:?} behind the steps before it in:\n{story}"));
        rest.drain(..found);
    }
    let timed = story.lines().filter(|line| line.contains("ms")).count();
    assert!(timed >= 5, "each step has its milliseconds:\n{story}");
    assert!(
        !story.contains(&token),
        "a push token is not for the screen:\n{story}"
    );
    assert_eq!(
        server.ask(&["trace", "--", push.data("call")]),
        story,
        "the caller's Call-ID tells the same story"
    );
}

#[test]
fn nobody_comes_so_the_caller_hears_ringing_and_then_480() {
    let token = new_token();
    let mut server =
        Reveille::new()
            .with("call", "ringing_after", "1s")
            .with("call", "wake_timeout", "3s");
    server.start();
    let _bob = asleep(&server, Transport::Tcp, iphone(&token));
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);
    alice.call(BOB);
    alice.expect("CALL EARLY 180", SOON);
    alice.expect("CALL DISCONNECTED 480", SOON);
}
