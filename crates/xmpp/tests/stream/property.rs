//! Random trees: what is written is read as the same.

use proptest::collection::vec;
use proptest::prelude::*;
use xmpp::ns;
use xmpp::xml::Element;

use crate::exercise;

fn namespace() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        ns::CLIENT,
        ns::NONE,
        ns::STREAM,
        ns::DELAY,
        "urn:example:1",
        "urn:<'&\">",
    ])
}

fn name() -> impl Strategy<Value = String> {
    "[a-z_é][a-z0-9._é-]{0,30}"
}

/// Any text that XML has a way to say.
fn text() -> impl Strategy<Value = String> {
    let any = vec(any::<char>(), 0..12).prop_map(String::from_iter);
    let awkward = "[<>&'\" \t\r\n\\]]{0,12}".boxed();
    prop_oneof![any, awkward].prop_map(|text| {
        let sayable = |c: &char| {
            matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        };
        text.chars().filter(sayable).collect()
    })
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Child(Element),
}

fn leaf() -> impl Strategy<Value = Element> {
    let prefix = prop::option::of("[ab]");
    let declared = prop::option::of(("[abc]", namespace()));
    let attributes = vec((name(), text()), 0..3);
    (
        prefix,
        namespace(),
        name(),
        declared,
        attributes,
        prop::option::of("[a-z]{2}"),
    )
        .prop_map(|(prefix, namespace, local, declared, attributes, lang)| {
            let mut element = match prefix {
                Some(prefix) => Element::prefixed(&prefix, namespace, &local),
                None => Element::new(namespace, &local),
            };
            if let Some((prefix, namespace)) = declared {
                element.declare(&prefix, namespace);
            }
            for (name, value) in attributes.into_iter().filter(|row| row.0 != "xmlns") {
                element.set_attr(&name, value);
            }
            if let Some(lang) = lang {
                element.set_lang(&lang);
            }
            element
        })
}

fn tree() -> impl Strategy<Value = Element> {
    leaf().prop_recursive(5, 24, 4, |inner| {
        let part = prop_oneof![text().prop_map(Part::Text), inner.prop_map(Part::Child)];
        (leaf(), vec(part, 0..4)).prop_map(|(mut element, parts)| {
            for part in parts {
                match part {
                    Part::Text(text) => element.push_text(&text),
                    Part::Child(child) => element.push(child),
                }
            }
            element
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_tree_is_read_as_it_was_written(tree in tree()) {
        exercise::written_and_read_again(&tree);
    }

    #[test]
    fn any_octets_are_read_alike_however_they_are_cut(cut: u8, octets in vec(any::<u8>(), 0..64)) {
        exercise::stream(&[&[cut][..], b"<a xmlns='u' xmlns:b='v'><c>", &octets].concat());
    }

    #[test]
    fn any_markup_is_read_alike_however_it_is_cut(cut: u8, markup in "[<>/&;='\" \\]!\\[abx:#?\n-]{0,64}") {
        exercise::stream(&[&[cut][..], b"<a xmlns='u' xmlns:b='v'>", markup.as_bytes()].concat());
        exercise::stream(&[&[cut][..], markup.as_bytes()].concat());
    }
}
