//! A real XMPP client that hands over its push tokens (XEP-0357), sleeps, is pushed to, and goes on where it was.

use reveille_e2e::{Login, Reveille, SOON, Slixmpp, XmppClient, new_token};
use serde_json::json;

/// Bob's phone, which can be pushed to by these tokens, and is there.
fn phone(server: &Reveille, voip: &str, message: &str) -> Slixmpp {
    let mut phone = Slixmpp::start(server, &Login::new("bob", "phone").resuming());
    phone.expect("signed_in", &json!({}));
    phone.tell(&json!({
        "do": "enable_push",
        "jid": "push.localhost",
        "app": "com.example.phone",
        "voip": voip,
        "message": message,
    }));
    phone.expect("done", &json!({"of": "enable_push"}));
    phone.be_available();
    phone
}

#[test]
fn a_client_that_lost_its_connection_is_pushed_to_and_gets_its_message_once() {
    let server = Reveille::started();
    let (voip, message) = (new_token(), new_token());
    let mut phone = phone(&server, &voip, &message);
    let mut alice = XmppClient::available(&server, "alice", "desk");
    // Somebody is there: nothing to push.
    let chat = |body: &str| {
        format!("<message to='bob@localhost' type='chat' id='{body}'><body>{body}</body></message>")
    };
    alice.send(&chat("one"));
    phone.expect("message", &json!({"body": "one"}));
    assert!(server.lab().notifications(&message).is_empty());

    phone.tell(&json!({"do": "lose"}));
    phone.expect("disconnected", &json!({}));
    alice.send(&chat("a secret for bob"));
    let push = server.lab().wait_for_push(&message, "message", SOON);
    assert_eq!(push.status(), 200, "{}", push.text());
    assert!(push.violations().is_empty(), "{:?}", push.violations());
    for told in ["secret", "alice"] {
        assert!(!push.text().contains(told), "{}", push.text());
    }

    phone.tell(&json!({"do": "sign_in"}));
    phone.expect("resumed", &json!({}));
    phone.expect("message", &json!({"body": "a secret for bob"}));
    phone.tell(&json!({"do": "ping", "to": "localhost"}));
    phone.expect("done", &json!({"of": "ping"}));
    assert_eq!(
        phone.count("message", &json!({"body": "a secret for bob"})),
        1
    );
    assert_eq!(phone.count("message", &json!({"body": "one"})), 1);
    assert!(server.lab().notifications(&voip).is_empty(), "no call came");
}

#[test]
fn a_call_by_message_wakes_a_client_that_sleeps() {
    let server = Reveille::started();
    let (voip, message) = (new_token(), new_token());
    let mut phone = phone(&server, &voip, &message);
    let mut alice = XmppClient::available(&server, "alice", "desk");
    phone.tell(&json!({"do": "lose"}));
    phone.expect("disconnected", &json!({}));
    let says = |word: &str| {
        format!(
            "<message to='bob@localhost' type='chat' id='{word}'><{word} xmlns='urn:xmpp:jingle-message:0' id='c1'>\
             <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></{word}><store xmlns='urn:xmpp:hints'/></message>"
        )
    };
    alice.send(&says("propose"));
    let push = server.lab().wait_for_push(&voip, "call", SOON);
    assert_eq!(push.data("call"), "c1", "{}", push.text());
    assert!(push.violations().is_empty(), "{:?}", push.violations());
    alice.send(&says("propose"));
    phone.tell(&json!({"do": "sign_in"}));
    phone.expect("resumed", &json!({}));
    phone.expect("propose", &json!({"id": "c1"}));
    alice.send(&says("retract"));
    alice.ping();
    let calls = server.lab().pushes(&voip, "call");
    assert_eq!(calls.len(), 1, "one call, one push");
    assert_eq!(
        server.lab().notifications(&voip).len(),
        1,
        "nothing but calls"
    );
}

#[test]
fn what_was_read_at_the_desk_is_taken_away_from_the_phone_once() {
    let server = Reveille::started();
    let (voip, message) = (new_token(), new_token());
    let mut phone = phone(&server, &voip, &message);
    let mut alice = XmppClient::available(&server, "alice", "desk");
    let mut desk = XmppClient::available(&server, "bob", "desk");
    phone.tell(&json!({"do": "lose"}));
    phone.expect("disconnected", &json!({}));
    for id in ["m1", "m2"] {
        alice.send(&format!(
            "<message to='bob@localhost' type='chat' id='{id}'><body>{id}</body></message>"
        ));
        desk.expect(&format!("<body>{id}</body>"));
    }
    server.lab().wait_for_push(&message, "message", SOON);
    let read = |id: &str| {
        format!(
            "<message to='alice@localhost' type='chat'><displayed xmlns='urn:xmpp:chat-markers:0' id='{id}'/></message>"
        )
    };
    desk.send(&read("m2"));
    let push = server.lab().wait_for_push(&message, "read", SOON);
    assert_eq!(
        (push.status(), push.data("unread")),
        (200, "0"),
        "{}",
        push.text()
    );
    assert!(push.violations().is_empty(), "{:?}", push.violations());
    let shown = server.lab().pushes(&message, "message");
    let conversation = shown[0].data("conversation");
    assert_eq!(push.data("read"), conversation);
    desk.send(&read("m2"));
    desk.ping();
    assert_eq!(server.lab().pushes(&message, "read").len(), 1);
    assert!(server.lab().notifications(&voip).is_empty(), "no call came");
    // Nothing is lost of it.
    phone.tell(&json!({"do": "sign_in"}));
    for id in ["m1", "m2"] {
        phone.expect("message", &json!({"body": id}));
    }
}
