//! Which nonce counts were used. Kept only for nonces with which someone has authenticated, so that a flood of
//! strangers costs no memory.
//!
//! What is guaranteed, as long as the server runs: a count that was accepted with a nonce is never accepted with it
//! again. Each nonce keeps its highest count and the 64 up to it. Nonces are kept by the time at which they were made,
//! in slices; a slice that is too old for its nonces to be good is dropped. When there are too many, the oldest slice
//! is forgotten, and only the highest count in it is remembered: with a nonce from then, only a higher count can be
//! told from a repetition. A client that comes with a lower one gets a new nonce, which is told from the forgotten
//! ones by its time. So the limit wants to be above the number of phones: beyond it they are let in all the same, but
//! many of them only after one more challenge.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, DefaultHasher};

use super::nonce::Stamp;

/// Counts so far below the highest one are taken for used.
const WINDOW: u32 = 64;

/// So many slices make a nonce's lifetime.
const SLICES: u64 = 24;

/// Use of nonces.
#[derive(Debug)]
pub(super) struct Replay {
    most: usize,
    /// Seconds of a slice.
    seconds: u64,
    slices: BTreeMap<u64, Slice>,
    /// Nonces in all slices.
    held: usize,
}

/// Nonces that were made in one span of time. They are not for others to choose: a fixed hash will do.
#[derive(Debug, Default)]
struct Slice {
    used: HashMap<Stamp, Counts, BuildHasherDefault<DefaultHasher>>,
    /// Highest count of all.
    highest: u32,
    /// When the newest of them was made.
    newest: u64,
    forgotten: Option<Forgotten>,
}

/// What is left of forgotten nonces.
#[derive(Debug, Clone, Copy)]
struct Forgotten {
    /// They were made in this second or before.
    until: u64,
    /// With none of them a higher count was used.
    highest: u32,
}

/// Counts that were used with one nonce: the highest, and the 64 up to it as bits (bit 0 is the highest).
#[derive(Debug, Clone, Copy)]
struct Counts {
    highest: u32,
    recent: u64,
}

/// What is known of a nonce and count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// First time.
    Fresh,
    /// Used before.
    Again,
    /// Nobody knows any more.
    Forgotten,
}

impl Replay {
    /// Room for `most` nonces that are good for `lifetime` seconds.
    pub(super) fn new(most: usize, lifetime: u64) -> Self {
        Self {
            most: most.max(1),
            seconds: (lifetime / SLICES).max(1),
            slices: BTreeMap::new(),
            held: 0,
        }
    }

    /// Notes the use of `count` with this nonce.
    pub(super) fn note(&mut self, stamp: Stamp, count: u32) -> Use {
        let time = stamp.seconds / self.seconds;
        if let Some(slice) = self.slices.get_mut(&time) {
            if let Some(counts) = slice.used.get_mut(&stamp) {
                if !counts.take(count) {
                    return Use::Again;
                }
                slice.highest = slice.highest.max(count);
                return Use::Fresh;
            }
            if count <= slice.forgotten(stamp) {
                return Use::Forgotten;
            }
        }
        if self.held >= self.most {
            self.forget_oldest();
        }
        self.slices.entry(time).or_default().add(stamp, count);
        self.held += 1;
        Use::Fresh
    }

    /// Drops slices all of which is older than `seconds`: such nonces are stale anyhow.
    pub(super) fn forget_before(&mut self, seconds: u64) {
        while let Some(slice) = self.slices.first_entry()
            && (slice.key() + 1).saturating_mul(self.seconds) <= seconds
        {
            self.held -= slice.remove().used.len();
        }
    }

    fn forget_oldest(&mut self) {
        let mut slices = self.slices.values_mut();
        if let Some(oldest) = slices.find(|slice| !slice.used.is_empty()) {
            self.held -= oldest.used.len();
            oldest.forget();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.held
    }
}

impl Slice {
    /// The highest count that may have been used with this nonce and then forgotten; 0 if none was.
    fn forgotten(&self, stamp: Stamp) -> u32 {
        let gone = self.forgotten.filter(|gone| stamp.seconds <= gone.until);
        gone.map_or(0, |gone| gone.highest)
    }

