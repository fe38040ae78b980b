//! How long to wait before something that failed is tried again.

use crate::entropy::random;
use std::time::Duration;

/// Each pause is twice as long as the one before, up to the longest, and up to a half more: what ended together is not tried
/// together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            next: first,
            longest,
        }
    }

    /// It has failed once more.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause + pause * u32::from(random::<1>()[0]) / 512
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_double_up_to_the_longest_and_are_spread() {
        let second = Duration::from_secs(1);
        let mut pauses = Pauses::new(second, second * 5);
        for base in [1, 2, 4, 5, 5].map(|it| second * it) {
            let pause = pauses.next();
            assert!((base..base * 3 / 2).contains(&pause), "{pause:?}");
        }
        let fresh = || Pauses::new(second, second).next();
        let first = fresh();
        assert!((0..100).any(|_| fresh() != first));
    }
}
