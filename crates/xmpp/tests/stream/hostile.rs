//! What a peer may try, and what it is told (RFC 6120 §4.9.3, §11).

use xmpp::xml::{Item, Limits, Reader, StreamCondition, document};

use crate::reading::HEADER;

use StreamCondition::{
    BadFormat, NotWellFormed, PolicyViolation, RestrictedXml, UnsupportedEncoding,
};

fn nested(depth: usize) -> Vec<u8> {
    ["<a>".repeat(depth), "</a>".repeat(depth)].concat().into()
}

fn many(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect()
}

const BOMB: &[u8] = b"<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;&b;\">]><a>&c;</a>";

/// What comes behind a good header, and how the stream ends.
const SMALL: &[(&str, &[u8], StreamCondition)] = &[
    ("a document type", BOMB, RestrictedXml),
    ("an entity", b"<a>&c;</a>", RestrictedXml),
    ("an entity in a value", b"<a b='&c;'/>", RestrictedXml),
    ("a comment", b"<a><!-- b --></a>", RestrictedXml),
    ("a comment between", b"<!-- b -->", RestrictedXml),
    ("a processing instruction", b"<?b c?>", RestrictedXml),
    (
        "another declaration",
        b"<?xml version='1.0'?>",
        RestrictedXml,
    ),
    ("invalid UTF-8", b"<a>\xff\xfe</a>", UnsupportedEncoding),
    (
        "invalid UTF-8 in a value",
        b"<a b='\xc3('/>",
        UnsupportedEncoding,
    ),
    (
        "half a surrogate",
        b"<a>\xed\xa0\x80</a>",
        UnsupportedEncoding,
    ),
    ("overlong UTF-8", b"<a>\xc0\xbc</a>", UnsupportedEncoding),
    ("a NUL", b"<a>\0</a>", NotWellFormed),
    ("a control character", b"<a>\x1b</a>", NotWellFormed),
    ("U+FFFF", b"<a>\xef\xbf\xbf</a>", NotWellFormed),
    (
        "a reference to a control character",
        b"<a>&#x1;</a>",
        NotWellFormed,
    ),
    (
        "a reference to a surrogate",
        b"<a>&#xD800;</a>",
        NotWellFormed,
    ),
    (
        "a reference beyond Unicode",
        b"<a>&#x110000;</a>",
        NotWellFormed,
    ),
    ("an unbound prefix", b"<b:a/>", NotWellFormed),
    (
        "an unbound prefix of an attribute",
        b"<a b:c=''/>",
        NotWellFormed,
    ),
    (
        "a prefix bound elsewhere",
        b"<a><b xmlns:c='u'/><c:d/></a>",
        NotWellFormed,
    ),
    (
        "the same attribute twice",
        b"<a b='1' b='2'/>",
        NotWellFormed,
    ),
    (
        "the same attribute by two prefixes",
        b"<a xmlns:b='u' xmlns:c='u' b:d='1' c:d='2'/>",
        NotWellFormed,
    ),
    (
        "the same declaration twice",
        b"<a xmlns:b='u' xmlns:b='u'/>",
        NotWellFormed,
    ),
    (
        "the same default twice",
        b"<a xmlns='u' xmlns='u'/>",
        NotWellFormed,
    ),
    ("a prefix undeclared", b"<a xmlns:b=''/>", NotWellFormed),
    (
        "the prefix xml for another",
        b"<a xmlns:xml='u'/>",
        NotWellFormed,
    ),
    (
        "another prefix for that of xml",
        b"<a xmlns:b='http://www.w3.org/XML/1998/namespace'/>",
        NotWellFormed,
    ),
    ("the prefix xmlns", b"<a xmlns:xmlns='u'/>", NotWellFormed),
    (
        "another prefix for that of xmlns",
        b"<a xmlns:b='http://www.w3.org/2000/xmlns/'/>",
        NotWellFormed,
    ),
    ("an element of prefix xmlns", b"<xmlns:a/>", NotWellFormed),
    ("a bad end tag", b"<a></b>", NotWellFormed),
    ("end tags that cross", b"<a><b></a></b>", NotWellFormed),
    ("two colons", b"<a:b:c xmlns:a='u'/>", NotWellFormed),
    ("no name", b"< a/>", NotWellFormed),
    ("a value without quotes", b"<a b=c/>", NotWellFormed),
    ("< in a value", b"<a b='<'/>", NotWellFormed),
    ("]]> in text", b"<a>]]></a>", NotWellFormed),
    ("text between", b"hello", BadFormat),
    ("text behind white space", b" \n hello", BadFormat),
    ("a reference between", b"&amp;", BadFormat),
    ("character data between", b"<![CDATA[x]]><a/>", BadFormat),
    ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00", BadFormat),
];

