//! What is no XMPP, and the stream error that RFC 6120 §4.9.3 has for it.

use std::fmt::Write as _;

use crate::HEADER;

/// A header of a client, with something else in place of a part of it.
fn header_but(part: &str, other: &str) -> String {
    let header = HEADER.replace(part, other);
    assert_ne!(header, HEADER);
    header
}

fn nested(name: &str, depth: usize) -> String {
    format!("<{name}>").repeat(depth)
}

fn attributes(count: usize) -> String {
    let mut element = "<message".to_owned();
    for number in 0..count {
        let _ = write!(element, " a{number}=''");
    }
    element + "/>"
}

/// What makes up the first octets of a stream, and how it ends.
pub fn openings() -> Vec<(String, &'static str)> {
    let stream = "http://etherx.jabber.org/streams";
    vec![
        (
            header_but("to='localhost'", "to='elsewhere.example'"),
            "host-unknown",
        ),
        (
            header_but("'jabber:client'", "'jabber:server'"),
            "invalid-namespace",
        ),
        (
            header_but(stream, "urn:example:streams"),
            "invalid-namespace",
        ),
        (
            header_but(" version='1.0' xmlns=", " xmlns="),
            "unsupported-version",
        ),
        (header_but("<stream:stream", "<stream:river"), "bad-format"),
        (
            header_but(
                "<stream:stream",
                "<!DOCTYPE a [<!ENTITY b 'c'>]><stream:stream",
            ),
            "restricted-xml",
        ),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            "not-well-formed",
        ),
        (
            "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}".to_owned(),
            "not-well-formed",
        ),
        (
            header_but("to='localhost'", &format!("to='{}'", "a".repeat(20_000))),
            "policy-violation",
        ),
    ]
}

/// What comes behind a header, and how the stream ends.
pub fn elements() -> Vec<(Vec<u8>, &'static str)> {
    let texts = [
        (
            "<message to='bob@localhost'><body>a</iq>".to_owned(),
            "not-well-formed",
        ),
        ("<a b='1' b='2'/>".to_owned(), "not-well-formed"),
        ("<!-- nothing -->".to_owned(), "restricted-xml"),
        ("<?php evil() ?>".to_owned(), "restricted-xml"),
        (
            "<!DOCTYPE a [<!ENTITY b 'c'>]>".to_owned(),
            "restricted-xml",
        ),
        (
            "<message><body>&lol9;</body></message>".to_owned(),
            "restricted-xml",
        ),
        (nested("a", 4_000), "policy-violation"),
        (attributes(4_000), "policy-violation"),
        (
            format!("<a b='{}'/>", "c".repeat(400_000)),
            "policy-violation",
        ),
        (
            format!("<message><body>{}</body></message>", "c".repeat(400_000)),
            "policy-violation",
        ),
        (
            format!("<message>{}</message>", "<a/>".repeat(20_000)),
            "policy-violation",
        ),
    ];
    let texts = texts.map(|(text, condition)| (text.into_bytes(), condition));
    let octets: [(&[u8], _); 3] = [
        (
            b"<message><body>\xff\xfe</body></message>",
            "unsupported-encoding",
        ),
        // The first half of a surrogate, and a slash in two octets.
        (
            b"<message><body>\xed\xa0\x80</body></message>",
            "unsupported-encoding",
        ),
        (
            b"<message><body>\xc0\xaf</body></message>",
            "unsupported-encoding",
        ),
    ];
    let octets = octets.map(|(octets, condition)| (octets.to_vec(), condition));
    texts.into_iter().chain(octets).collect()
}
