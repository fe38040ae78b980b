//! IPv6 in SIP, after the cases of RFC 5118 with messages of our own.

use crate::exercise;

use sip::{Contacts, Message, Uri};

/// A request to this Request-URI with these Via and Contact.
fn request(uri: &str, via: &str, contact: &str) -> String {
    format!(
        "OPTIONS {uri} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {via};branch=z9hG4bK-six\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:berta@[2001:db8::4]>;tag=b1\r\n\
         To: <sip:anna@[2001:db8::7]:5070>\r\n\
         Call-ID: six@[2001:db8::4]\r\n\
         CSeq: 6 OPTIONS\r\n\
         Contact: <{contact}>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

fn read(text: &str) -> Message {
    let message = exercise::message(text.as_bytes()).expect("a message that parses");
    message.validate().expect("a message that passes");
    message
}

#[test]
fn an_ipv6_reference_stands_wherever_a_host_may() {
    // RFC 5118 §4.1, §4.4, §4.6, §4.7, §4.9.
    let table = [
        ("sip:[2001:db8::10]", "[2001:db8::10]", None),
        ("sip:[2001:db8::10]:5070", "[2001:db8::10]", Some(5070)),
        // §4.3: perhaps meant as a port, but it is none.
        ("sip:[2001:db8::10:5070]", "[2001:db8::10:5070]", None),
        (
            "sip:anna:pw@[::ffff:192.0.2.1]:5070;lr",
            "[::ffff:192.0.2.1]",
            Some(5070),
        ),
        (
            "sips:anna@[2001:DB8:0:0:0:0:0:1]",
            "[2001:DB8:0:0:0:0:0:1]",
            None,
        ),
    ];
    for (uri, host, port) in table {
        let message = read(&request(uri, &format!("{host}:5061"), uri));
        let parsed = Uri::parse(message.request_uri()).unwrap();
        assert_eq!((parsed.host, parsed.port), (host, port), "{uri}");
        let via = message.top_via().unwrap();
        assert_eq!((via.host, via.port), (host, Some(5061)), "{uri}");
        let Ok(Contacts::List(contacts)) = message.contacts() else {
            panic!("{uri}")
        };
        assert_eq!(contacts[0].uri, parsed, "{uri}");
        assert_eq!(message.to().unwrap().uri.port, Some(5070));
    }
}

#[test]
fn an_ipv6_address_without_brackets_is_refused() {
    // RFC 5118 §4.2.
    for uri in [
        "sip:2001:db8::10",
        "sip:anna@2001:db8::10",
        "sip:[2001:db8::10",
        "sip:[2001:db8::10]x",
        "sip:[]",
        "sip:[host]",
    ] {
        let text = request(uri, "[2001:db8::9:1]", "sip:berta@[2001:db8::4]");
        let error = exercise::message(text.as_bytes())
            .unwrap()
            .validate()
            .unwrap_err();
        assert_eq!(
            (error.status, error.reason),
            (400, "Malformed Request-URI"),
            "{uri}"
        );
    }
    let text = request(
        "sip:[2001:db8::10]",
        "2001:db8::9:1",
        "sip:berta@[2001:db8::4]",
    );
    let error = exercise::message(text.as_bytes())
        .unwrap()
        .validate()
        .unwrap_err();
    assert_eq!(error.reason, "Malformed Via Header Field");
}

#[test]
fn received_may_have_brackets_or_not() {
    // RFC 5118 §4.5.
    for written in ["[2001:db8::9:255]", "2001:db8::9:255"] {
        let via = format!("[2001:db8::9:1];received={written};rport=5062");
        let message = read(&request(
            "sip:[2001:db8::10]",
            &via,
            "sip:berta@[2001:db8::4]",
        ));
        let via = message.top_via().unwrap();
        assert_eq!(
            (via.received(), via.rport()),
            (Some("2001:db8::9:255"), Some(Some(5062)))
        );
    }
}

#[test]
fn the_third_colon_of_the_old_grammar_is_tolerated() {
    // RFC 5118 §4.10.
    for host in ["[2001:db8:::192.0.2.1]", "[2001:db8::192.0.2.1]"] {
        read(&request(
            &format!("sip:anna@{host}"),
            host,
            &format!("sip:berta@{host}"),
        ));
    }
    let one = Uri::parse("sip:anna@[2001:db8:::192.0.2.1]").unwrap();
    assert!(one.is_equivalent(&Uri::parse("sip:anna@[2001:db8::c000:201]").unwrap()));
}
