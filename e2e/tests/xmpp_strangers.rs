//! What no honest client does: the stream ends with the error that RFC 6120 has for it, nothing is kept of it, and those
//! who are honest notice nothing.

use reveille_e2e::{HEADER, Heard, Reveille, SOON, STARTTLS, Tls, XmppClient, nonsense, xml};

/// Sends it, as far as the server takes it, and returns how the stream ends.
fn ending(client: &mut XmppClient, octets: &[u8]) -> String {
    // The server may be through with us before it has read all.
    let _ = client.send_raw(octets);
    client.stream_error(SOON)
}

fn assert_endings(told: Vec<(String, String, &str)>) {
    let wrong: Vec<_> = told
        .into_iter()
        .filter(|(_, is, should)| is != should)
        .collect();
    assert!(
        wrong.is_empty(),
        "what, how it ended, how it should: {wrong:#?}"
    );
}

fn short(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).chars().take(80).collect()
}

#[test]
fn what_is_no_stream_is_told_why() {
    let mut server = Reveille::started();
    let mut told = Vec::new();
    for (opening, condition) in nonsense::openings() {
        let mut client = XmppClient::connect(server.xmpp(Tls::Starttls)).expect("a connection");
        let ended = ending(&mut client, opening.as_bytes());
        told.push((short(opening.as_bytes()), ended, condition));
    }
    assert_endings(told);
    server.assert_healthy();
}

#[test]
fn what_is_no_xmpp_is_told_why_before_and_after_the_sign_in() {
    let mut server = Reveille::started();
    let mut told = Vec::new();
    for (octets, condition) in nonsense::elements() {
        let clients = [
            XmppClient::in_the_clear(&server),
            XmppClient::in_tls(&server, Tls::Starttls),
            XmppClient::available(&server, "alice", "desk"),
        ];
        for (mut client, stage) in clients.into_iter().zip(["clear", "tls", "signed in"]) {
            let what = format!("{stage}: {}", short(&octets));
            told.push((what, ending(&mut client, &octets), condition));
        }
    }
    assert_endings(told);
    server.assert_healthy();
}

#[test]
fn nobody_says_anything_before_the_sign_in() {
    let server = Reveille::started();
    for stanza in [
        "<message to='bob@localhost'><body>hello</body></message>",
        "<presence/>",
        "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
        "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
    ] {
        for mut client in [
            XmppClient::in_the_clear(&server),
            XmppClient::in_tls(&server, Tls::Starttls),
            XmppClient::in_tls(&server, Tls::Direct),
        ] {
            // RFC 6120 §4.9.3.12.
            assert_eq!(
                ending(&mut client, stanza.as_bytes()),
                "not-authorized",
                "{stanza}"
            );
        }
        // It has signed in, and has no address yet (RFC 6120 §7.1).
        let mut client = XmppClient::in_tls(&server, Tls::Direct);
        client.authenticate("alice");
        if !stanza.contains("<bind") {
            assert_eq!(
                ending(&mut client, stanza.as_bytes()),
                "not-authorized",
                "{stanza}"
            );
        }
    }
    let mut bob = XmppClient::available(&server, "bob", "phone");
    let before = bob.ping();
    assert!(
        !before.iter().any(|item| item.contains("hello")),
        "{before:#?}"
    );
}

#[test]
fn nobody_signs_in_in_the_clear() {
    let server = Reveille::started();
    let mut client = XmppClient::connect(server.xmpp(Tls::Starttls)).expect("a connection");
    let offered = client.open();
    // RFC 6120 §5.3.1: TLS, which is required, and nothing else.
    assert!(
        offered.contains("<required/>") && !offered.contains("mechanism"),
        "{offered}"
    );
    client.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHdha2V1cA==</auth>");
    client.expect("<encryption-required/>");
}

