//! Chance, where it needs not be a secret.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::Duration,
};

/// About as long, give or take a fifth: so that what is done now and then is not done everywhere at one moment.
pub(crate) fn about(period: Duration) -> Duration {
    let percent = u32::try_from(entropy() % 41).unwrap_or_default();
    period * (80 + percent) / 100
}

/// Good enough to spread retries, and costs no system call.
pub(crate) fn entropy() -> u64 {
    RandomState::new().build_hasher().finish()
}
