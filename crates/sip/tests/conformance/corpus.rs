//! Replays the seed corpora of the fuzz targets, `fuzz/corpus-seed/sip_message` and `fuzz/corpus-seed/sip_framer`, and
//! whatever a fuzz run found and someone kept there, through the same checks.

use crate::exercise;

use std::path::Path;

#[test]
fn every_seed_of_the_message_target_holds() {
    replay("sip_message", |octets| drop(exercise::message(octets)));
}

#[test]
fn every_seed_of_the_framer_target_holds() {
    replay("sip_framer", exercise::framer);
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the corpus; the crate may not read files"
)]
fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus-seed")
        .join(target);
    let mut replayed = 0;
    for entry in folder.read_dir().expect("a corpus") {
        let octets = std::fs::read(entry.expect("an entry").path()).expect("a readable seed");
        check(&octets);
        replayed += 1;
    }
    assert!(replayed > 0, "the corpus of {target} is empty");
}
