//! More clients than one: each is built on a library of its own, and reads the RFCs in its own way.

use reveille_e2e::{Gajim, Profanity, Reveille, SOON, Slixmpp, Tls, go_listening, go_send};
use serde_json::json;

#[test]
fn go_sendxmpp_sends_and_receives() {
    let server = Reveille::started();
    for tls in [Tls::Starttls, Tls::Direct] {
        let mut bob = go_listening(&server, "bob", tls);
        let text = format!("Grüße 👍 by {tls}");
        go_send(&server, "alice", tls, "bob@localhost", &text);
        bob.expect(&format!("alice@localhost: {text}"), SOON);
        bob.kill();
    }
    // It has gone when the text is read.
    go_send(
        &server,
        "alice",
        Tls::Direct,
        "carol@localhost",
        "kept for later",
    );
    let mut carol = Slixmpp::available(&server, "carol", "tablet");
    carol.expect("message", &json!({"body": "kept for later"}));
}

#[test]
fn profanity_sees_who_is_there_and_writes_both_ways() {
    let server = Reveille::started();
    let mut alice = Profanity::signed_in(&server, "alice");
    let mut bob = Slixmpp::available(&server, "bob", "phone");
    bob.tell(&json!({"do": "roster"}));
    bob.expect("roster", &json!({"count": 0}));

    alice.say("/sub request bob@localhost");
    bob.expect(
        "presence",
        &json!({"from": "alice@localhost", "type": "subscribe"}),
    );
    bob.tell(&json!({"do": "presence", "to": "alice@localhost", "type": "subscribed"}));
    alice.expect_all(&["RECV: <presence", "bob@localhost/phone"]);
    bob.tell(&json!({"do": "presence", "to": "alice@localhost", "type": "subscribe"}));
    alice.expect_all(&["RECV: <presence", "type=\"subscribe\""]);
    alice.say("/sub allow bob@localhost");
    bob.expect(
        "presence",
        &json!({"from": "alice@localhost/profanity", "type": ""}),
    );
    alice.say("/status set away \"out for lunch\"");
    bob.expect(
        "presence",
        &json!({"from": "alice@localhost/profanity", "show": "away", "status": "out for lunch"}),
    );

    alice.say("/msg bob@localhost Grüße vom Terminal");
    bob.expect(
        "message",
        &json!({"from": "alice@localhost/profanity", "body": "Grüße vom Terminal"}),
    );
    bob.message("alice@localhost", "and back 👋");
    alice.expect_all(&["RECV: <message", "and back 👋"]);

    // Another client of the same user, and the copy of what it sends.
    let mut desk = Slixmpp::available(&server, "alice", "desk");
    desk.message("bob@localhost", "from the other one");
    alice.expect_all(&["RECV: <message", "urn:xmpp:carbons:2", "from the other one"]);

    alice.quit();
    bob.expect(
        "presence",
        &json!({"from": "alice@localhost/profanity", "type": "unavailable"}),
    );
}

#[test]
fn gajim_signs_in_subscribes_is_subscribed_to_and_writes_both_ways() {
    let server = Reveille::started();
    let mut bob = Slixmpp::available(&server, "bob", "phone");
    bob.tell(&json!({"do": "roster"}));
    bob.expect("roster", &json!({"count": 0}));
    bob.message("alice@localhost", "before she was there");
    let mut alice = Gajim::signed_in(&server, "alice");
    alice.expect("before she was there");

    alice.subscribe("bob@localhost");
    bob.expect(
        "presence",
        &json!({"from": "alice@localhost", "type": "subscribe"}),
    );
    bob.tell(&json!({"do": "presence", "to": "alice@localhost", "type": "subscribed"}));
    alice.expect("type='subscribed'");

    bob.tell(&json!({"do": "presence", "to": "alice@localhost", "type": "subscribe"}));
    bob.expect(
        "presence",
        &json!({"from": "alice@localhost", "type": "subscribed"}),
    );
    bob.expect(
        "presence",
        &json!({"from": "alice@localhost/gajim", "type": ""}),
    );

    alice.open_chat("bob@localhost");
    bob.message("alice@localhost", "Grüße ans Fenster 👋");
    alice.expect("Grüße ans Fenster");
    alice.write("bob@localhost", "and out of it");
    bob.expect(
        "message",
        &json!({"from": "alice@localhost/gajim", "body": "and out of it"}),
    );
    let picture = alice.picture("gajim");
    println!("what it looked like: {}", picture.display());
}
