//! How long something took, as a histogram.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Where its buckets end. What took longer is in one more.
pub const BOUNDS: [Duration; 12] = [
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// How often it took how long since the beginning.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Times {
    /// How often it ended within the bound of this number and not within the one before; the last: within none.
    pub counts: [u64; BOUNDS.len() + 1],
    /// How long all took together.
    pub sum: Duration,
}

impl Times {
    /// How often.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Counts [`Times`] on one thread for others to read.
#[derive(Default)]
pub(crate) struct Timer {
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Timer {
    pub(crate) fn took(&self, time: Duration) {
        let bucket = BOUNDS.partition_point(|bound| *bound < time);
        self.counts[bucket].fetch_add(1, Relaxed);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Relaxed);
    }

    pub(crate) fn times(&self) -> Times {
        Times {
            counts: std::array::from_fn(|at| self.counts[at].load(Relaxed)),
            sum: Duration::from_micros(self.micros.load(Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_bucket_that_it_does_not_exceed() {
        let timer = Timer::default();
        for micros in [100, 101, 5_000_001] {
            timer.took(Duration::from_micros(micros));
        }
        let times = timer.times();
        assert_eq!(times.count(), 3);
        assert_eq!(
            (times.counts[0], times.counts[1], times.counts[12]),
            (1, 1, 1)
        );
        assert_eq!(times.sum, Duration::from_micros(5_000_202));
    }
}
