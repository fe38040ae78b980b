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
