//! How bad a network is.

use std::time::Duration;

use crate::rng::Rng;

/// How bad a network is. Odds are per mille.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Plan {
    /// One way takes so long, at least and at most. Datagrams may overtake one another, what is in a stream does not.
    pub latency: (Duration, Duration),
    /// A datagram is lost.
    pub loss: u16,
    /// A datagram arrives twice.
    pub duplicate: u16,
    /// A message comes late, and in a stream holds up what follows ...
    pub straggle: u16,
    /// ... by up to so long.
    pub straggle_by: Duration,
    /// A stream breaks, for each message sent over it.
    pub breaks: u16,
    /// Of streams that break: not both ends hear of it, or neither. Who does not sends into the void for ever.
    pub half_open: u16,
}

impl Plan {
    /// Nothing is lost, nothing breaks, and everything takes 20 ms.
    pub const CALM: Self = Self {
        latency: (Duration::from_millis(20), Duration::from_millis(20)),
        loss: 0,
        duplicate: 0,
        straggle: 0,
        straggle_by: Duration::ZERO,
        breaks: 0,
        half_open: 0,
    };

    /// Any plan, from calm to a bad day.
    pub fn drawn(rng: &mut Rng) -> Self {
        let odds = |rng: &mut Rng, most: u64| {
            // Often no fault of this kind at all, so that others are seen alone.
            if rng.chance(400) {
                return 0;
            }
            u16::try_from(rng.below(most)).unwrap_or_default()
        };
        let millis = |rng: &mut Rng, least, most| {
            rng.between(Duration::from_millis(least), Duration::from_millis(most))
        };
        let least = millis(rng, 1, 50);
        Self {
            latency: (least, least + millis(rng, 0, 100)),
            loss: odds(rng, 200),
            duplicate: odds(rng, 100),
            straggle: odds(rng, 100),
            straggle_by: millis(rng, 1, 5_000),
            breaks: odds(rng, 30),
            half_open: odds(rng, 1_000),
        }
    }
}
