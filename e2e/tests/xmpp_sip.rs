//! One account, two protocols: who writes by XMPP is read by SIP, and the other way round (`behaviour.md` 6).

use std::time::Duration;

use reveille_e2e::{
    Incoming, Linphone, Pjsua, Reveille, SOON, SipClient, Slixmpp, Transport, XmppClient, android,
    new_token,
};
use serde_json::json;

/// What survives only if nobody touches the text on its way.
const TEXT: &str = "Grüße, 👩‍👩‍👧‍👦 & <b>co</b>";

fn next_text(phone: &mut SipClient) -> Incoming {
    std::iter::from_fn(|| phone.wait_incoming(SOON))
        .find(|request| request.method == "MESSAGE")
        .expect("a MESSAGE")
}

#[test]
fn a_text_from_xmpp_is_a_plain_text_in_sip_and_back() {
    let server = Reveille::started();
    let mut alice = Slixmpp::available(&server, "alice", "desk");
    for transport in [Transport::Udp, Transport::Tcp] {
        let address = server.sip(transport);
        let mut bob = match transport {
            Transport::Udp => SipClient::udp("bob", address),
            _ => SipClient::tcp("bob", address).expect("a connection"),
        };
        assert_eq!(bob.register("").status, 200);
        alice.message("bob@localhost", TEXT);
        let message = next_text(&mut bob);
        let header = |name| message.header(name).unwrap_or_default().to_owned();
        assert!(
            header("Content-Type").starts_with("text/plain"),
            "{}",
            message.text
        );
        assert!(
            header("From").contains("sip:alice@localhost"),
            "{}",
            message.text
        );
        assert_eq!(message.body(), TEXT);

        let answer = bob.message("alice", TEXT).expect("an answer");
        assert!(matches!(answer.status, 200 | 202), "{}", answer.text);
        let told = alice.expect("message", &json!({"type": "chat", "body": TEXT, "ids": 1}));
        let from = told["from"].as_str().unwrap_or_default();
        assert!(
            from == "bob@localhost" || from.starts_with("bob@localhost/"),
            "{told}"
        );
    }
    assert_eq!(alice.count("message", &json!({})), 2);
}

#[test]
fn real_phones_and_a_real_client_understand_each_other() {
    let server = Reveille::started();
    let mut alice = Slixmpp::available(&server, "alice", "desk");
    let mut bob = Pjsua::registered(&server, "bob", Transport::Udp);
    let phone = server.account("carol", Transport::Tcp, android(&new_token()));
    let mut carol = Linphone::registered(phone);
    alice.message("bob@localhost", "to a soft phone");
    bob.expect("to a soft phone", SOON);
    alice.message("carol@localhost", "to a Linphone");
    carol.expect("to a Linphone", SOON);
    bob.message("sip:alice@localhost", "from a soft phone");
    bob.expect("SENT 20", SOON);
    alice.expect("message", &json!({"body": "from a soft phone"}));
}

#[test]
fn a_user_with_a_phone_and_a_client_gets_each_text_once_on_both() {
    let server = Reveille::started();
    let address = server.sip(Transport::Udp);
    let mut phone = SipClient::udp("bob", address);
    assert_eq!(phone.register("").status, 200);
    let mut client = Slixmpp::available(&server, "bob", "laptop");
    let mut alice = Slixmpp::available(&server, "alice", "desk");
    let mut carol = SipClient::udp("carol", address);
    alice.message("bob@localhost", "from a client");
    assert_eq!(next_text(&mut phone).body(), "from a client");
    client.expect("message", &json!({"body": "from a client"}));
    let answer = carol.message("bob", "from a phone").expect("an answer");
    assert!(matches!(answer.status, 200 | 202), "{}", answer.text);
    assert_eq!(next_text(&mut phone).body(), "from a phone");
    client.expect("message", &json!({"body": "from a phone"}));

    // What comes behind them is the proof that nothing came twice.
    alice.message("bob@localhost", "behind them");
    assert_eq!(next_text(&mut phone).body(), "behind them");
    client.expect("message", &json!({"body": "behind them"}));
    assert_eq!(client.count("message", &json!({})), 3);
}

#[test]
fn what_is_not_to_be_read_reaches_a_phone_as_what_it_is() {
    let server = Reveille::started();
    let mut bob = SipClient::udp("bob", server.sip(Transport::Udp));
    assert_eq!(bob.register("").status, 200);
    let mut alice = XmppClient::available(&server, "alice", "desk");
    for said in [
        "<message to='bob@localhost' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
        "<message to='bob@localhost' type='chat' id='1'><received xmlns='urn:xmpp:receipts' id='imdn.2'/></message>",
        "<presence to='bob@localhost' type='subscribe'/>",
    ] {
        alice.send(said);
    }
    alice.send("<message to='bob@localhost' type='chat'><body>to be read</body></message>");
    // A typing notice is kept nowhere, and so may be overtaken.
    let mut got: Vec<(String, String)> = (0..3)
        .map(|_| next_text(&mut bob))
        .map(|it| {
            let kind = it.header("Content-Type").unwrap_or_default().to_owned();
            (kind, it.body().to_owned())
        })
        .collect();
    got.sort();
    let [typing, receipt, text] = &got[..] else {
        panic!("three of them, not {got:?}")
    };
    assert_eq!(typing.0, "application/im-iscomposing+xml");
    assert!(typing.1.contains("<state>active</state>"), "{typing:?}");
    assert_eq!(receipt.0, "message/cpim");
    assert!(
        receipt.1.contains("<message-id>2</message-id>"),
        "{receipt:?}"
    );
    assert!(
        text.0.starts_with("text/plain") && text.1 == "to be read",
        "{text:?}"
    );
    while let Some(request) = bob.wait_incoming(Duration::from_millis(500)) {
        assert_ne!(request.method, "MESSAGE", "{}", request.text);
    }
}

