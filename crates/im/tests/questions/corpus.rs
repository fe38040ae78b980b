//! Replays the seed corpus of the fuzz target, `fuzz/corpus-seed/im_questions`, and whatever a fuzz run found and someone kept
//! there, through the same checks; and random questions.

use crate::exercise;
use proptest::prelude::*;
use std::path::Path;

#[test]
fn every_seed_of_the_questions_target_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus-seed/im_questions");
    let mut replayed = 0;
    for entry in folder.read_dir().expect("a corpus") {
        let octets = std::fs::read(entry.expect("an entry").path()).expect("a readable seed");
        let answered = exercise::questions(&octets);
        assert!(answered > 0, "a seed says nothing that is answered");
        replayed += 1;
    }
    assert!(replayed > 0, "the corpus is empty");
}

/// Some of them.
const SEEDS: [&[u8]; 4] = [
    include_bytes!("../../../../fuzz/corpus-seed/im_questions/archive"),
    include_bytes!("../../../../fuzz/corpus-seed/im_questions/blocking"),
    include_bytes!("../../../../fuzz/corpus-seed/im_questions/managed"),
    include_bytes!("../../../../fuzz/corpus-seed/im_questions/vcard"),
];

/// What may stand in a question, well or badly.
const NAMES: [&str; 12] = [
    "query",
    "vCard",
    "block",
    "unblock",
    "blocklist",
    "item",
    "x",
    "field",
    "value",
    "set",
    "prefs",
    "ping",
];
const NAMESPACES: [&str; 12] = [
    "jabber:iq:roster",
    "urn:xmpp:mam:2",
    "urn:xmpp:blocking",
    "vcard-temp",
    "jabber:x:data",
    "http://jabber.org/protocol/rsm",
    "http://jabber.org/protocol/disco#info",
    "jabber:iq:last",
    "urn:xmpp:ping",
    "urn:xmpp:carbons:2",
    "jabber:client",
    "urn:ietf:params:xml:ns:xmpp-session",
];
const TO: [&str; 7] = [
    "",
    "here",
    "alice@here",
    "bob@here",
    "nobody@here",
    "far.example",
    "@",
];

fn element() -> impl Strategy<Value = String> {
    let (name, namespace) = (
        prop::sample::select(&NAMES[..]),
        prop::sample::select(&NAMESPACES[..]),
    );
    let attribute = prop::sample::select(
        &[
            "",
            "jid='bob@here'",
            "jid='@'",
            "var='with'",
            "node='x'",
            "subscription='remove'",
            "ver=''",
        ][..],
    );
    let leaf = (name, namespace, attribute);
    leaf.prop_map(|(name, namespace, attribute)| {
        format!("<{name} xmlns='{namespace}' {attribute}/>")
    })
    .prop_recursive(3, 12, 3, |inner| {
        let (name, namespace) = (
            prop::sample::select(&NAMES[..]),
            prop::sample::select(&NAMESPACES[..]),
        );
        (name, namespace, prop::collection::vec(inner, 0..3)).prop_map(
            |(name, namespace, inside)| {
                format!("<{name} xmlns='{namespace}'>{}</{name}>", inside.concat())
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_question_is_answered_once(
        questions in prop::collection::vec((prop::sample::select(&["get", "set"][..]), prop::sample::select(&TO[..]), element()), 1..8),
    ) {
        let question = |(number, (kind, to, inside)): (usize, &(&str, &str, String))| {
            let to = if to.is_empty() { String::new() } else { format!(" to='{to}'") };
            format!("<iq type='{kind}' id='{number}'{to}>{inside}</iq>")
        };
        let text: Vec<String> = questions.iter().enumerate().map(question).collect();
        let text = text.concat();
        prop_assert_eq!(exercise::questions(text.as_bytes()), questions.len());
    }

    /// Seeds with a piece taken out, doubled, or put in somewhere else.
    #[test]
    fn a_seed_that_is_cut_up_holds(seed in 0..SEEDS.len(), from in 0..400_usize, length in 1..60_usize, to in 0..400_usize, keep: bool) {
        let mut octets = SEEDS[seed].to_vec();
        let from = from % octets.len();
        let piece = octets[from..(from + length).min(octets.len())].to_vec();
        if !keep {
            octets.drain(from..from + piece.len());
        }
        let to = to % (octets.len() + 1);
        octets.splice(to..to, piece);
        exercise::questions(&octets);
    }
}
