//! Replays the seed corpus of the fuzz target, `fuzz/corpus-seed/xmpp_sasl`, and whatever a fuzz run found and someone kept
//! there, through the same checks; and random octets.

use std::path::Path;

use proptest::prelude::*;

use crate::exercise;

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the corpus; the crate may not read files"
)]
fn every_seed_of_the_sasl_target_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus-seed/xmpp_sasl");
    let mut replayed = 0;
    for entry in folder.read_dir().expect("a corpus") {
        let octets = std::fs::read(entry.expect("an entry").path()).expect("a readable seed");
        exercise::sasl(&octets);
        replayed += 1;
    }
    assert!(replayed > 0, "the corpus is empty");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_octets_hold(machine in 0_u8..8, octets in prop::collection::vec(any::<u8>(), 0..80)) {
        exercise::sasl(&[&[machine], &octets[..]].concat());
    }

    /// Of the letters that the messages are made of.
    #[test]
    fn any_message_holds(machine in 0_u8..8, first in "[nyp=a,]{0,6}[nr=,mhx\u{0}\u{1}12CDé]{0,16}",
                         last in "(c=biws,r=\\{nonce\\},p=[AQ=]{0,28}|[crp=,{}nonce]{0,20})") {
        let octets = [&[machine], first.as_bytes(), &[0xFF], last.as_bytes()].concat();
        exercise::sasl(&octets);
    }
}
