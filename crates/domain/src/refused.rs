//! Of which refusals there is a story. Anybody can be refused as often as they like, so these stories have a limit by source and
//! one in all; beyond it counters and the log tell.

use crate::{
    Slice,
    quota::{Allowance, Quota},
};
use std::time::Instant;

/// Stories a minute of one source (of all that share its [`Slice`]).
const OF_SOURCE: u32 = 10;
/// Stories a minute of sources from which somebody has signed in.
const OF_KNOWN: u32 = 300;
/// Stories a minute of all others.
const OF_STRANGERS: u32 = 30;

/// Whether one more refusal is told.
#[derive(Debug)]
pub struct RefusedStories {
    of_source: Quota<Slice>,
    known: Quota<()>,
    strangers: Quota<()>,
}

impl Default for RefusedStories {
    fn default() -> Self {
        let a_minute = |a_minute| Allowance {
            at_once: u32::MAX,
            a_minute,
        };
        Self {
            of_source: Quota::new(a_minute(OF_SOURCE)),
            known: Quota::new(a_minute(OF_KNOWN)),
            strangers: Quota::new(a_minute(OF_STRANGERS)),
        }
    }
}

impl RefusedStories {
    /// Takes one; `is_known`: somebody has signed in from this source.
    pub fn take(&mut self, now: Instant, source: &str, is_known: bool) -> bool {
        let all = if is_known {
            &mut self.known
        } else {
            &mut self.strangers
        };
        let of_source = self.of_source.take(now, Slice::of_name(source));
        of_source.is_ok() && all.take(now, ()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_flood_is_told_a_little_and_hides_nobody_who_is_known() {
        let (now, mut stories) = (now(), RefusedStories::default());
        let flood = (0..1000).filter(|_| stories.take(now, "192.0.2.1", false));
        assert_eq!(flood.count(), 10);
        let flood = (0..1000).filter(|at| stories.take(now, &format!("198.51.100.{at}"), false));
        assert_eq!(flood.count(), 20, "thirty in all");
        assert!(stories.take(now, "203.0.113.9", true));
        let later = now + Duration::from_mins(1);
        assert!(stories.take(later, "192.0.2.1", false));
    }
}
