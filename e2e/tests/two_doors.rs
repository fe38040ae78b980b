//! A phone with a door for each protocol, which says that it is one device (RFC 5626 §4.1, XEP-0388).

use reveille_e2e::{Login, Reveille, SOON, SipClient, Slixmpp, Transport, XmppClient, new_token};
use serde_json::json;
use std::thread;

const INSTANCE: &str = "f81d4fae-7dec-41d0-a765-00a0c91e6bf6";

fn registers(server: &Reveille, params: &str) -> SipClient {
    let address = server.sip(Transport::Tcp);
    let mut phone = SipClient::tcp("bob", address).expect("a connection");
    let contact = phone.contact(params);
    let contact = format!("{contact};+sip.instance=\"<urn:uuid:{INSTANCE}>\"");
    let answer = phone.register_contact(&contact).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text);
    phone
}

#[test]
fn is_one_device_with_one_push_one_ring_and_one_copy_of_each_text() {
    let server = Reveille::started();
    let (voip, message) = (new_token(), new_token());
    let mut sip = registers(&server, "");
    let login = Login::new("bob", &format!("urn:uuid:{INSTANCE}")).resuming();
    let mut xmpp = Slixmpp::start(&server, &login);
    xmpp.expect("signed_in", &json!({}));
    xmpp.tell(&json!({
        "do": "enable_push",
        "jid": "push.localhost",
        "app": "com.example.phone",
        "voip": voip,
        "message": message,
    }));
    xmpp.expect("done", &json!({"of": "enable_push"}));
    xmpp.be_available();
    assert_eq!(
        server.devices("bob").len(),
        1,
        "{:?}",
        server.devices("bob")
    );

    let mut alice = XmppClient::available(&server, "alice", "desk");
    let chat = |body: &str| {
        format!("<message to='bob@localhost' type='chat' id='{body}'><body>{body}</body></message>")
    };
    alice.send(&chat("one"));
    xmpp.expect("message", &json!({"body": "one"}));
    let address = server.sip(Transport::Tcp);
    let caller = thread::spawn(move || {
        let mut carol = SipClient::tcp("carol", address).expect("a connection");
        let (bob, contact) = ("sip:bob@localhost", carol.contact(""));
        carol.request("INVITE", bob, bob, &[("Contact", &contact)], "")
    });
    let call = std::iter::from_fn(|| sip.wait_incoming(SOON)).find(|it| it.method == "INVITE");
    sip.reply(&call.expect("a call"), "486 Busy Here");
    let answer = caller.join().expect("the caller's end");
    assert_eq!(answer.status, 486, "{}", answer.text);
    server.lab().wait_for_push(&voip, "call", SOON);
    assert_eq!(server.lab().pushes(&voip, "call").len(), 1);

    // Both doors are gone: one push for a text, whichever door it would have come by.
    drop(sip);
    xmpp.tell(&json!({"do": "lose"}));
    xmpp.expect("disconnected", &json!({}));
    alice.send(&chat("two"));
    server.lab().wait_for_push(&message, "message", SOON);
    let mut sip = registers(&server, "");
    let text = std::iter::from_fn(|| sip.wait_incoming(SOON)).find(|it| it.method == "MESSAGE");
    assert_eq!(text.expect("a text").body(), "two");
    assert_eq!(server.devices("bob").len(), 1);
    assert_eq!(server.lab().pushes(&message, "message").len(), 1);
    xmpp.tell(&json!({"do": "sign_in"}));
    xmpp.tell(&json!({"do": "ping", "to": "localhost"}));
    xmpp.expect("done", &json!({"of": "ping"}));
    assert_eq!(
        xmpp.count("message", &json!({"body": "two"})),
        0,
        "it has it"
    );
}
