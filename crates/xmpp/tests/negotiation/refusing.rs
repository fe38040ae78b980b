//! Clients that do what they should not, and what they are told.

use xmpp::stream::{Domains, Framing, Greeter, Then};
use xmpp::xml::Reader;

use crate::client::{ANSWER, Client, HEADER, OPEN, domains, message, offer};

/// The end of a stream for this reason.
fn ends(condition: &str) -> String {
    format!("<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>")
}

/// Without the text, which is not for programs.
fn is_end(sent: &str, condition: &str) -> bool {
    sent.contains(&ends(condition)) && sent.ends_with("</stream:error></stream:stream>")
}

#[test]
fn a_header_that_is_refused_is_answered_with_a_header_first() {
    let with = |from: &str, to: &str| HEADER.replace(from, to);
    for (header, condition) in [
        (
            with("to='im.example.com'", "to='unknown.example'"),
            "host-unknown",
        ),
        (
            with("to='im.example.com'", "to='a@im.example.com'"),
            "host-unknown",
        ),
        (with("to='im.example.com'", "to=''"), "host-unknown"),
        (with("to='im.example.com'", ""), "host-unknown"),
        (
            with("version='1.0' ", "version='0.9' "),
            "unsupported-version",
        ),
        (
            with("version='1.0' ", "version='x' "),
            "unsupported-version",
        ),
        (with("version='1.0' ", ""), "unsupported-version"),
        (
            with(
                "http://etherx.jabber.org/streams",
                "http://wrong.namespace.example.org/",
            ),
            "invalid-namespace",
        ),
        (
            with("'jabber:client'", "'jabber:server'"),
            "invalid-namespace",
        ),
        (with("'jabber:client'", "''"), "invalid-namespace"),
        (
            with("'jabber:client'", "'http://etherx.jabber.org/streams'"),
            "invalid-namespace",
        ),
        (with("stream:stream", "stream:flow"), "bad-format"),
        (with("version='1.0' ", "a='&b;' "), "restricted-xml"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "not-well-formed"),
    ] {
        let (sent, then) = Client::new().says(&header);
        let without_to = sent.replace(" to='juliet@im.example.com'", "");
        assert!(without_to.starts_with(ANSWER), "{header}: {sent}");
        assert!(is_end(&sent, condition), "{header}: {sent}");
        assert_eq!(then, Then::Close);
    }
}

#[test]
fn the_answer_is_from_the_domain_that_was_named_if_it_is_ours() {
    let header = HEADER.replace("to='im.example.com'", "to='other.example'");
    let (sent, _) = Client::secure().says(&header);
    assert!(sent.contains(" from='other.example'"), "{sent}");
    let (sent, _) = Client::secure().says(&header.replace("'1.0' xml", "'0.1' xml"));
    assert!(
        sent.contains(" from='other.example'") && is_end(&sent, "unsupported-version"),
        "{sent}"
    );
}

#[test]
fn where_one_domain_is_served_it_need_not_be_named() {
    let domains = Domains::new("im.example.com", &[]).unwrap();
    let mut client = Client {
        greeter: Greeter::new(Framing::Tcp, domains),
        ..Client::new()
    };
    let (sent, then) = client.says(&HEADER.replace("to='im.example.com'", ""));
    assert!(sent.contains("<starttls"), "{sent}");
    assert_eq!(then, Then::Read);
}

#[test]
fn nothing_but_signing_in_comes_before_signing_in() {
    for element in [
        "<message/>",
        "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
        "<presence/>",
        "<resume xmlns='urn:xmpp:sm:3'/>",
        "<auth/>",
        "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
        "<stream:stream/>",
    ] {
        for mut client in [Client::new(), Client::secure()] {
            client.says(HEADER);
            let (sent, then) = client.says(element);
            assert!(is_end(&sent, "not-authorized"), "{element}: {sent}");
            assert!(!sent.contains("<stream:stream"), "one header is enough");
            assert_eq!(then, Then::Close);
        }
    }
}

#[test]
fn signing_in_needs_tls() {
    let mut client = Client::new();
    client.says(HEADER);
    let sasl = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>";
    let (sent, then) = client.says(sasl);
    assert_eq!(
        sent,
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><encryption-required/></failure>"
    );
    assert_eq!(then, Then::Read);
    let (sent, _) = client.says("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>");
    assert_eq!(
        sent,
        "<failure xmlns='urn:xmpp:sasl:2'><encryption-required xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></failure>"
    );
    client.says(sasl);
    let (sent, then) = client.says(sasl);
    assert!(is_end(&sent, "policy-violation"), "{sent}");
    assert_eq!(then, Then::Close);
}

#[test]
fn tls_is_not_begun_twice() {
    let mut client = Client::secure();
    client.says(HEADER);
    let (sent, then) = client.says("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(
        sent,
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"
    );
    assert_eq!(then, Then::Close);
}

#[test]
fn a_websocket_is_refused_in_messages() {
    let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='im.example.com' id='i1' version='1.0' xml:lang='en'/>";
    let close = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
    for (octets, condition) in [
        (
            "<open xmlns='jabber:client' to='im.example.com' version='1.0'/>",
            "invalid-namespace",
        ),
        ("<message xmlns='jabber:client'/>", "bad-format"),
        (
            &*OPEN.replace("im.example", "unknown.example"),
            "host-unknown",
        ),
        (&*OPEN.replace("'1.0'", "'0.9'"), "unsupported-version"),
    ] {
        let mut greeter = Greeter::new(Framing::WebSocket, domains());
        greeter.secured(offer());
        let (sent, then) = message(&mut greeter, octets);
        assert_eq!(
            (&*sent[0], &*sent[2], sent.len()),
            (open, close, 3),
            "{octets}"
        );
        assert!(
            sent[1].contains(&format!("<{condition} ")),
            "{octets}: {}",
            sent[1]
        );
        assert_eq!(then, Then::Close);
    }
    let mut in_the_clear = Greeter::new(Framing::WebSocket, domains());
    assert!(message(&mut in_the_clear, OPEN).0[1].contains("policy-violation"));
    let mut twice = Greeter::new(Framing::WebSocket, domains());
    twice.secured(offer());
    message(&mut twice, OPEN);
    assert!(message(&mut twice, OPEN).0[0].contains("bad-format"));
}

#[test]
fn what_is_no_xml_ends_the_stream_in_the_protocols_words() {
    for (octets, condition) in [
        ("<a", None),
        ("<a></b>", Some("not-well-formed")),
        ("text", Some("bad-format")),
    ] {
        let mut client = Client::new();
        client.says(HEADER);
        let (sent, _) = client.says(octets);
        match condition {
            None => assert_eq!(sent, ""),
            Some(condition) => assert!(is_end(&sent, condition), "{sent}"),
        }
    }
    // It is sent to a client that was not greeted yet as well.
    let mut client = Client::new();
    client.reader = Reader::new(xmpp::xml::Limits {
        header_bytes: 100,
        ..xmpp::xml::Limits::before_authentication()
    });
    let (sent, _) = client.says(HEADER);
    assert!(
        sent.starts_with(ANSWER) && is_end(&sent, "policy-violation"),
        "{sent}"
    );
}
