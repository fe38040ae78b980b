//! Names that nobody can guess, and names made out of others.

use crate::hex;
use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
};

/// Random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The system's generator does not fail once it is seeded, which it is long before we run.
    if SystemRandom::new().fill(&mut bytes).is_err() {
        tracing::error!("the system gives no random numbers");
        std::process::abort();
    }
    bytes
}

/// A new name of 96 random bits, in hex.
pub fn fresh() -> String {
    hex::encode(&random::<12>())
}

/// A short name for all of `parts`, the same every time, from which they cannot be read off.
pub fn digest_of(parts: &[&str]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    hex::encode(&context.finish().as_ref()[..8])
}
