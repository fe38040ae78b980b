//! The tables of RFC 7622 §3.5, and our own.

use proptest::prelude::*;

use super::*;

type Legal = (
    u8,
    &'static str,
    Option<&'static str>,
    &'static str,
    Option<&'static str>,
);

/// RFC 7622 §3.5, table 1: number, address, its parts. What it says of 9 and 10 is what is equal.
const LEGAL: [Legal; 15] = [
    (1, "juliet@example.com", Some("juliet"), "example.com", None),
    (
        2,
        "juliet@example.com/foo",
        Some("juliet"),
        "example.com",
        Some("foo"),
    ),
    (
        3,
        "juliet@example.com/foo bar",
        Some("juliet"),
        "example.com",
        Some("foo bar"),
    ),
    (
        4,
        "juliet@example.com/foo@bar",
        Some("juliet"),
        "example.com",
        Some("foo@bar"),
    ),
    (
        5,
        "foo\\20bar@example.com",
        Some("foo\\20bar"),
        "example.com",
        None,
    ),
    (
        6,
        "fussball@example.com",
        Some("fussball"),
        "example.com",
        None,
    ),
    (
        7,
        "fu\u{df}ball@example.com",
        Some("fu\u{df}ball"),
        "example.com",
        None,
    ),
    (
        8,
        "\u{3c0}@example.com",
        Some("\u{3c0}"),
        "example.com",
        None,
    ),
    (
        9,
        "\u{3a3}@example.com/foo",
        Some("\u{3c3}"),
        "example.com",
        Some("foo"),
    ),
    (
        10,
        "\u{3c3}@example.com/foo",
        Some("\u{3c3}"),
        "example.com",
        Some("foo"),
    ),
    (
        11,
        "\u{3c2}@example.com/foo",
        Some("\u{3c2}"),
        "example.com",
        Some("foo"),
    ),
    (
        12,
        "king@example.com/\u{265a}",
        Some("king"),
        "example.com",
        Some("\u{265a}"),
    ),
    (13, "example.com", None, "example.com", None),
    (
        14,
        "example.com/foobar",
        None,
        "example.com",
        Some("foobar"),
    ),
    (
        15,
        "a.example.com/b@example.net",
        None,
        "a.example.com",
        Some("b@example.net"),
    ),
];

/// RFC 7622 §3.5, table 2.
const ILLEGAL: [(u8, &str, JidError); 8] = [
    (16, "\"juliet\"@example.com", JidError::Local),
    (17, "foo bar@example.com", JidError::Local),
    (18, "juliet@example.com/ foo", JidError::Resource),
    (19, "@example.com/", JidError::Local),
    (20, "henry\u{2163}@example.com", JidError::Local),
    (21, "\u{265a}@example.com", JidError::Local),
    (22, "juliet@", JidError::Domain),
    (23, "/foobar", JidError::Domain),
];

#[test]
fn the_legal_addresses_of_the_rfc_are_taken_apart() {
    for (number, text, local, domain, resource) in LEGAL {
        let jid = Jid::parse(text).unwrap_or_else(|error| panic!("{number}: {error}"));
        assert_eq!(
            (jid.local(), jid.domain(), jid.resource()),
            (local, domain, resource),
            "{number}"
        );
        assert_eq!(Jid::parse(jid.as_str()), Ok(jid), "{number}");
    }
}

#[test]
fn the_illegal_addresses_of_the_rfc_are_refused() {
    for (number, text, error) in ILLEGAL {
        assert_eq!(Jid::parse(text), Err(error), "{number}");
    }
}

