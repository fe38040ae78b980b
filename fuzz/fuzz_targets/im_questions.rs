//! The same checks that `cargo test` runs over the seed corpus, see `crates/im/tests/questions/corpus.rs`.

#![no_main]

#[path = "../../crates/im/tests/questions/exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    exercise::questions(octets);
});
