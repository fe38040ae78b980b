//! Three users with a real XMPP client: they sign in, see one another, and write.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reveille_e2e::{Login, Reveille, SOON, Slixmpp, Tls, XmppClient, poll};
use serde_json::json;

/// What survives only if nobody touches the text on its way.
const TEXTS: [&str; 4] = [
    "Grüße aus Köln, ihr Süßen",
    "👩‍👩‍👧‍👦 and 🇺🇳 and 👍🏽",
    "a < b && \"c\" > 'd' ]]> &amp;",
    "two\nlines\tand a tab",
];

/// After that a message is late, with what a busy machine adds.
const LATE: Duration = Duration::from_secs(3);

#[test]
fn each_way_to_sign_in_works() {
    let server = Reveille::started();
    for tls in [Tls::Starttls, Tls::Direct] {
        for mechanism in ["SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN"] {
            let login = Login::new("alice", "desk").by(mechanism, tls);
            let mut alice = Slixmpp::start(&server, &login);
            alice.expect(
                "signed_in",
                &json!({"jid": "alice@localhost/desk", "mechanism": mechanism, "tls": "TLSv1.3"}),
            );
        }
        let mut carol = Slixmpp::start(&server, &Login::new("carol", "").by("any", tls));
        let jid = carol.expect("signed_in", &json!({}))["jid"].to_string();
        // RFC 6120 §7.6: who names no resource gets one of ours.
        assert!(jid.contains("carol@localhost/"), "{jid}");
    }
}

#[test]
fn a_wrong_password_and_an_unknown_name_are_refused_alike() {
    for mechanism in ["SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN"] {
        // Each at a server of its own: whoever fails often has to wait, whichever mechanism it is.
        let server = Reveille::started();
        for user in ["alice", "nobody"] {
            let login = Login::new(user, "desk").by(mechanism, Tls::Direct);
            let mut client = Slixmpp::start(&server, &login.with_password("guess"));
            client.expect("refused", &json!({"condition": "not-authorized"}));
            assert_eq!(client.count("signed_in", &json!({})), 0);
        }
    }
}

#[test]
fn a_certificate_of_a_stranger_is_found_out() {
    // The client's own doing, which proves that it looked at the certificate in all other tests.
    let (server, other) = (Reveille::started(), Reveille::started());
    let login = Login::new("alice", "desk").by("any", Tls::Direct);
    let mut alice = Slixmpp::start_trusting(&server, &login, &other.ca_file());
    alice.expect("connection_failed", &json!({}));
    assert_eq!(alice.count("signed_in", &json!({})), 0);
}

#[test]
fn texts_go_both_ways_as_they_were_written() {
    let server = Reveille::started();
    let mut alice = Slixmpp::available(&server, "alice", "desk");
    let mut bob = Slixmpp::available(&server, "bob", "phone");
    for text in TEXTS {
        alice.message("bob@localhost", text);
        bob.expect(
            "message",
            &json!({"from": "alice@localhost/desk", "to": "bob@localhost", "type": "chat", "body": text,
                    "delayed": false, "ids": 1}),
        );
        // To the client that wrote, as clients do (RFC 6121 §5.1).
        bob.message("alice@localhost/desk", text);
        alice.expect(
            "message",
            &json!({"from": "bob@localhost/phone", "body": text}),
        );
    }
    for text in TEXTS {
        assert_eq!(bob.count("message", &json!({"body": text})), 1);
        assert_eq!(alice.count("message", &json!({"body": text})), 1);
    }
}

