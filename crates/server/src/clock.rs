//! The rim where time comes in: everything further in takes it as an argument.

use domain::Timestamp;
use std::time::SystemTime;

/// Now, by the clock on the wall.
pub(crate) fn now() -> Timestamp {
    let unix = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::default().plus(unix)
}