/// The same, of what is too much of something.
fn large() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("nesting", nested(4_000)),
        ("nesting without end", "<a>".repeat(4_000).into()),
        (
            "a giant stanza",
            format!("<a>{}</a>", "x".repeat(300_000)).into(),
        ),
        (
            "a giant attribute",
            format!("<a b='{}'/>", "x".repeat(300_000)).into(),
        ),
        ("a giant name", format!("<{}/>", "x".repeat(300_000)).into()),
        (
            "giant white space in a tag",
            format!("<a{}/>", " ".repeat(300_000)).into(),
        ),
        (
            "a giant end tag",
            format!("<a></a{}>", " ".repeat(300_000)).into(),
        ),
        (
            "an element flood",
            format!("<a>{}</a>", "<b/>".repeat(5_000)).into(),
        ),
        (
            "an attribute flood",
            format!("<a {}/>", many(100, |n| format!(" b{n}=''"))).into(),
        ),
        (
            "a flood of declarations",
            format!("<a {}/>", many(100, |n| format!(" xmlns:b{n}='u'"))).into(),
        ),
        (
            "a flood of declarations, nested",
            many(20, |n| {
                format!("<a {}>", many(10, |m| format!(" xmlns:b{n}-{m}='u'")))
            })
            .into(),
        ),
    ]
}

fn attacks() -> impl Iterator<Item = (&'static str, Vec<u8>, StreamCondition)> {
    let small = SMALL.iter().map(|row| (row.0, row.1.to_vec(), row.2));
    let large = large().into_iter();
    small.chain(large.map(|(name, attack)| (name, attack, PolicyViolation)))
}

/// The condition in which the stream ends, cut into pieces; and what a reader had to hold at most.
fn ends(stream: &[u8], piece: usize) -> Option<StreamCondition> {
    let mut reader = Reader::new(Limits::default());
    for piece in stream.chunks(piece) {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return Some(error.condition),
            }
        }
    }
    None
}

#[test]
fn every_attack_ends_the_stream_with_the_condition_that_names_it() {
    for (name, attack, condition) in attacks() {
        let stream = [HEADER.as_bytes(), &attack, b"<presence/>"].concat();
        for piece in [stream.len(), 1_000, 7] {
            assert_eq!(ends(&stream, piece), Some(condition), "{name}, by {piece}");
        }
    }
}

#[test]
fn what_ends_a_stream_ends_a_document() {
    for (name, attack, condition) in attacks() {
        if attack.starts_with(b"<") && condition != BadFormat && !name.contains("between") {
            let Err(error) = document(&attack, &Limits::default()) else {
                // A document may have a declaration, and need not be a child of anything.
                continue;
            };
            let known = [condition, NotWellFormed];
            assert!(known.contains(&error.condition), "{name}: {error}");
        }
    }
}

