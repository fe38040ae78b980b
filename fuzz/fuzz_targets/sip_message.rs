//! The same checks that `cargo test` runs over the seed corpus, see `crates/sip/tests/conformance/corpus.rs`.

#![no_main]

#[path = "../../crates/sip/tests/conformance/exercise.rs"]
#[expect(dead_code, reason = "this target does not use the framer")]
mod exercise;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let _ = exercise::message(octets);
});
