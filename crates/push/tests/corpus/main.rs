//! Replays the seed corpora of the fuzz targets, `fuzz/corpus-seed/push_bodies` and `fuzz/corpus-seed/push_answers`, and whatever a fuzz run
//! found and someone kept there, through the same checks; and what is near them.

mod exercise;

use proptest::prelude::*;
use std::path::Path;

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus-seed");
    let folder = folder.join(name);
    let seeds = folder.read_dir().expect("a corpus");
    let read = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read(entry?.path());
    seeds.map(|it| read(it).expect("a readable seed")).collect()
}

#[test]
fn every_seed_of_the_bodies_target_holds() {
    let seeds = seeds("push_bodies");
    assert!(!seeds.is_empty());
    for seed in seeds {
        let text = String::from_utf8_lossy(&seed).into_owned();
        assert!(exercise::body(&seed), "a seed is neither: {text}");
    }
}

#[test]
fn every_seed_of_the_answers_target_holds() {
    let seeds = seeds("push_answers");
    assert!(!seeds.is_empty());
    for seed in seeds {
        exercise::answer(&seed);
    }
}

proptest! {
    #[test]
    fn what_is_near_a_seed_holds_too(
        at in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        octet in any::<u8>(),
        cut in any::<bool>(),
    ) {
        for (name, is_body) in [("push_bodies", true), ("push_answers", false)] {
            let seeds = seeds(name);
            let mut seed = at.get(&seeds).clone();
            let place = place.index(seed.len());
            seed[place] = octet;
            if cut {
                seed.remove(place);
            }
            if is_body {
                exercise::body(&seed);
            } else {
                exercise::answer(&seed);
            }
        }
    }
}