#[test]
fn a_text_for_who_is_not_there_comes_once_at_the_next_sign_in() {
    let server = Reveille::started();
    let mut alice = Slixmpp::available(&server, "alice", "desk");
    for text in TEXTS {
        alice.message("bob@localhost", text);
    }
    alice.tell(&json!({"do": "ping", "to": "localhost"}));
    alice.expect("done", &json!({"of": "ping"}));
    // What comes more than two seconds after it was written says when that was: nothing but the clock makes it so.
    let written = Instant::now();
    poll(SOON, || (written.elapsed() > LATE).then_some(()));
    let mut bob = Slixmpp::available(&server, "bob", "phone");
    for text in TEXTS {
        bob.expect(
            "message",
            &json!({"from": "alice@localhost/desk", "body": text, "delayed": true}),
        );
    }
    bob.tell(&json!({"do": "sign_out"}));
    bob.expect("disconnected", &json!({}));

    // Not once more. A text behind them is the proof.
    let mut bob = Slixmpp::available(&server, "bob", "phone");
    let mut carol = Slixmpp::available(&server, "carol", "tablet");
    carol.message("bob@localhost", "behind them");
    bob.expect("message", &json!({"body": "behind them", "delayed": false}));
    for text in TEXTS {
        assert_eq!(
            bob.count("message", &json!({"body": text})),
            0,
            "{text:?} came again"
        );
    }
}

#[test]
fn each_client_of_a_user_sees_the_whole_conversation() {
    let server = Reveille::started();
    let mut alice = Slixmpp::available(&server, "alice", "desk");
    let mut phone = Slixmpp::available(&server, "bob", "phone");
    let mut laptop = Slixmpp::available(&server, "bob", "laptop");
    for client in [&mut phone, &mut laptop] {
        client.tell(&json!({"do": "carbons"}));
        client.expect("done", &json!({"of": "carbons"}));
    }
    // To one of them: the other gets a copy (XEP-0280 §7).
    alice.message("bob@localhost/phone", "to the phone");
    phone.expect("message", &json!({"body": "to the phone", "copy": ""}));
    laptop.expect(
        "message",
        &json!({"body": "to the phone", "copy": "received", "from": "alice@localhost/desk"}),
    );
    // From one of them: the other gets a copy (XEP-0280 §8).
    phone.message("alice@localhost/desk", "from the phone");
    alice.expect("message", &json!({"body": "from the phone", "copy": ""}));
    laptop.expect(
        "message",
        &json!({"body": "from the phone", "copy": "sent", "from": "bob@localhost/phone"}),
    );
    // To all: as it is, or as a copy, but once.
    alice.message("bob@localhost", "to both");
    phone.expect("message", &json!({"body": "to both"}));
    laptop.expect("message", &json!({"body": "to both"}));
    for (client, bodies) in [
        (&phone, ["to the phone", "to both"]),
        (&laptop, ["to the phone", "to both"]),
    ] {
        for body in bodies {
            assert_eq!(client.count("message", &json!({"body": body})), 1, "{body}");
        }
    }
    assert_eq!(
        phone.count("message", &json!({"body": "from the phone"})),
        0
    );
    assert_eq!(alice.count("message", &json!({"copy": "sent"})), 0);
}

#[test]
fn who_comes_back_takes_the_place_of_the_client_from_before() {
    let server = Reveille::started();
    let mut before = Slixmpp::available(&server, "alice", "desk");
    let mut now = Slixmpp::available(&server, "alice", "desk");
    // RFC 6120 §7.7.2.2.
    before.expect("stream_error", &json!({"condition": "conflict"}));
    before.expect("disconnected", &json!({}));
    let mut bob = Slixmpp::available(&server, "bob", "phone");
    bob.message("alice@localhost/desk", "to the new one");
    now.expect("message", &json!({"body": "to the new one"}));
    now.tell(&json!({"do": "ping", "to": "localhost"}));
    now.expect("done", &json!({"of": "ping"}));
    assert_eq!(before.count("message", &json!({})), 0);
}

#[test]
fn a_client_that_comes_back_at_once_and_often_stays() {
    let server = Reveille::started();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    let mut bob = XmppClient::available(&server, "bob", "phone");
    for round in 0..20 {
        let mut before =
            std::mem::replace(&mut alice, XmppClient::available(&server, "alice", "desk"));
        assert_eq!(before.stream_error(SOON), "conflict");
        let text = format!("round {round}");
        bob.send(&format!(
            "<message to='alice@localhost' type='chat'><body>{text}</body></message>"
        ));
        alice.expect(&text);
        alice.ping();
    }
}

