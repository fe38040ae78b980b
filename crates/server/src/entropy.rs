//! Randomness from the system: seeds for what is pure, and names that nobody can guess.

use crate::hex;
use ring::rand::{SecureRandom, SystemRandom};

/// Random bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The system's generator does not fail once it is seeded, which it is long before we run.
    if SystemRandom::new().fill(&mut bytes).is_err() {
        tracing::error!("the system gives no random numbers");
        std::process::abort();
    }
    bytes
}

/// A new name of 96 random bits, in hex.
pub(crate) fn fresh() -> String {
    hex::encode(&random::<12>())
}