#[test]
fn a_phone_that_says_that_it_takes_envelopes_confirms_what_a_client_writes() {
    let server = Reveille::started();
    let mut bob = SipClient::udp("bob", server.sip(Transport::Udp));
    let contact = format!("{};type=\"<message/cpim>\"", bob.contact(""));
    let answer = bob.register_contact(&contact).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text);
    let mut alice = XmppClient::available(&server, "alice", "desk");
    alice.send(
        "<message to='bob@localhost' type='chat' id='m7'><body>Lunch?</body><request xmlns='urn:xmpp:receipts'/></message>",
    );
    let message = next_text(&mut bob);
    assert_eq!(message.header("Content-Type"), Some("message/cpim"));
    for needle in [
        "imdn.Message-ID: m7\r\n",
        "imdn.Disposition-Notification: positive-delivery\r\n",
        "\r\n\r\nLunch?",
    ] {
        assert!(message.body().contains(needle), "{}", message.text);
    }
    let receipt = "From: <sip:bob@localhost>\r\nTo: <sip:alice@localhost>\r\nNS: imdn <urn:ietf:params:imdn>\r\n\
        imdn.Message-ID: d1\r\n\r\nContent-Type: message/imdn+xml\r\nContent-Disposition: notification\r\n\r\n\
        <?xml version=\"1.0\"?><imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"><message-id>m7</message-id>\
        <datetime>2026-11-29T12:00:00Z</datetime>\
        <delivery-notification><status><delivered/></status></delivery-notification></imdn>";
    let to = "sip:alice@localhost";
    let kind = [("Content-Type", "message/cpim")];
    let answer = bob.request("MESSAGE", to, to, &kind, receipt);
    assert_eq!(answer.status, 202, "{}", answer.text);
    let told = alice.expect("<received");
    assert!(
        told.contains("urn:xmpp:receipts") && told.contains("id='m7'"),
        "{told}"
    );
}

#[test]
fn a_text_from_xmpp_wakes_a_sleeping_phone_with_one_push_that_says_nothing() {
    let server = Reveille::started();
    let token = new_token();
    let push = android(&token).in_uri();
    let address = server.sip(Transport::Udp);
    assert_eq!(SipClient::udp("bob", address).register(&push).status, 200);
    let mut alice = Slixmpp::available(&server, "alice", "desk");
    for text in ["first secret", "second secret"] {
        alice.message("bob@localhost", text);
    }
    let push = server.lab().wait_for_push(&token, "message", SOON);
    for personal in ["alice", "bob@", "secret"] {
        assert!(!push.text().contains(personal), "{push:?}");
    }
    let mut bob = SipClient::udp("bob", address);
    assert_eq!(bob.register(&android(&token).in_uri()).status, 200);
    assert_eq!(next_text(&mut bob).body(), "first secret");
    assert_eq!(next_text(&mut bob).body(), "second secret");
    server.wait_delivered("bob");
    assert_eq!(server.lab().pushes(&token, "message").len(), 1);
}

#[test]
fn a_text_from_sip_waits_for_a_client_of_xmpp() {
    let server = Reveille::started();
    let mut alice = SipClient::udp("alice", server.sip(Transport::Udp));
    for text in ["first", "second"] {
        let answer = alice.message("erin", text).expect("an answer");
        assert_eq!(answer.status, 202, "{}", answer.text);
    }
    let mut erin = Slixmpp::available(&server, "erin", "desk");
    erin.expect("message", &json!({"body": "first"}));
    erin.expect("message", &json!({"body": "second"}));
    erin.tell(&json!({"do": "sign_out"}));
    erin.expect("disconnected", &json!({}));
    let mut erin = Slixmpp::available(&server, "erin", "desk");
    assert_eq!(
        alice.message("erin", "third").expect("an answer").status,
        202
    );
    erin.expect("message", &json!({"body": "third"}));
    assert_eq!(erin.count("message", &json!({})), 1);
}

#[test]
fn a_call_does_not_ring_where_nobody_can_answer_it() {
    let server = Reveille::started();
    let _bob = Slixmpp::available(&server, "bob", "desk");
    let mut alice = Pjsua::registered(&server, "alice", Transport::Udp);
    alice.call("sip:bob@localhost");
    // Nothing that could ring, and nothing to wait for: a client of XMPP takes no calls.
    alice.expect("CALL DISCONNECTED 480", SOON);
}
