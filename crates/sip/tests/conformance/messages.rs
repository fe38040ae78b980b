//! Reading and changing whole messages, as a peer would see it on the wire.

use bytes::Bytes;
use sip::{Edit, HeaderName, Limits, Message, Method, RequestBuilder, ResponseBuilder};

fn parse(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::default())
        .expect("a well-formed message")
}

const INVITE: &str = "INVITE sip:anna@reveille.example SIP/2.0\r\n\
    v: SIP/2.0/UDP 192.0.2.4:5070;branch=z9hG4bK77;rport, SIP/2.0/TCP [2001:db8::9]:5060;branch=z9hG4bK76\r\n\
    Max-Forwards: 69\r\n\
    f: \"Berta, of Accounts\" <sip:berta@reveille.example>;tag=1928\r\n\
    t: <sip:anna@reveille.example>\r\n\
    i: 843817637684230@998sdasdh09\r\n\
    CSeq: 314159 INVITE\r\n\
    m: \"Berta, at her desk\" <sip:berta@192.0.2.4:5070;pn-provider=apns>;+sip.instance=\"<urn:uuid:1>\"\r\n\
    X-Odd:   kept   as it is \r\n\
    l: 3\r\n\
    \r\n\
    abc";

#[test]
fn compact_forms_are_the_same_header_fields() {
    let invite = parse(INVITE);
    invite.validate().unwrap();
    assert_eq!(invite.method(), Some(Method::Invite));
    assert_eq!(invite.vias().count(), 2);
    assert_eq!(invite.top_via().unwrap().branch(), Some("z9hG4bK77"));
    assert_eq!(invite.top_via().unwrap().rport(), Some(None));
    assert_eq!(invite.from().unwrap().tag(), Some("1928"));
    assert_eq!(invite.body(), b"abc");
}

#[test]
fn a_comma_in_quotes_does_not_split_a_contact() {
    let invite = parse(INVITE);
    let sip::Contacts::List(contacts) = invite.contacts().unwrap() else {
        panic!("no star")
    };
    assert_eq!(contacts.len(), 1);
    assert_eq!(contacts[0].display_name().unwrap(), "Berta, at her desk");
    assert_eq!(contacts[0].param("+sip.instance"), Some("<urn:uuid:1>"));
    assert_eq!(contacts[0].uri.param("pn-provider"), Some("apns"));
}

