//! The same checks that `cargo test` runs over the seed corpus, see `crates/push/tests/corpus/main.rs`.

#![no_main]

#[path = "../../crates/push/tests/corpus/exercise.rs"]
#[expect(dead_code, reason = "this target has answers alone")]
mod exercise;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let _ = exercise::answer(octets);
});
