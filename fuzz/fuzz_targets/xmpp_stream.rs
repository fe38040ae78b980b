//! The same checks that `cargo test` runs over the seed corpus, see `crates/xmpp/tests/stream/corpus.rs`.

#![no_main]

#[path = "../../crates/xmpp/tests/stream/exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    exercise::stream(octets);
});
