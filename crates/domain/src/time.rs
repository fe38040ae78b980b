//! Wall-clock time as the records keep it. Timers use `std::time::Instant`; what is stored or shown uses this.

use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Milliseconds since the Unix epoch.
#[derive(
    Copy, Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The moment `later` after this one; stays at the end of time on overflow.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        let millis = u64::try_from(later.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// How long after `earlier` this moment is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Now, on both clocks.
#[derive(Copy, Clone, Debug)]
pub struct Now {
    /// For timers.
    pub instant: Instant,
    /// For records.
    pub wall: Timestamp,
}

impl Now {
    /// When the wall clock will say `at`, on the other clock.
    pub fn instant_of(self, at: Timestamp) -> Instant {
        self.instant + at.since(self.wall)
    }
}
