//! Replays the seed corpus of the fuzz target, `fuzz/corpus-seed/xmpp_stream`, and whatever a fuzz run found and someone
//! kept there, through the same checks.

use std::path::Path;

use crate::exercise;

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the corpus; the crate may not read files"
)]
fn every_seed_of_the_stream_target_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus-seed/xmpp_stream");
    let mut replayed = 0;
    for entry in folder.read_dir().expect("a corpus") {
        let octets = std::fs::read(entry.expect("an entry").path()).expect("a readable seed");
        exercise::stream(&octets);
        replayed += 1;
    }
    assert!(replayed > 0, "the corpus is empty");
}
