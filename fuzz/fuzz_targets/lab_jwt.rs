//! The same checks that `cargo test` runs over the seed corpus, see `crates/lab/src/cloud/jwt/exercise.rs`. Nothing of it is for anybody but
//! the lab's clouds, so its sources are taken as they are.

#![no_main]
#![allow(dead_code, reason = "only what reads is of use here")]

use std::sync::{Mutex, MutexGuard, PoisonError};

#[path = "../../crates/lab/src/cloud/jwt/exercise.rs"]
mod exercise;
#[path = "../../crates/lab/src/cloud/jwt.rs"]
mod jwt;

use jwt::Jwt;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let _ = exercise::token(octets);
});