#[test]
fn addresses_that_are_the_same_become_the_same_octets() {
    for (text, form) in [
        ("Juliet@EXAMPLE.com/Balcony", "juliet@example.com/Balcony"),
        ("juliet@example.com.", "juliet@example.com"),
        (
            "\u{c5}ngstr\u{f6}m@example.com",
            "\u{e5}ngstr\u{f6}m@example.com",
        ),
        ("A\u{30a}@example.com", "\u{e5}@example.com"),
        ("\u{ff4a}uliet@example.com", "juliet@example.com"),
        ("a@B\u{dc}CHER.example", "a@b\u{fc}cher.example"),
        ("a@xn--bcher-kva.example", "a@b\u{fc}cher.example"),
        ("a@XN--BCHER-KVA.example", "a@b\u{fc}cher.example"),
        ("a@[2001:DB8:0::1]/x", "a@[2001:db8::1]/x"),
        ("a@192.0.2.1", "a@192.0.2.1"),
        ("a@b/foo\u{a0}bar", "a@b/foo bar"),
        ("room@b/\u{1F600} \u{1F9D1}", "room@b/\u{1F600} \u{1F9D1}"),
        ("a@b//", "a@b//"),
    ] {
        assert_eq!(
            Jid::parse(text).map(|jid| jid.to_string()),
            Ok(form.to_owned()),
            "{text}"
        );
    }
}

#[test]
fn what_no_part_may_be_is_refused() {
    let long = "a".repeat(1024);
    for (text, error) in [
        ("", JidError::Domain),
        (&*format!("{long}@b"), JidError::Local),
        (&*format!("a@b/{long}"), JidError::Resource),
        (&*format!("a@{}", "b.".repeat(600)), JidError::Domain),
        (&*format!("a@{}", "b".repeat(64)), JidError::Domain),
        ("a@b@c", JidError::Domain),
        ("a@b..c", JidError::Domain),
        ("a@b..", JidError::Domain),
        ("a@.", JidError::Domain),
        ("a@-b", JidError::Domain),
        ("a@b-", JidError::Domain),
        ("a@b c", JidError::Domain),
        ("a@b_c", JidError::Domain),
        ("a@bc--d", JidError::Domain),
        ("a@xn--\u{fc}", JidError::Domain),
        ("a@xn--99999999", JidError::Domain),
        ("a@xn--a-", JidError::Domain),
        ("a@xn--", JidError::Domain),
        // Decodes to a capital letter, which no label has.
        ("a@xn--bung-fna.example", JidError::Domain),
        ("a@[::1", JidError::Domain),
        ("a@[192.0.2.1]", JidError::Domain),
        ("a@\u{265a}.example", JidError::Domain),
        // A full-width commercial at and a full-width solidus become separators when they are mapped.
        ("a\u{ff20}b@c", JidError::Local),
        ("a\u{ff0f}b@c", JidError::Local),
        ("a@b\u{ff0e}c", JidError::Domain),
        ("a\u{7f}@b", JidError::Local),
        ("a@b/\u{0}", JidError::Resource),
        ("a@b/\u{7f}", JidError::Resource),
        ("a@b/\u{200e}", JidError::Resource),
        // Its small letter is younger than the tables; it becomes a middle dot, which stands between two l.
        ("\u{13a0}@b", JidError::Local),
        ("a@b/\u{387}", JidError::Resource),
    ] {
        assert_eq!(Jid::parse(text), Err(error), "{text}");
    }
}

#[test]
fn a_resource_comes_and_goes() {
    let full = Jid::parse("juliet@example.com/balcony").unwrap();
    let bare = full.bare();
    assert_eq!(
        (bare.as_str(), bare.resource()),
        ("juliet@example.com", None)
    );
    assert!(bare.is_bare() && !full.is_bare());
    assert_eq!(bare.bare(), bare);
    assert_eq!(bare.with_resource("balcony"), Ok(full.clone()));
    assert_eq!(full.with_resource("").unwrap_err(), JidError::Resource);
    assert_eq!(full.bare_str(), "juliet@example.com");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_an_address_is_one_again_and_stays_the_same(
        local in prop::option::of("\\PC{0,8}"), domain in "[a-zA-Z\\PC.-]{0,8}", resource in prop::option::of("\\PC{0,8}"),
    ) {
        if let Ok(jid) = Jid::new(local.as_deref(), &domain, resource.as_deref()) {
            prop_assert_eq!(Jid::parse(jid.as_str()), Ok(jid.clone()));
            let again = Jid::new(jid.local(), jid.domain(), jid.resource());
            prop_assert_eq!(again, Ok(jid));
        }
    }
}
