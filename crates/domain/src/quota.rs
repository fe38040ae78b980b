//! How much one of many may have: so much at once, and so much begun a minute; with a bound on whom it remembers.

use crate::IdMap;
use std::{
    hash::Hash,
    time::{Duration, Instant},
};

/// What a minute's worth is refilled in.
const MINUTE: Duration = Duration::from_mins(1);
/// Of so many it is remembered what they have, before those who have nothing are looked for.
const SWEEP: usize = 1_024;

/// The most that one may have.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Allowance {
    /// At once.
    pub at_once: u32,
    /// Begun a minute: as many in a rush, then one after another.
    pub a_minute: u32,
}

impl Allowance {
    /// As much as anybody wants.
    pub const ALL: Self = Self {
        at_once: u32::MAX,
        a_minute: u32::MAX,
    };
}

/// It is more than one may have.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Exceeded {
    /// When it may be tried again.
    pub wait: Duration,
    /// For the first time in a minute: worth a line in the log.
    pub first: bool,
}

/// What each has.
#[derive(Debug)]
pub struct Quota<K> {
    allowance: Allowance,
    uses: IdMap<K, Use>,
    sweep_at: usize,
}

#[derive(Debug)]
struct Use {
    at_once: u32,
    /// When all of a minute's worth is there again.
    full_at: Instant,
    /// It has been told that it is too much, until then.
    told_until: Instant,
}

impl<K: Eq + Hash> Quota<K> {
    /// Nobody has anything.
    pub fn new(allowance: Allowance) -> Self {
        Self {
            allowance,
            uses: IdMap::default(),
            sweep_at: SWEEP,
        }
    }

    /// From now on everybody may have so much.
    pub fn allow(&mut self, allowance: Allowance) {
        self.allowance = allowance;
    }

    /// Whether nothing is remembered of anybody as of `now`.
    pub fn is_idle(&self, now: Instant) -> bool {
        self.uses.values().all(|it| it.is_idle(now))
    }

    /// Takes one.
    ///
    /// # Errors
    /// There is none left for this one; nothing is taken.
    pub fn take(&mut self, now: Instant, key: K) -> Result<(), Exceeded> {
        if self.uses.len() >= self.sweep_at {
            self.uses.retain(|_, it| !it.is_idle(now));
            self.sweep_at = SWEEP.max(2 * self.uses.len());
        }
        let fresh = Use {
            at_once: 0,
            full_at: now,
            told_until: now,
        };
        let one = self.uses.entry(key).or_insert(fresh);
        let (full_at, over) = one.with_one_more(now, self.allowance);
        if one.at_once < self.allowance.at_once && over.is_zero() {
            one.at_once += 1;
            one.full_at = full_at;
            return Ok(());
        }
        let first = one.told_until <= now;
        if first {
            one.told_until = now + MINUTE;
        }
        Err(Exceeded {
            wait: over.max(Duration::from_secs(1)),
            first,
        })
    }

    /// Takes one that is over at once: only how often is counted.
    ///
    /// # Errors
    /// There is none left for this one; nothing is taken.
    pub fn pass(&mut self, now: Instant, key: &K) -> Result<(), Exceeded>
    where
        K: Clone,
    {
        let taken = self.take(now, key.clone());
        self.give_back(key);
        taken
    }

    /// How long this one would have to wait for another; none: not at all. Nothing is taken.
    pub fn wait(&self, now: Instant, key: &K) -> Option<Duration> {
        let one = self.uses.get(key)?;
        let (_, over) = one.with_one_more(now, self.allowance);
        let has_all = one.at_once >= self.allowance.at_once;
        (has_all || !over.is_zero()).then(|| over.max(Duration::from_secs(1)))
    }

    /// Gives back one that was taken: what counts at once. That it was begun still counts.
    pub fn give_back(&mut self, key: &K) {
        if let Some(one) = self.uses.get_mut(key) {
            one.at_once = one.at_once.saturating_sub(1);
        }
    }
}

impl Use {
    /// When it would be full again, and how much later than it may be.
    fn with_one_more(&self, now: Instant, allowance: Allowance) -> (Instant, Duration) {
        let full_at = self.full_at.max(now) + MINUTE / allowance.a_minute.max(1);
        (full_at, (full_at - now).saturating_sub(MINUTE))
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.at_once == 0 && self.full_at <= now && self.told_until <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn who_has_all_at_once_gets_more_when_one_is_given_back() {
        let (now, allowance) = (
            now(),
            Allowance {
                at_once: 2,
                a_minute: 100,
            },
        );
        let mut quota = Quota::new(allowance);
        assert_eq!(quota.take(now, "a"), Ok(()));
        assert_eq!(quota.take(now, "a"), Ok(()));
        assert!(quota.take(now, "a").unwrap_err().first);
        assert!(
            !quota.take(now, "a").unwrap_err().first,
            "told once a minute"
        );
        assert_eq!(quota.take(now, "b"), Ok(()), "another one has their own");
        quota.give_back(&"a");
        assert_eq!(quota.take(now, "a"), Ok(()));
    }

    #[test]
    fn a_rush_uses_up_a_minutes_worth_which_comes_back_bit_by_bit() {
        let (now, allowance) = (
            now(),
            Allowance {
                at_once: u32::MAX,
                a_minute: 6,
            },
        );
        let mut quota = Quota::new(allowance);
        for _ in 0..6 {
            assert_eq!(quota.take(now, ()), Ok(()));
        }
        let wait = quota.take(now, ()).unwrap_err().wait;
        assert_eq!(wait, Duration::from_secs(10));
        assert_eq!(quota.wait(now, &()), Some(wait));
        assert_eq!(quota.wait(now + wait, &()), None);
        assert_eq!(quota.take(now + wait, ()), Ok(()));
        assert!(quota.take(now + wait, ()).is_err());
        assert!(!quota.is_idle(now + wait));
        for _ in 0..7 {
            quota.give_back(&());
        }
        assert!(quota.is_idle(now + wait + 2 * MINUTE));
    }

    #[test]
    fn who_has_nothing_any_more_is_forgotten() {
        let now = now();
        let mut quota = Quota::new(Allowance::ALL);
        for key in 0..100_000 {
            let later = now + Duration::from_secs(key);
            quota.take(later, key).unwrap();
            quota.give_back(&key);
        }
        assert!(quota.uses.len() <= 2 * SWEEP);
    }
}
