//! What holds of every message, not only of those that someone thought of.

use proptest::prelude::*;

use bytes::Bytes;
use sip::{Contacts, Edit, HeaderName, Limits, Message, Uri};

use crate::exercise;

/// A value of a header field: any octets, folded now and then, but no line end of its own.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(
            any::<u8>().prop_filter("no line end", |octet| !matches!(octet, b'\r' | b'\n')),
            0..12
        ),
        Just(b"\r\n ".to_vec()),
        Just(b"\r\n\t".to_vec()),
        Just(b", ".to_vec()),
        Just(b"\"quoted, with comma\"".to_vec()),
        Just(b"<sip:anna@reveille.example;lr>".to_vec()),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// Names that we know, that we do not, in odd cases and compact, with blanks before the colon.
fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "Via",
        "v",
        "VIA ",
        "Route",
        "Record-Route",
        "Contact",
        "m\t",
        "From",
        "t",
        "Call-ID",
        "Subject",
        "X-Odd",
        "x-odd",
        "P-Unknown+Header",
        "Max-Forwards",
        "Supported",
        "k",
    ])
}

/// A message of such fields, which parses but is hardly ever valid.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let start = prop::sample::select(vec![
        "INVITE sip:anna@reveille.example SIP/2.0",
        "odd-METHOD tel:+49301;x=y SIP/2.0",
        "SIP/2.0 183 Session Progress",
        "SIP/2.0 200 ",
    ]);
    let fields = prop::collection::vec((name(), value()), 0..12);
    (start, fields, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(start, fields, body)| {
        let mut octets = format!("{start}\r\n").into_bytes();
        for (name, value) in fields {
            octets.extend_from_slice(name.as_bytes());
            octets.push(b':');
            octets.extend_from_slice(&value);
            octets.extend_from_slice(b"\r\n");
        }
        octets.extend_from_slice(format!("Content-Length:{}\r\n\r\n", body.len()).as_bytes());
        octets.extend_from_slice(&body);
        octets
    })
}

proptest! {
    #[test]
    fn every_message_survives_forwarding_with_nothing_else_changed(octets in message()) {
        let parsed = exercise::message(&octets).expect("fields of any octets parse");
        prop_assert_eq!(&parsed.bytes()[..], &octets[..]);
    }

    #[test]
    fn any_octets_at_all_do_no_harm(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = exercise::message(&octets);
        exercise::framer(&octets);
    }

    #[test]
    fn a_stream_gives_the_same_messages_however_it_is_cut(
        messages in prop::collection::vec(message(), 0..4),
        first in any::<u8>(),
    ) {
        let stream = [vec![first], messages.join(&b"\r\n\r\n"[..])].concat();
        exercise::framer(&stream);
    }

    #[test]
    fn a_value_that_is_not_utf_8_hides_no_other_header_field(octets in value(), place in 0_usize..5) {
        let mut fields = vec![
            b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1".to_vec(),
            b"From: <sip:b@reveille.example>;tag=1".to_vec(),
            b"To: <sip:a@reveille.example>".to_vec(),
            b"Call-ID: c1".to_vec(),
            b"CSeq: 1 OPTIONS".to_vec(),
        ];
        fields.insert(place, [b"Subject: \xff\xfe", &octets[..]].concat());
        let text = [&b"OPTIONS sip:a@reveille.example SIP/2.0\r\n"[..], &fields.join(&b"\r\n"[..]), b"\r\n\r\n"].concat();
        let parsed = exercise::message(&text).expect("it parses");
        prop_assert_eq!(parsed.validate(), Ok(()));
    }

    #[test]
    fn display_names_of_any_kind_split_no_contact(display in "[a-zA-Z0-9,;<>@: äß\\\\\"]{0,20}", count in 1_usize..4) {
        let quoted = format!("\"{}\"", display.replace('\\', "\\\\").replace('"', "\\\""));
        let list = vec![format!("{quoted} <sip:anna@192.0.2.7;x=1>;q=0.5"); count].join(" ,");
        let text = format!("SIP/2.0 200 OK\r\nContact: {list}\r\n\r\n");
        let parsed = exercise::message(text.as_bytes()).expect("it parses");
        let Ok(Contacts::List(contacts)) = parsed.contacts() else { panic!("contacts") };
        prop_assert_eq!(contacts.len(), count);
        for contact in contacts {
            prop_assert_eq!(contact.display_name().expect("a name"), display.as_str());
        }
    }

    #[test]
    fn a_uri_is_put_together_as_it_was_taken_apart(
        user in "([a-z0-9;?/&=+$,_.!~*'()-]|%[0-9a-f]{2}){1,12}",
        password in prop::option::of("[a-z0-9&=+$,]{0,6}"),
        host in "[a-z0-9]{1,8}(\\.[a-z]{2,4}){0,2}",
        port in prop::option::of(1_u16..),
        params in "(;[a-z]{1,6}(=[a-z0-9:&/+$%-]{1,8})?){0,4}",
        headers in prop::option::of("[a-z]{1,4}=[a-z0-9%]{0,6}"),
    ) {
        let login = match &password {
            Some(password) => format!("{user}:{password}"),
            None => user.clone(),
        };
        let at_port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let query = headers.as_ref().map(|headers| format!("?{headers}")).unwrap_or_default();
        let text = format!("sip:{login}@{host}{at_port}{params}{query}");
        let uri = Uri::parse(&text).expect("it parses");
        prop_assert_eq!(uri.user, Some(user.as_str()));
        prop_assert_eq!(uri.password, password.as_deref());
        prop_assert_eq!((uri.host, uri.port), (host.as_str(), port));
        prop_assert_eq!(uri.params.raw(), params.as_bytes());
        prop_assert_eq!(uri.headers, headers.as_deref());
        prop_assert_eq!(uri.to_string(), text.as_str());
        prop_assert!(uri.is_equivalent(&uri));
    }

    #[test]
    fn popping_all_vias_one_by_one_leaves_none(values in prop::collection::vec(prop::collection::vec("[a-z]{1,5}", 1..4), 1..5)) {
        let mut text = b"SIP/2.0 200 OK\r\n".to_vec();
        for line in &values {
            text.extend_from_slice(format!("Via: {}\r\nX: y\r\n", line.join(" , ")).as_bytes());
        }
        text.extend_from_slice(b"\r\n");
        let mut parsed = Message::parse(Bytes::from(text), &Limits::default()).expect("it parses");
        for via in values.concat() {
            prop_assert_eq!(parsed.values(HeaderName::Via).next(), Some(via.as_bytes()));
            parsed = Edit::new(&parsed).remove_first_value(HeaderName::Via).finish();
        }
        prop_assert!(!parsed.has(HeaderName::Via));
        prop_assert_eq!(parsed.headers(HeaderName::Other("x")).count(), values.len());
    }
}
