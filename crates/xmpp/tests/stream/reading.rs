//! What is read of a stream that is as it should be.

use xmpp::ns;
use xmpp::xml::{Context, Element, Header, Item, Limits, Reader, StreamCondition, document};

use crate::exercise;

pub(crate) const HEADER: &str = "<?xml version='1.0'?><stream:stream from='a@reveille.example' \
    to='reveille.example' version='1.0' xml:lang='de' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

const MESSAGE: &str = "<message to='b@reveille.example' xml:lang='en' x:unknown='1' xmlns:x='urn:example:x'>\
    <body>one &amp; <![CDATA[<two>]]> &#x1F600;</body><body xml:lang='de'>eins</body>\
    <x:thing a='x:mentioned'/><none xmlns=''/></message>";

fn items(stream: &str) -> Vec<Item> {
    let (items, error) = exercise::items(stream.as_bytes(), stream.len());
    assert_eq!(error, None, "{stream}");
    items
}

fn element(items: &[Item], at: usize) -> &Element {
    match &items[at] {
        Item::Element(element) => element,
        other => panic!("{other:?}"),
    }
}

fn header(items: &[Item]) -> &Header {
    match &items[0] {
        Item::Open(header) => header,
        other => panic!("{other:?}"),
    }
}

fn written(element: &Element) -> String {
    String::from_utf8(element.to_octets(Context::CLIENT)).expect("text")
}

#[test]
fn a_stream_cut_anywhere_gives_the_same_items() {
    let stream = format!(
        "{HEADER}\n<presence/>{MESSAGE} <iq type='get'\t id='1' ><q xmlns='u'/></iq >\r\n</stream:stream>"
    );
    let expected = items(&stream);
    assert_eq!(expected.len(), 8);
    assert_eq!(expected[7], Item::Close);
    for cut in 1..stream.len() {
        let mut reader = Reader::new(Limits::default());
        let mut got = Vec::new();
        for piece in [&stream.as_bytes()[..cut], &stream.as_bytes()[cut..]] {
            reader.push(piece);
            while let Some(item) = reader.next().unwrap() {
                got.push(item);
            }
        }
        got.dedup_by(|one, other| (&*one, &*other) == (&Item::KeepAlive, &Item::KeepAlive));
        assert_eq!(got, expected, "cut at {cut}");
        assert!(!reader.is_midway());
    }
    assert_eq!(
        exercise::items(stream.as_bytes(), 1).0.len(),
        9,
        "octet by octet"
    );
}

#[test]
fn a_header_says_who_wants_what() {
    let items = items(HEADER);
    let header = header(&items);
    assert_eq!(header.to(), Some("reveille.example"));
    assert_eq!(header.from(), Some("a@reveille.example"));
    assert_eq!((header.id(), header.lang()), (None, Some("de")));
    assert_eq!(header.version(), Some((1, 0)));
    assert_eq!(header.default_namespace(), Some(ns::CLIENT));
    assert!(header.element().is(ns::STREAM, "stream"));
    let prefixes: Vec<_> = header.element().declarations().collect();
    assert_eq!(prefixes, [("", ns::CLIENT), ("stream", ns::STREAM)]);
}

#[test]
fn an_element_is_routed_without_loss() {
    let items = items(&format!("{HEADER}{MESSAGE}"));
    let message = element(&items, 1);
    assert_eq!(message.lang(), Some("en"));
    assert_eq!(message.attr_in("urn:example:x", "unknown"), Some("1"));
    assert_eq!(
        message.child(ns::CLIENT, "body").unwrap().text(),
        "one & <two> \u{1F600}"
    );
    assert_eq!(
        message
            .children()
            .filter(|child| child.local() == "body")
            .count(),
        2
    );
    assert!(message.child("urn:example:x", "thing").is_some());
    assert!(message.child(ns::NONE, "none").is_some());
    assert_eq!(
        written(message),
        "<message xmlns:x='urn:example:x' to='b@reveille.example' xml:lang='en' x:unknown='1'>\
         <body>one &amp; &lt;two&gt; \u{1F600}</body><body xml:lang='de'>eins</body>\
         <x:thing a='x:mentioned'/><none xmlns=''/></message>"
    );
    exercise::written_and_read_again(message);
}

#[test]
fn a_prefix_of_the_header_is_declared_where_the_stanza_goes() {
    let header = HEADER.replace(
        "xmlns=",
        "xmlns:x='urn:example:x' xmlns:y='urn:example:y' xmlns=",
    );
    let items = items(&format!(
        "{header}<presence><x:a x:b='1'/></presence><presence><a b='y:c'/></presence><presence/>"
    ));
    let expected = [
        "<presence><x:a xmlns:x='urn:example:x' x:b='1'/></presence>",
        // Only its reader knows whether this is a prefix, so it is kept.
        "<presence xmlns:y='urn:example:y'><a b='y:c'/></presence>",
        "<presence/>",
    ];
    for (at, expected) in expected.into_iter().enumerate() {
        assert_eq!(written(element(&items, at + 1)), expected);
    }
}