    fn add(&mut self, stamp: Stamp, count: u32) {
        // What may have been forgotten is taken for used.
        let unused = count.saturating_sub(self.forgotten(stamp)).max(1);
        let counts = Counts {
            highest: count,
            recent: 1 | u64::MAX.checked_shl(unused).unwrap_or_default(),
        };
        self.used.insert(stamp, counts);
        self.highest = self.highest.max(count);
        self.newest = self.newest.max(stamp.seconds);
    }

    fn forget(&mut self) {
        self.used = HashMap::default();
        self.forgotten = Some(Forgotten {
            until: self.newest,
            highest: self.highest,
        });
    }
}

impl Counts {
    /// Was this count free? It is not any more.
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            let step = count - self.highest;
            self.recent = if step < WINDOW {
                self.recent << step | 1
            } else {
                1
            };
            self.highest = count;
            return true;
        }
        let below = self.highest - count;
        if below >= WINDOW || self.recent >> below & 1 == 1 {
            return false;
        }
        self.recent |= 1 << below;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 24 * 3600;

    fn stamp(seconds: u64, salt: u64) -> Stamp {
        Stamp { seconds, salt }
    }

    #[test]
    fn a_phone_beyond_the_limit_is_good_again_with_its_next_nonce() {
        let mut replay = Replay::new(100, DAY);
        let mut clock = 0;
        let mut phones: Vec<_> = (0..150).map(|salt| (stamp(0, salt), 0)).collect();
        let mut challenged = 0;
        for _ in 0..20 {
            for (nonce, count) in &mut phones {
                clock += 1;
                *count += 1;
                if replay.note(*nonce, *count) != Use::Fresh {
                    challenged += 1;
                    (*nonce, *count) = (stamp(clock, nonce.salt), 1);
                    assert_eq!(replay.note(*nonce, *count), Use::Fresh);
                }
                assert!(replay.len() <= 100);
            }
        }
        assert!(
            challenged < 20 * 150,
            "some go on with the nonce that they have"
        );
    }

    #[test]
    fn a_nonce_that_is_made_after_others_were_forgotten_is_good() {
        let mut replay = Replay::new(2, DAY);
        for phone in 0..3 {
            assert_eq!(replay.note(stamp(50, phone), 7), Use::Fresh);
        }
        assert_eq!(replay.note(stamp(50, 0), 7), Use::Forgotten);
        assert_eq!(replay.note(stamp(50, 9), 1), Use::Forgotten);
        assert_eq!(replay.note(stamp(51, 9), 1), Use::Fresh);
    }

    #[test]
    fn a_million_phones_are_remembered_in_slices_that_go_with_their_time() {
        let mut replay = Replay::new(1000, DAY);
        for phone in 0..1000 {
            assert_eq!(replay.note(stamp(phone * 86, phone), 1), Use::Fresh);
        }
        replay.forget_before(DAY / 2);
        assert!((450..550).contains(&replay.len()), "{}", replay.len());
        replay.forget_before(2 * DAY);
        assert_eq!(replay.len(), 0);
    }

    proptest! {
        #[test]
        fn no_count_is_accepted_twice(
            uses in prop::collection::vec((0_u64..30, 0_u64..6, 1_u32..80), 1..400),
            most in 1_usize..8,
        ) {
            let mut replay = Replay::new(most, 100);
            let mut accepted = HashSet::new();
            for (seconds, salt, count) in uses {
                if replay.note(stamp(seconds, salt), count) == Use::Fresh {
                    prop_assert!(accepted.insert((seconds, salt, count)));
                }
                prop_assert!(replay.len() <= most);
            }
        }
    }
}