#[test]
fn the_server_says_what_it_is_and_can() {
    let server = Reveille::started();
    let mut alice = Slixmpp::available(&server, "alice", "desk");
    let mut bob = Slixmpp::available(&server, "bob", "phone");
    // A client answers those who may know that it is there (RFC 6121 §8.5.3.1).
    bob.tell(&json!({"do": "presence", "to": "alice@localhost"}));
    alice.expect("presence", &json!({"from": "bob@localhost/phone"}));
    for to in ["localhost", "alice@localhost", "bob@localhost/phone"] {
        alice.tell(&json!({"do": "ping", "to": to}));
        alice.expect("done", &json!({"of": "ping", "to": to}));
    }
    alice.tell(&json!({"do": "disco", "to": "localhost"}));
    let info = alice.expect(
        "done",
        &json!({"of": "disco", "category": "server", "kind": "im"}),
    );
    for feature in [
        "http://jabber.org/protocol/disco#info",
        "jabber:iq:version",
        "urn:xmpp:ping",
        "urn:xmpp:time",
        "urn:xmpp:carbons:2",
    ] {
        let listed = info["features"].as_array().expect("a list");
        assert!(listed.contains(&json!(feature)), "{feature}: {info}");
    }
    alice.tell(&json!({"do": "disco", "to": "alice@localhost"}));
    alice.expect(
        "done",
        &json!({"of": "disco", "category": "account", "kind": "registered"}),
    );
    alice.tell(&json!({"do": "disco", "to": "localhost", "node": "none"}));
    alice.expect(
        "failed",
        &json!({"of": "disco", "condition": "item-not-found"}),
    );
    alice.tell(&json!({"do": "items", "to": "localhost"}));
    alice.expect("done", &json!({"of": "items"}));
    alice.tell(&json!({"do": "version", "to": "localhost"}));
    let version = alice.expect("done", &json!({"of": "version", "name": "Reveille"}));
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    alice.tell(&json!({"do": "time", "to": "localhost"}));
    let time = alice.expect("done", &json!({"of": "time"}));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let apart = (time["seconds"].as_f64().expect("seconds") - now.as_secs_f64()).abs();
    assert!(apart < 60.0, "the clock is {apart} s apart: {time}");
    alice.tell(
        &json!({"do": "ask", "to": "localhost", "xml": "<query xmlns='urn:example:nothing'/>"}),
    );
    alice.expect(
        "failed",
        &json!({"of": "ask", "condition": "service-unavailable"}),
    );
}

#[test]
fn what_cannot_be_delivered_comes_back() {
    let server = Reveille::started();
    let mut alice = Slixmpp::available(&server, "alice", "desk");
    for (to, condition) in [
        // RFC 6121 §8.5.1, RFC 6120 §10.4.
        ("nobody@localhost", "service-unavailable"),
        ("nobody@localhost/desk", "service-unavailable"),
        ("bob@elsewhere.example", "remote-server-not-found"),
    ] {
        let id = format!("to {to}");
        alice.tell(&json!({"do": "message", "to": to, "body": "hello?", "id": id}));
        let error = alice.expect(
            "message",
            &json!({"type": "error", "id": id, "condition": condition}),
        );
        assert_eq!(error["from"], to);
        alice.tell(&json!({"do": "ping", "to": to}));
        alice.expect("failed", &json!({"of": "ping", "condition": condition}));
    }
    // Of a user who is not there nothing can be asked, and not even whether there is one (RFC 6121 §8.5.2.2.3).
    alice.tell(&json!({"do": "ping", "to": "bob@localhost/phone"}));
    alice.expect(
        "failed",
        &json!({"of": "ping", "condition": "service-unavailable"}),
    );
}
