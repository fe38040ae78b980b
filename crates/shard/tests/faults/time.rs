//! Virtual time, as the worlds of the tests have it.

use domain::Now;
use shard::Shard;
use std::time::{Duration, Instant};

/// When the first of the shards wants to be called, and which, if that is not after `end`.
pub(crate) fn next(shards: &[Shard], now: Now, end: Instant) -> Option<(Instant, usize)> {
    let times = shards.iter().enumerate();
    let next = times
        .filter_map(|(shard, it)| Some((it.next_timeout(now)?, shard)))
        .min();
    next.filter(|(at, _)| *at <= end)
}

/// It is then. Records count milliseconds: what is due within one is due at its end.
pub(crate) fn jump(now: &mut Now, at: Instant) {
    let ahead = at.saturating_duration_since(now.instant);
    let ahead = Duration::from_millis(u64::try_from(ahead.as_micros().div_ceil(1000)).unwrap());
    now.instant += ahead;
    now.wall = now.wall.plus(ahead);
}
