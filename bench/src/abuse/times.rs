//! How long something took, each time that it was tried.

use std::time::Duration;

/// See above.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    tried: usize,
    /// Those that worked.
    took: Vec<Duration>,
}

impl Times {
    /// It took so long, or did not work.
    pub(crate) fn add(&mut self, took: Option<Duration>) {
        self.tried += 1;
        self.took.extend(took);
    }

    /// Takes in those of another round.
    pub(crate) fn join(&mut self, other: &Self) {
        self.tried += other.tried;
        self.took.extend(&other.took);
    }

    pub(crate) fn tried(&self) -> usize {
        self.tried
    }

    /// So many of a hundred took no longer; those that did not work took for ever.
    pub(crate) fn percentile(&self, percent: usize) -> Option<Duration> {
        let mut took = self.took.clone();
        took.sort_unstable();
        took.get((self.tried * percent / 100).min(self.tried.checked_sub(1)?))
            .copied()
    }

    /// How many of a hundred took no longer.
    pub(crate) fn share(&self, limit: Duration) -> f64 {
        let within = self.took.iter().filter(|took| **took <= limit).count();
        let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        100.0 * count(within) / count(self.tried.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_work_takes_for_ever() {
        let mut times = Times::default();
        for milliseconds in 1..=99 {
            times.add(Some(Duration::from_millis(milliseconds)));
        }
        times.add(None);
        assert_eq!(times.percentile(50), Some(Duration::from_millis(51)));
        assert_eq!(times.percentile(99), None);
        assert!((times.share(Duration::from_millis(50)) - 50.0).abs() < 1e-9);
        assert_eq!(Times::default().percentile(50), None);
    }
}