#[test]
fn what_is_said_behind_starttls_is_not_taken_for_said_in_tls() {
    let server = Reveille::started();
    let ca = server.lab().ca();
    for behind in [
        HEADER,
        "<message to='bob@localhost'><body>smuggled</body></message>",
        " ",
        "\u{16}\u{3}\u{1}",
    ] {
        let mut client = XmppClient::in_the_clear(&server);
        client.send(&format!("{STARTTLS}{behind}"));
        // RFC 6120 §5.4.3.3: nothing but TLS may follow. Either the stream ends, or what stood there has no effect.
        match client.next(SOON) {
            Heard::Gone => {}
            Heard::Item(item) if item.starts_with("<stream:error") => {
                client.rest(SOON);
            }
            Heard::Item(item) if item.starts_with("<proceed") => {
                assert!(behind.trim().is_empty(), "{behind:?} was passed over");
                client.secure(&ca);
                client.open();
            }
            other => panic!("{behind:?}: {other:?}"),
        }
    }
}

#[test]
fn a_client_that_signed_in_plays_by_the_rules() {
    let server = Reveille::started();
    for (said, condition) in [
        (
            "<message from='bob@localhost' to='carol@localhost'><body>a</body></message>",
            "invalid-from",
        ),
        (
            "<message from='alice@localhost/phone' to='carol@localhost'><body>a</body></message>",
            "invalid-from",
        ),
        (
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            "unsupported-stanza-type",
        ),
        ("<letter/>", "unsupported-stanza-type"),
        (
            "<message xmlns='jabber:server' to='bob@localhost'/>",
            "invalid-namespace",
        ),
    ] {
        let mut client = XmppClient::available(&server, "alice", "desk");
        let ended = ending(&mut client, said.as_bytes());
        // RFC 6120 §4.9.3.10 and §4.9.3.24 both fit what stands in another namespace.
        let fits = ended == condition
            || (condition == "invalid-namespace" && ended == "unsupported-stanza-type");
        assert!(fits, "{said}: {ended}");
    }
}

#[test]
fn a_stanza_that_makes_no_sense_is_answered_and_the_stream_goes_on() {
    let server = Reveille::started();
    let mut alice = XmppClient::available(&server, "alice", "desk");
    for (said, condition) in [
        ("<iq type='get' id='1' to='localhost'/>", "bad-request"),
        (
            "<iq type='want' id='1' to='localhost'><a xmlns='urn:a'/></iq>",
            "bad-request",
        ),
        (
            "<iq type='get' id='1' to='localhost'><a xmlns='urn:a'/><b xmlns='urn:b'/></iq>",
            "bad-request",
        ),
        (
            "<iq type='get' id='1' to='@localhost'><a xmlns='urn:a'/></iq>",
            "jid-malformed",
        ),
        (
            "<message id='1' to='bob@localhost/\u{fdd0}'><body>a</body></message>",
            "jid-malformed",
        ),
        (
            "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='b@localhost'/><item jid='c@localhost'/>\
          </query></iq>",
            "bad-request",
        ),
    ] {
        alice.send(said);
        let answer = alice.expect("type='error'");
        assert_eq!(xml::attribute(&answer, "id"), Some("1"), "{said}: {answer}");
        assert!(
            answer.contains(&format!("<{condition} ")),
            "{said}: {answer}"
        );
    }
    alice.ping();
}

#[test]
fn guesses_end_the_stream_after_a_few() {
    let server = Reveille::started();
    let mut client = XmppClient::in_tls(&server, Tls::Direct);
    let mut refusals = 0;
    let guess =
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAGd1ZXNz</auth>";
    let ended = loop {
        if client.send_raw(guess.as_bytes()).is_err() {
            break client.rest(SOON);
        }
        match client.next(SOON) {
            Heard::Item(item) if item.contains("<not-authorized/>") => refusals += 1,
            Heard::Item(item) => {
                let mut rest = client.rest(SOON);
                rest.insert(0, item);
                break rest;
            }
            other => panic!("{other:?}"),
        }
        // RFC 6120 §6.4.5: at least two, and no end of them for nobody.
        assert!(refusals <= 5, "the stream goes on after {refusals} guesses");
    };
    assert!(refusals >= 2, "{refusals} guesses, then {ended:#?}");
}