#[test]
fn a_prefix_of_the_content_namespace_is_taken_off() {
    // RFC 6120 §4.8.5.
    let stanza = "<foo:message xmlns:foo='jabber:client'><foo:body>foo</foo:body></foo:message>";
    let items = items(&format!("{HEADER}{stanza}"));
    let expected = "<message xmlns:foo='jabber:client'><body>foo</body></message>";
    assert_eq!(written(element(&items, 1)), expected);
}

#[test]
fn a_stream_without_a_content_namespace_is_read_as_well() {
    // RFC 6120 §4.8.2.
    let stream = "<stream xmlns='http://etherx.jabber.org/streams'><message xmlns='jabber:client'><body/></message></stream>";
    let items = items(stream);
    assert!(element(&items, 1).child(ns::CLIENT, "body").is_some());
    assert_eq!(written(element(&items, 1)), "<message><body/></message>");
    assert_eq!(items[2], Item::Close);
}

#[test]
fn white_space_is_a_sign_of_life_between_elements_and_content_inside() {
    let items = items(&format!(
        "{HEADER} \r\n<message> <body> </body>\n</message>\t"
    ));
    assert_eq!(items.len(), 4);
    assert_eq!((&items[1], &items[3]), (&Item::KeepAlive, &Item::KeepAlive));
    assert_eq!(element(&items, 2).nodes().len(), 3);
}

#[test]
fn a_reader_is_midway_in_an_element_only() {
    let mut reader = Reader::new(Limits::default());
    for (piece, midway) in [
        ("", false),
        ("<", true),
        (&HEADER[1..], false),
        (" ", false),
        ("<presence", true),
        ("/>", false),
        ("<presence></presence", true),
        (">", false),
        ("</stream:stream", true),
        (">", false),
    ] {
        reader.push(piece.as_bytes());
        while reader.next().unwrap().is_some() {}
        assert_eq!(reader.is_midway(), midway, "{piece}");
    }
}

#[test]
fn what_follows_the_end_of_a_stream_is_not_looked_at() {
    let items = items(&format!("{HEADER}</stream:stream><<<\u{0}"));
    assert_eq!(items.len(), 2);
}

#[test]
fn octets_behind_the_last_element_belong_to_the_new_stream() {
    let mut reader = Reader::new(Limits::before_authentication());
    reader.push(format!("{HEADER}<auth/>{HEADER}<presence/>").as_bytes());
    assert!(matches!(reader.next(), Ok(Some(Item::Open(_)))));
    assert!(matches!(reader.next(), Ok(Some(Item::Element(_)))));
    reader.restart();
    reader.set_limits(Limits::default());
    assert!(matches!(reader.next(), Ok(Some(Item::Open(_)))));
    assert!(matches!(reader.next(), Ok(Some(Item::Element(_)))));
    assert_eq!(reader.next(), Ok(None));
}

#[test]
fn nothing_may_follow_starttls_in_the_clear() {
    let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    for (behind, is_refused) in [
        ("", false),
        ("<auth/>", true),
        (HEADER, true),
        ("\n<auth/>", true),
        ("\0", true),
        // What several clients send.
        ("\n", false),
    ] {
        let mut reader = Reader::new(Limits::before_authentication());
        reader.push(format!("{HEADER}{starttls}{behind}").as_bytes());
        assert!(matches!(reader.next(), Ok(Some(Item::Open(_)))));
        assert!(matches!(reader.next(), Ok(Some(Item::Element(_)))));
        assert_eq!(reader.restart_for_tls().is_err(), is_refused, "{behind}");
        assert_eq!(reader.next(), Ok(None), "{behind} is gone");
        reader.push(HEADER.as_bytes());
        assert!(matches!(reader.next(), Ok(Some(Item::Open(_)))));
    }
}

#[test]
fn a_message_of_a_websocket_is_one_document() {
    let limits = Limits::default();
    let message = document(
        b"<message xmlns='jabber:client'><body>a</body></message>\n",
        &limits,
    );
    assert_eq!(
        message.unwrap().child(ns::CLIENT, "body").unwrap().text(),
        "a"
    );
    let open = document(
        b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='x' version='1.0'/>",
        &limits,
    );
    assert_eq!(
        Header::of_websocket(&open.unwrap()).unwrap().to(),
        Some("x")
    );
    for (octets, condition) in [
        (&b""[..], StreamCondition::BadFormat),
        (b" <a/>", StreamCondition::BadFormat),
        (b"<a/><b/>", StreamCondition::NotWellFormed),
        (b"<a/>text", StreamCondition::NotWellFormed),
        (b"<a>", StreamCondition::NotWellFormed),
        (b"<a", StreamCondition::NotWellFormed),
        (b"<stream:features/>", StreamCondition::NotWellFormed),
        (b"<!DOCTYPE a><a/>", StreamCondition::RestrictedXml),
    ] {
        let error = document(octets, &limits).unwrap_err();
        assert_eq!(
            error.condition,
            condition,
            "{}",
            String::from_utf8_lossy(octets)
        );
    }
}
