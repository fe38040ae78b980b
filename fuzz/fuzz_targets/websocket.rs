//! The same checks that `cargo test` runs over the seed corpus, see `crates/net/src/websocket/exercise.rs`. Nothing of it is for
//! anybody but `net`, so its sources are taken as they are.

#![no_main]
#![allow(dead_code, unused_imports, reason = "only what reads is of use here")]

#[path = "../../crates/net/src/websocket/exercise.rs"]
mod exercise;
#[path = "../../crates/net/src/websocket/mod.rs"]
mod websocket;

use websocket::{Fault, Frame, Frames, Origins, close, handshake, pong};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    exercise::websocket(octets);
});