#[test]
fn a_header_is_bounded_and_restricted_too() {
    let long = |part: &str| HEADER.replace("version='1.0' ", part);
    for (name, stream, condition) in [
        (
            "100 kB in a value",
            long(&format!("a='{}'", "x".repeat(100_000))),
            PolicyViolation,
        ),
        (
            "100 kB of white space",
            long(&" ".repeat(100_000)),
            PolicyViolation,
        ),
        (
            "many attributes",
            long(&many(100, |n| format!("a{n}='' "))),
            PolicyViolation,
        ),
        (
            "white space that never ends",
            format!("<?xml version='1.0'?>{}", " ".repeat(5_000)),
            PolicyViolation,
        ),
        (
            "UTF-16 declared",
            HEADER.replace("'1.0'?", "'1.0' encoding='UTF-16'?"),
            UnsupportedEncoding,
        ),
        ("XML 1.1", HEADER.replacen("1.0", "1.1", 1), RestrictedXml),
        (
            "a document type",
            format!("<!DOCTYPE a>{HEADER}"),
            RestrictedXml,
        ),
        (
            "an HTTP request",
            "GET / HTTP/1.1\r\n\r\n".to_owned(),
            NotWellFormed,
        ),
        (
            "a byte order mark",
            format!("\u{feff}{HEADER}"),
            NotWellFormed,
        ),
        (
            "no prefix",
            HEADER.replace("xmlns:stream", "xmlns:s"),
            NotWellFormed,
        ),
    ] {
        for piece in [stream.len(), 1_000, 1] {
            assert_eq!(
                ends(stream.as_bytes(), piece),
                Some(condition),
                "{name}, by {piece}"
            );
        }
    }
    let utf16: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(ends(&utf16, 100).is_some());
}

#[test]
fn limits_hold_for_each_element_by_itself() {
    let mut stream = HEADER.to_owned();
    for _ in 0..100 {
        stream += "<message><body a='1' b='2'>x</body></message>";
    }
    let limits = Limits {
        bytes: 50,
        nodes: 4,
        depth: 2,
        attributes: 6,
        ..Limits::default()
    };
    let mut reader = Reader::new(limits);
    reader.push(stream.as_bytes());
    let mut elements = 0;
    while let Some(item) = reader.next().unwrap() {
        elements += usize::from(matches!(item, Item::Element(_)));
    }
    assert_eq!(elements, 100);
    reader.set_limits(Limits { nodes: 2, ..limits });
    reader.push(b"<message><body>x</body></message>");
    assert_eq!(reader.next().unwrap_err().condition, PolicyViolation);
}

/// How a stream ends that begins with this header and has this in it.
fn refused(header: &str, stanza: &str) -> Option<StreamCondition> {
    let mut reader = Reader::new(Limits::default());
    reader.push(header.as_bytes());
    reader.next().expect("a header");
    reader.push(stanza.as_bytes());
    reader.next().err().map(|error| error.condition)
}

#[test]
fn what_would_grow_when_it_is_written_again_is_refused() {
    // Each use of a prefix of the header is declared again for whoever gets it.
    let namespace = "n".repeat(3_000);
    let header = HEADER.replacen(" xmlns=", &format!(" xmlns:a='{namespace}' xmlns="), 1);
    let uses = |count| format!("<message>{}</message>", "<a:b/>".repeat(count));
    assert_eq!(refused(&header, &uses(100)), None);
    assert_eq!(refused(&header, &uses(200)), Some(PolicyViolation));
    // An apostrophe in a value is six octets then.
    let quoted = |count| {
        let value = "'".repeat(8_000);
        format!(
            "<message>{}</message>",
            format!("<b c=\"{value}\"/>").repeat(count)
        )
    };
    assert_eq!(refused(HEADER, &quoted(10)), None);
    assert_eq!(refused(HEADER, &quoted(20)), Some(PolicyViolation));
    let message = quoted(20);
    let refused = document(message.as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(refused.condition, PolicyViolation);
}

#[test]
fn whoever_has_not_signed_in_has_less_room() {
    let mut reader = Reader::new(Limits::before_authentication());
    reader.push(HEADER.as_bytes());
    reader.next().unwrap();
    let large = format!("<a>{}</a>", "x".repeat(20_000));
    reader.push(large.as_bytes());
    assert_eq!(reader.next().unwrap_err().condition, PolicyViolation);
    let mut reader = Reader::new(Limits::before_authentication());
    reader.push(HEADER.as_bytes());
    reader.next().unwrap();
    reader.set_limits(Limits::default());
    reader.push(large.as_bytes());
    assert!(matches!(reader.next(), Ok(Some(Item::Element(_)))));
}
