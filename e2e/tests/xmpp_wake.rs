//! How a woken client comes back: with one message after TLS.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reveille_e2e::{Heard, PASSWORD, Reveille, Tls, XmppClient, http, xml};
use serde_json::{Value, json};

/// The installation of Bob's phone.
const CLIENT: &str = "d4565fa7-4d72-4749-b3d3-740edbf87770";

/// All that a client says to sign in by SASL2 with its password (XEP-0388 §2.3).
fn authenticate(user: &str, wishes: &str) -> String {
    let plain = STANDARD.encode(format!("\0{user}\0{PASSWORD}"));
    format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>{plain}</initial-response>\
         <user-agent id='{CLIENT}'/>{wishes}</authenticate>"
    )
}

/// What a client says that has a token, for a mechanism without channel binding: name, nought, and the HMAC-SHA-256 of
/// "Initiator" (draft-schmaus-kitten-sasl-ht-09).
fn shows(user: &str, token: &str, client: &str, wishes: &str) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, token.as_bytes());
    let proof = ring::hmac::sign(&key, b"Initiator");
    let message = [user.as_bytes(), b"\0", proof.as_ref()].concat();
    format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='HT-SHA-256-NONE'><initial-response>{}</initial-response>\
         <user-agent id='{client}'/>{wishes}</authenticate>",
        STANDARD.encode(message)
    )
}

#[test]
fn a_client_with_a_token_signs_in_with_one_message_also_after_a_restart_and_nobody_else_does() {
    let mut server = Reveille::started();
    let mut bob = XmppClient::in_tls(&server, Tls::Direct);
    bob.send(&authenticate(
        "bob",
        "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>",
    ));
    let success = bob.expect("<success");
    let token = success
        .split(" token='")
        .nth(1)
        .and_then(|it| it.split('\'').next());
    let token = token.expect("a token").to_owned();
    drop(bob);
    let fast = |count: u32| {
        format!("<fast xmlns='urn:xmpp:fast:0' count='{count}'/><bind xmlns='urn:xmpp:bind:0'/>")
    };
    let says = |server: &Reveille, what: &str| {
        let mut client = XmppClient::in_tls(server, Tls::Direct);
        client.send(what);
        client.next(reveille_e2e::SOON)
    };
    let is_in = |heard: &Heard| matches!(heard, Heard::Item(it) if it.contains("<bound"));
    let is_out = |heard: &Heard| matches!(heard, Heard::Item(it) if it.contains("<not-authorized"));
    let first = says(&server, &shows("bob", &token, CLIENT, &fast(1)));
    assert!(is_in(&first), "{first:?}");
    for (user, client, count) in [
        ("bob", CLIENT, 1),
        ("bob", "d4565fa7-4d72-4749-b3d3-740edbf87771", 2),
        ("alice", CLIENT, 2),
        ("nobody", CLIENT, 2),
    ] {
        let heard = says(&server, &shows(user, &token, client, &fast(count)));
        assert!(is_out(&heard), "{user} {client} {count}: {heard:?}");
    }
    server.kill();
    server.start();
    let again = says(&server, &shows("bob", &token, CLIENT, &fast(2)));
    assert!(is_in(&again), "{again:?}");
}

#[test]
fn a_client_that_lost_its_connection_has_its_message_one_round_trip_after_tls() {
    let server = Reveille::started();
    let mut bob = XmppClient::in_tls(&server, Tls::Direct);
    bob.send(&authenticate(
        "bob",
        "<bind xmlns='urn:xmpp:bind:0'><tag>phone</tag><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>",
    ));
    let success = bob.expect("<success");
    let jid = xml::text(&success, "authorization-identifier").expect("an address");
    assert!(jid.starts_with("bob@localhost/phone/"), "{success}");
    let id = success
        .split(" id='")
        .nth(1)
        .and_then(|it| it.split('\'').next());
    let id = id.expect("a session that can be resumed").to_owned();
    bob.expect("<stream:features");
    bob.send("<presence/>");
    bob.expect("<presence");
    drop(bob);

    let mut alice = XmppClient::available(&server, "alice", "desk");
    alice.send("<message to='bob@localhost' type='chat' id='1'><body>wake up</body></message>");
    alice.ping();

    let mut bob = XmppClient::connect(server.xmpp(Tls::Direct)).expect("a connection");
    bob.secure(&server.lab().ca());
    // Nothing is waited for: the features are known from the last time (XEP-0388 §2.1).
    bob.send(&format!(
        "{}{}",
        reveille_e2e::HEADER,
        authenticate(
            "bob",
            &format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='1'/>")
        )
    ));
    let success = bob.expect("<success");
    assert!(success.contains("<resumed"), "{success}");
    assert_eq!(xml::text(&success, "authorization-identifier"), Some(jid));
    bob.expect("wake up");
}

#[test]
fn an_access_token_of_the_device_api_signs_in_and_a_refresh_token_does_not() {
    let server = Reveille::started();
    let asked = json!({"grant_type": "password", "username": "bob", "password": PASSWORD});
    let admin = server.address("admin");
    let answer = http(admin, "POST", "/oauth/token", Some(&asked)).expect("an answer");
    let tokens: Value = serde_json::from_str(&answer.body).expect("JSON");
    let bears = |kind: &str| {
        let token = tokens[kind].as_str().expect("a token");
        let message = STANDARD.encode(format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}"));
        let mut client = XmppClient::in_tls(&server, Tls::Direct);
        client.send(&format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='OAUTHBEARER'><initial-response>{message}</initial-response>\
             </authenticate>"
        ));
        client
    };
    let success = bears("access_token").expect("<success");
    let jid = xml::text(&success, "authorization-identifier");
    assert_eq!(jid.as_deref(), Some("bob@localhost"));
    let mut refused = bears("refresh_token");
    refused.expect("<challenge");
    refused.send("<response xmlns='urn:xmpp:sasl:2'>AQ==</response>");
    refused.expect("<not-authorized");
}
