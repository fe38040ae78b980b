//! How long to leave a provider alone that does not let us connect.

use std::time::Duration;
use tokio::time::Instant;

/// The longest pause between attempts while pushes want a connection: they will not wait for long.
const WANTED: Duration = Duration::from_secs(1);
/// The longest pause between attempts at a connection ahead of need.
const AHEAD: Duration = Duration::from_secs(30);
/// The pause after the second failure. The first retry is immediate.
const FIRST: Duration = Duration::from_millis(100);

/// Failures in a row.
#[derive(Default)]
pub(super) struct Failures {
    count: u32,
    last: Option<Instant>,
    /// Why the last attempt to connect failed; `None` if it was a connection that ended before it served anybody.
    reason: Option<String>,
}

impl Failures {
    /// No connection could be opened.
    pub(super) fn refused(&mut self, reason: &str) {
        self.note();
        self.reason = Some(reason.to_owned());
    }

    /// A connection was opened, and ended before it served anybody.
    pub(super) fn useless(&mut self) {
        self.note();
        self.reason = None;
    }

    fn note(&mut self) {
        self.count = self.count.saturating_add(1);
        self.last = Some(Instant::now());
    }

    pub(super) fn any(&self) -> bool {
        self.count > 0
    }

    /// Why it is too early to connect for pushes that wait; they are better told at once. A provider that lets us
    /// connect is not left alone: a GOAWAY means that the next connection is welcome.
    pub(super) fn too_early(&self) -> Option<&str> {
        self.reason
            .as_deref()
            .filter(|_| !self.pause(WANTED).is_zero())
    }

    /// How much longer to wait with a connection ahead of need.
    pub(super) fn pause_ahead(&self) -> Duration {
        self.pause(AHEAD)
    }

    fn pause(&self, longest: Duration) -> Duration {
        let (Some(last), Some(doublings)) = (self.last, self.count.checked_sub(2)) else {
            return Duration::ZERO;
        };
        let pause = FIRST * 2_u32.pow(doublings.min(10));
        pause.min(longest).saturating_sub(last.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn the_first_retry_is_immediate_and_then_the_pause_doubles_up_to_its_limit() {
        let mut failures = Failures::default();
        for ahead in [
            0, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000,
        ] {
            failures.refused("no");
            assert_eq!(failures.pause_ahead(), Duration::from_millis(ahead));
            let wanted = Duration::from_millis(ahead).min(WANTED);
            assert_eq!(failures.too_early(), (!wanted.is_zero()).then_some("no"));
            advance(wanted).await;
            assert_eq!(failures.too_early(), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_lets_us_connect_and_leaves_is_spared_only_ahead_of_need() {
        let mut failures = Failures::default();
        for _ in 0..3 {
            failures.useless();
        }
        assert_eq!(failures.too_early(), None);
        assert_eq!(failures.pause_ahead(), 2 * FIRST);
    }
}
