//! Replays the seed corpora of the fuzz targets, `fuzz/corpus-seed/im_questions`, `fuzz/corpus-seed/im_strangers` and
//! `fuzz/corpus-seed/im_phones`, and whatever a fuzz run found and someone kept there, through the same checks; what is near them; and
//! random questions.

use crate::exercise::{self, NEXT};
use proptest::prelude::*;
use std::{path::Path, sync::LazyLock};

/// A corpus, in the order of the names of its files.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus-seed");
    let seeds = folder.join(name).read_dir().expect("a corpus");
    let mut paths: Vec<_> = seeds.map(|it| it.expect("an entry").path()).collect();
    paths.sort_unstable();
    let read = |path: &_| std::fs::read(path).expect("a readable seed");
    paths.iter().map(read).collect()
}

static QUESTIONS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| corpus("im_questions"));
static STRANGERS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| corpus("im_strangers"));
static PHONES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| corpus("im_phones"));

#[test]
fn every_seed_of_the_questions_target_holds() {
    let (mut published, mut resumed) = (0, 0);
    for octets in &*QUESTIONS {
        let text = String::from_utf8_lossy(octets);
        let reached = exercise::questions(octets);
        assert!(reached.answered > 0, "no answer: {text}");
        published += reached.published;
        resumed += reached.resumed;
    }
    // Otherwise they show nothing of what comes behind that.
    assert!(published > 1 && resumed > 1, "{published}, {resumed}");
}

#[test]
fn every_seed_of_the_strangers_target_holds() {
    let let_in: Vec<usize> = STRANGERS.iter().map(|it| exercise::strangers(it)).collect();
    // Otherwise they show nothing of what comes behind a sign-in.
    assert!(
        let_in.iter().filter(|it| **it > 1).count() > 2,
        "{let_in:?}"
    );
    assert!(let_in.contains(&0), "{let_in:?}");
}

#[test]
fn every_seed_of_the_phones_target_holds() {
    let said: Vec<bool> = PHONES.iter().map(|it| exercise::phone(it)).collect();
    assert!(said.contains(&true) && said.contains(&false), "{said:?}");
}

/// What may stand in a question, well or badly.
const NAMES: [&str; 14] = [
    "query",
    "enable",
    "disable",
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
const NAMESPACES: [&str; 14] = [
    "urn:xmpp:push:0",
    "jabber:iq:register",
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
            "jid='push.here'",
            "jid='app.example' node='n'",
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
        prop_assert_eq!(exercise::questions(text.as_bytes()).answered, questions.len());
    }

    /// Seeds with a piece taken out, doubled, or put in somewhere else.
    #[test]
    fn a_seed_that_is_cut_up_holds(cut in cut()) {
        exercise::questions(&cut.of(&QUESTIONS));
        exercise::strangers(&cut.of(&STRANGERS));
        exercise::phone(&cut.of(&PHONES));
    }

    /// Two of them, one behind the other, as two who speak in turn.
    #[test]
    fn seeds_that_follow_one_another_hold(first: prop::sample::Index, second: prop::sample::Index) {
        let both = |seeds: &[Vec<u8>]| [first.get(seeds), &[NEXT][..], second.get(seeds)].concat();
        exercise::questions(&both(&QUESTIONS));
        exercise::strangers(&both(&STRANGERS));
    }
}

/// Which seed, which piece of it, and where that goes.
#[derive(Debug)]
struct Cut {
    seed: prop::sample::Index,
    from: prop::sample::Index,
    length: usize,
    to: prop::sample::Index,
    keeps: bool,
}

fn cut() -> impl Strategy<Value = Cut> {
    let places = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let seed = any::<prop::sample::Index>();
    (seed, places, 1..60_usize, any::<bool>()).prop_map(|(seed, (from, to), length, keeps)| Cut {
        seed,
        from,
        length,
        to,
        keeps,
    })
}

impl Cut {
    fn of(&self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut octets = self.seed.get(seeds).clone();
        let from = self.from.index(octets.len());
        let piece = octets[from..(from + self.length).min(octets.len())].to_vec();
        if !self.keeps {
            octets.drain(from..from + piece.len());
        }
        let to = self.to.index(octets.len() + 1);
        octets.splice(to..to, piece);
        octets
    }
}
