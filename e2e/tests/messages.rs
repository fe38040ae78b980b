//! A text for a sleeping Linphone is kept, announced by one push, and there once when it comes back.

use reveille_e2e::{
    Linphone, Pjsua, PushParams, Reveille, SOON, Transport, android, iphone_with_two_tokens,
    new_token,
};

const BOB: &str = "sip:bob@localhost";

#[test]
fn a_message_waits_for_an_iphone_and_comes_once() {
    let (voip, remote) = (new_token(), new_token());
    let server = waits_and_comes_once(
        Transport::Tcp,
        iphone_with_two_tokens(&voip, &remote),
        &remote,
    );
    let push = &server.lab().notifications(&remote)[0];
    assert_eq!(push.field("topic"), "com.example.phone");
    assert_eq!(push.field("type"), "alert");
    assert!(
        server.lab().notifications(&voip).is_empty(),
        "a message never goes to the token for calls"
    );
}

#[test]
fn a_message_waits_for_an_android_phone_and_comes_once() {
    let token = new_token();
    waits_and_comes_once(Transport::Udp, android(&token), &token);
}

fn waits_and_comes_once(transport: Transport, push: PushParams, token: &str) -> Reveille {
    let server = Reveille::started();
    let mut bob = Linphone::registered(server.account("bob", transport, push));
    bob.kill();
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);

    let texts = ["first text", "second text", "third text"];
    for text in texts {
        alice.message(BOB, text);
        alice.expect("SENT 202", SOON);
    }
    let push = server.lab().wait_for_push(token, "message", SOON);
    for personal in ["alice", "bob", "text"] {
        assert!(!push.says(personal), "{personal} in the clear: {push:?}");
    }

    bob.start();
    bob.wait_registered();
    for text in texts {
        bob.expect(text, SOON);
    }
    // The app shows a text before it answers for it: killed in between, it would rightly get it again.
    server.wait_delivered("bob");
    assert_eq!(
        server.lab().pushes(token, "message").len(),
        1,
        "one push for a burst, not three"
    );

    // Another start must bring nothing again. The next text is the proof that all before it has been delivered.
    let received: Vec<usize> = texts.iter().map(|text| bob.times_received(text)).collect();
    bob.kill();
    bob.start();
    bob.wait_registered();
    alice.message(BOB, "a text for the awake");
    alice.expect("SENT 202", SOON);
    bob.expect("a text for the awake", SOON);
    for (text, received) in texts.iter().zip(received) {
        assert_eq!(received, 1, "{text:?}");
        assert_eq!(bob.times_received(text), 0, "{text:?} came a second time");
    }
    server
}

#[test]
fn a_phone_that_is_awake_gets_its_message_with_no_push() {
    let (voip, remote) = (new_token(), new_token());
    let server = Reveille::started();
    let push = iphone_with_two_tokens(&voip, &remote);
    let mut bob = Linphone::registered(server.account("bob", Transport::Tcp, push));
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);
    alice.message(BOB, "no need to wake you");
    alice.expect("SENT 202", SOON);
    bob.expect("no need to wake you", SOON);
    // A push that is owed is told when it is sent, and it is sent before the message is off our hands.
    server.wait_delivered("bob");
    let stories = server.stories();
    assert!(
        stories
            .iter()
            .any(|story| story.contains("message_delivered"))
    );
    assert!(stories.iter().all(|story| !story.contains("push")));
    assert!(server.lab().notifications(&remote).is_empty());
    assert!(server.lab().notifications(&voip).is_empty());
}
