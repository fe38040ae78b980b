//! The rim where time comes in: everything further in takes it as an argument.

use domain::Timestamp;
use std::{sync::Arc, time::SystemTime};

/// Now, by the clock on the wall.
pub(crate) fn now() -> Timestamp {
    timestamp(SystemTime::now())
}

/// The clock itself, for whoever compares it with another.
pub(crate) fn clock() -> tunnel::Clock {
    Arc::new(SystemTime::now)
}

/// A time of the system's, as the records keep it.
pub(crate) fn timestamp(at: SystemTime) -> Timestamp {
    let unix = at.duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::default().plus(unix.unwrap_or_default())
}
