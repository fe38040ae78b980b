//! The same checks that `cargo test` runs over the seed corpus, see `crates/shard/src/pidf/exercise.rs`. Nothing of it is for anybody
//! but the shard, so its sources are taken as they are.

#![no_main]

#[path = "../../crates/shard/src/pidf/exercise.rs"]
mod exercise;
#[path = "../../crates/shard/src/pidf.rs"]
mod pidf;

use pidf::DOCUMENTS;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let _ = exercise::document(octets);
});
