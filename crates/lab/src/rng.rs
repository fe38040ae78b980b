//! A small seeded generator (xoshiro256++, Blackman and Vigna 2018; seeded by SplitMix64): the same seed gives the same
//! numbers on every machine. For names, simulations and tests; never for secrets.

use std::fmt::Write as _;
use std::time::Duration;

/// A stream of pseudo-random numbers.
#[derive(Clone, Debug)]
pub struct Rng([u64; 4]);

impl Rng {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self([(); 4].map(|()| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }))
    }

    /// Another stream, so that what one part of a world draws does not shift what another one gets.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.number())
    }

    /// 64 bits.
    pub fn number(&mut self) -> u64 {
        let state = &mut self.0;
        let drawn = state[0]
            .wrapping_add(state[3])
            .rotate_left(23)
            .wrapping_add(state[0]);
        let shifted = state[1] << 17;
        state[2] ^= state[0];
        state[3] ^= state[1];
        state[1] ^= state[2];
        state[0] ^= state[3];
        state[2] ^= shifted;
        state[3] = state[3].rotate_left(45);
        drawn
    }

    /// A number below `bound`, 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.number()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// True this often in a thousand times.
    pub fn chance(&mut self, per_mille: u16) -> bool {
        self.below(1_000) < u64::from(per_mille)
    }

    /// A time from `least` to `most`, to the microsecond.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX);
        least + Duration::from_micros(self.below(span.saturating_add(1)))
    }

    /// One of `choices`; `None` if there is none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        let place = self.below(choices.len() as u64);
        choices.get(usize::try_from(place).ok()?)
    }

    /// So many bytes.
    pub fn bytes<const COUNT: usize>(&mut self) -> [u8; COUNT] {
        let mut bytes = [0; COUNT];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.number().to_le_bytes()[..chunk.len()]);
        }
        bytes
    }

    /// So many bytes as lower-case hexadecimal.
    pub fn hex(&mut self, count: usize) -> String {
        (0..count).fold(String::with_capacity(2 * count), |mut text, _| {
            let [byte] = self.bytes();
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// A UUID (RFC 9562 §5.4).
    pub fn uuid(&mut self) -> String {
        let mut bytes: [u8; 16] = self.bytes();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = bytes.map(|byte| format!("{byte:02x}")).concat();
        [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ]
        .join("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_for_ever() {
        let mut rng = Rng::new(1);
        let drawn = [rng.number(), rng.number(), rng.number()];
        // As the reference implementation gives them.
        assert_eq!(
            drawn,
            [
                0xcfc5_d07f_6f03_c29b,
                0xbf42_4132_963f_e08d,
                0x19a3_7d57_57aa_f520
            ]
        );
    }

    #[test]
    fn what_is_drawn_keeps_to_its_bounds_and_reaches_them() {
        let mut rng = Rng::new(7);
        let drawn: Vec<_> = (0..1_000).map(|_| rng.below(4)).collect();
        assert!((0..4).all(|number| drawn.contains(&number)));
        assert!(drawn.iter().all(|number| *number < 4));
        assert_eq!(rng.below(0), 0);
        let (least, most) = (Duration::from_micros(5), Duration::from_micros(6));
        let drawn: Vec<_> = (0..100).map(|_| rng.between(least, most)).collect();
        assert!(drawn.contains(&least) && drawn.contains(&most));
        assert!(!(0..1_000).any(|_| rng.chance(0)));
        assert!((0..1_000).all(|_| rng.chance(1_000)));
    }

    #[test]
    fn a_fork_goes_its_own_way() {
        let mut rng = Rng::new(7);
        let mut fork = rng.fork();
        assert_ne!(rng.number(), fork.number());
    }
}