#[test]
fn a_prepended_via_leaves_every_other_octet_unchanged() {
    let forwarded = Edit::new(&parse(INVITE))
        .prepend(HeaderName::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx")
        .finish();
    let expected = INVITE.replacen(
        "\r\n",
        "\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n",
        1,
    );
    assert_eq!(forwarded.bytes(), expected.as_bytes());
    assert_eq!(forwarded.vias().count(), 3);
}

#[test]
fn the_top_via_is_popped_out_of_a_comma_list() {
    let popped = Edit::new(&parse(INVITE))
        .remove_first_value(HeaderName::Via)
        .finish();
    let expected = INVITE.replacen("SIP/2.0/UDP 192.0.2.4:5070;branch=z9hG4bK77;rport, ", "", 1);
    assert_eq!(popped.bytes(), expected.as_bytes());
}

#[test]
fn a_response_copies_what_the_rfc_names_and_gets_a_tag() {
    let ringing = ResponseBuilder::to(&parse(INVITE), 180, "Ringing")
        .to_tag("b7")
        .build();
    assert_eq!(ringing.status(), Some(180));
    assert_eq!(ringing.vias().count(), 2);
    assert_eq!(ringing.to().unwrap().tag(), Some("b7"));
    assert_eq!(
        parse(std::str::from_utf8(ringing.bytes()).unwrap()),
        ringing
    );
}

#[test]
fn a_built_request_reads_back() {
    let options = RequestBuilder::new(Method::Options, "sip:reveille.example")
        .header(HeaderName::Subject, "one\r\nX-Smuggled: yes")
        .body("text/plain", b"hello")
        .build();
    let again = parse(std::str::from_utf8(options.bytes()).unwrap());
    assert_eq!(again.body(), b"hello");
    assert_eq!(again.max_forwards(), Ok(Some(70)));
    assert!(!again.has(HeaderName::Other("X-Smuggled")));
}

#[test]
fn a_comma_in_a_user_part_does_not_split_a_contact() {
    let answer =
        parse("SIP/2.0 200 OK\r\nm: <sip:anna,desk@192.0.2.7>, sip:berta@192.0.2.8\r\n\r\n");
    let users: Vec<_> = answer
        .addresses(HeaderName::Contact)
        .map(|contact| contact.unwrap().uri.user.unwrap().to_owned())
        .collect();
    assert_eq!(users, ["anna,desk", "berta"]);
}

#[test]
fn numbers_are_read_up_to_their_bounds() {
    let cseq = |value: &str| {
        parse(&format!("SIP/2.0 200 OK\r\nCSeq: {value}\r\n\r\n"))
            .cseq()
            .map(|cseq| cseq.number)
            .ok()
    };
    assert_eq!(cseq("2147483647 INVITE"), Some(2_147_483_647));
    for value in [
        "2147483648 INVITE",
        "-1 INVITE",
        "1",
        "1INVITE",
        "INVITE 1",
        "1 IN VITE",
        "+1 INVITE",
        "",
    ] {
        assert_eq!(cseq(value), None, "{value}");
    }
    let hops = |value: &str| {
        parse(&format!("SIP/2.0 200 OK\r\nMax-Forwards: {value}\r\n\r\n"))
            .max_forwards()
            .ok()
    };
    assert_eq!(hops("255"), Some(Some(255)));
    for value in ["256", "-1", "", "7 0"] {
        assert_eq!(hops(value), None, "{value}");
    }
}

#[test]
fn the_same_header_field_twice_with_one_value_is_not_ambiguous() {
    let twice = |one: &str, other: &str| {
        let text = INVITE.replace("CSeq: 314159 INVITE\r\n", &format!("{one}\r\n{other}\r\n"));
        Message::parse(Bytes::from(text), &Limits::default()).and_then(|message| message.validate())
    };
    let cseq = "CSeq: 314159 INVITE";
    assert_eq!(twice(cseq, cseq), Ok(()));
    assert_eq!(
        twice(cseq, "CSEQ: 314160 INVITE").unwrap_err().reason,
        "Several CSeq Header Fields"
    );
    assert_eq!(twice(cseq, "Content-Length: 3"), Ok(()));
    assert_eq!(twice(cseq, "Content-Length: 2").unwrap_err().status, 400);
}

#[test]
fn limits_are_kept_and_named() {
    let limits = Limits {
        message_bytes: 900,
        start_line_bytes: 100,
        header_bytes: 80,
        header_count: 5,
    };
    let refusal = |fields: &str, uri: &str| {
        let text = format!("OPTIONS sip:{uri} SIP/2.0\r\n{fields}\r\n");
        Message::parse(Bytes::from(text), &limits)
            .err()
            .map(|error| (error.status, error.reason))
    };
    assert_eq!(refusal(&"X: y\r\n".repeat(5), "a"), None);
    assert_eq!(
        refusal(&"X: y\r\n".repeat(6), "a"),
        Some((400, "Too Many Header Fields"))
    );
    assert_eq!(refusal(&format!("X: {}\r\n", "y".repeat(77)), "a"), None);
    assert_eq!(
        refusal(&format!("X: {}\r\n", "y".repeat(78)), "a"),
        Some((400, "Header Field Too Long"))
    );
    assert_eq!(
        refusal(&format!("X: {}\r\n", "y\r\n ".repeat(30)), "a"),
        Some((400, "Header Field Too Long"))
    );
    assert_eq!(refusal("", &"a".repeat(80)), None);
    assert_eq!(
        refusal("", &"a".repeat(81)),
        Some((414, "Request-URI Too Long"))
    );
    assert_eq!(
        refusal(&"X: y\r\n".repeat(200), "a"),
        Some((513, "Message Too Large"))
    );
}

#[test]
fn a_line_end_that_others_may_see_differently_is_refused() {
    for broken in [
        "Subject: a\nContent-Length: 9",
        "Subject: a\rb",
        "Subject: a\r\r\n b",
        "Subject\n: a",
    ] {
        let text = INVITE.replace("X-Odd:   kept   as it is ", broken);
        let error = Message::parse(Bytes::from(text), &Limits::default()).unwrap_err();
        assert_eq!(
            (error.status, error.reason),
            (400, "Bare CR or LF in Header Field"),
            "{broken:?}"
        );
    }
}

#[test]
fn header_fields_are_set_in_place_and_values_changed_one_by_one() {
    let changed = Edit::new(&parse(INVITE))
        .set(HeaderName::MaxForwards, "68")
        .set(HeaderName::Subject, "new")
        .map_values(HeaderName::Via, |via| {
            via.ends_with(b"76")
                .then(|| b"SIP/2.0/TCP other".to_vec().into())
        })
        .remove_all(HeaderName::Other("x-odd"))
        .finish();
    let expected = INVITE
        .replace("Max-Forwards: 69", "Max-Forwards: 68")
        .replace(
            "SIP/2.0/TCP [2001:db8::9]:5060;branch=z9hG4bK76",
            "SIP/2.0/TCP other",
        )
        .replace("X-Odd:   kept   as it is \r\n", "")
        .replace("l: 3\r\n", "l: 3\r\nSubject: new\r\n");
    assert_eq!(changed.bytes(), expected.as_bytes());
}

#[test]
fn no_value_smuggles_in_a_header_field() {
    let evil = " x\r\nEvil: yes\r\n\r\n ";
    let request = parse(INVITE);
    let messages = [
        Edit::new(&request)
            .set(HeaderName::MaxForwards, evil)
            .finish(),
        Edit::new(&request).set(HeaderName::Subject, evil).finish(),
        Edit::new(&request)
            .prepend(HeaderName::Route, evil)
            .append(HeaderName::Reason, evil)
            .finish(),
        Edit::new(&request)
            .replace_first_value(HeaderName::Via, evil)
            .finish(),
        Edit::new(&request)
            .map_values(HeaderName::Contact, |_| Some(evil.as_bytes().into()))
            .finish(),
        Edit::new(&request)
            .request_uri("sip:a SIP/2.0\r\nEvil: yes")
            .finish(),
        RequestBuilder::new(Method::Other("A\r\nEvil:"), "sip:a")
            .header(HeaderName::Subject, evil)
            .build(),
        ResponseBuilder::to(&request, 200, evil)
            .to_tag(evil)
            .header(HeaderName::Subject, evil)
            .body(evil, b"")
            .build(),
    ];
    for message in messages {
        let again = Message::parse(message.bytes().clone(), &Limits::default()).unwrap();
        assert!(!again.has(HeaderName::Other("Evil")), "{message:?}");
        assert!(again.all_headers().eq(message.all_headers()), "{message:?}");
    }
}
