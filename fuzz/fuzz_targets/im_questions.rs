//! The same checks that `cargo test` runs over the seed corpus, see `crates/im/tests/questions/corpus.rs`.

#![no_main]

#[path = "../../crates/im/tests/questions/exercise/mod.rs"]
#[allow(dead_code, unused_imports, reason = "this target has a part of it alone")]
mod exercise;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let _ = exercise::questions(octets);
});
