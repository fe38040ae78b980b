//! The keys by which tokens are signed: one signs, those before it count until all that they have signed has ended, and one may be
//! known already that signs later, so that every server that shares them has it by then. Pure; [`kept`] has them in a file.

mod kept;

pub(crate) use kept::{FILE, Kept, NotRotated};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::Timestamp;
use ring::{
    digest::{SHA256, digest},
    signature::{Ed25519KeyPair, KeyPair},
};
use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, sync::Arc, time::Duration};

/// So many keys at most, of which an edge is told as well; none is added to them.
pub(crate) const MOST: usize = 8;

/// Octets of a seed, and of a public key.
pub(crate) const OCTETS: usize = 32;

/// So much later a key signs that is to sign soon: whoever tells its tokens has heard of it by then.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// No key waits longer: whoever has the file could know it all the while.
pub(crate) const LATEST: Duration = Duration::from_hours(24 * 30);

/// So far off the clock may be of who verifies tokens elsewhere.
pub(crate) const LEEWAY: Duration = Duration::from_mins(5);

/// How a key is named: by what it is (RFC 7638, of a key of RFC 8037), so that whoever knows it knows its name.
pub(crate) fn id(public: &[u8]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    let key = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, key.as_bytes()))
}

/// A key by which tokens are signed.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Its name.
    pub(crate) id: String,
    /// With its other half.
    pub(crate) pair: Arc<Ed25519KeyPair>,
    seed: [u8; OCTETS],
    /// When it was made.
    made: Timestamp,
    /// From when on it signs.
    signs: Timestamp,
    /// How long the longest token is good that it has signed, or may.
    lasts: Duration,
}

impl Key {
    /// Of this seed, made now, which signs so much later tokens that are good so long.
    pub(crate) fn new(
        seed: [u8; OCTETS],
        (made, later): (Timestamp, Duration),
        lasts: Duration,
    ) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed);
        let pair = pair.expect("every 32 octets are a seed");
        Self {
            id: id(pair.public_key().as_ref()),
            pair: Arc::new(pair),
            seed,
            made,
            signs: made.plus(later),
            lasts,
        }
    }

    pub(crate) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }
}

/// All keys that there are: one at least, in the order in which they sign.
#[derive(Clone, Debug)]
pub(crate) struct Keys(Vec<Key>);

/// How an operator wants another key.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rotation {
    /// Seconds until it signs, if not a minute; it is known at once.
    pub later: Option<u64>,
    /// Whether all others count no more from now on, and it signs at once: somebody may have them.
    pub drop_old: bool,
}

impl Rotation {
    /// How much later the key signs; nothing, if it is to wait although it is alone, or for too long.
    pub(crate) fn waits(self) -> Option<Duration> {
        let (usual, longest) = if self.drop_old {
            (Duration::ZERO, Duration::ZERO)
        } else {
            (SOON, LATEST)
        };
        let later = self.later.map_or(usual, Duration::from_secs);
        (later <= longest).then_some(later)
    }
}

/// A key as an operator sees it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct KeyView {
    /// Its name (`kid`).
    pub id: String,
    /// What it does.
    pub state: KeyState,
    /// When it was made.
    pub made: Timestamp,
    /// From when on it signs.
    pub signs: Timestamp,
    /// Until when it counts, if another one signs after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What a key does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// It signs later.
    Next,
    /// It signs.
    Signs,
    /// It has signed, and that still counts.
    Counts,
}

impl Keys {
    /// These, in any order; nothing if there are none, too many, or two that are the same.
    fn of(mut all: Vec<Key>) -> Option<Self> {
        all.sort_by_key(|key| key.signs);
        let is_twice = |at: usize| all[..at].iter().any(|key| key.id == all[at].id);
        let is_well = (1..=MOST).contains(&all.len()) && !(0..all.len()).any(is_twice);
        is_well.then_some(Self(all))
    }

    /// The one that signs. Where the clock went back behind all of them, the first.
    pub(crate) fn signing(&self, now: Timestamp) -> &Key {
        &self.0[self.place(now)]
    }

    fn place(&self, now: Timestamp) -> usize {
        let last = self.0.iter().rposition(|key| key.signs <= now);
        last.unwrap_or_default()
    }

    /// How long after it was made a token that any of them has signed may count.
    pub(crate) fn longest(&self) -> Duration {
        let lasts = self.0.iter().map(|key| key.lasts).max();
        lasts.unwrap_or_default() + LEEWAY
    }

    /// Those that count.
    pub(crate) fn all(&self) -> &[Key] {
        &self.0
    }

    /// What others are told, by which they tell our tokens: the public halves, one behind another.
    fn told(&self) -> Vec<u8> {
        self.0.iter().flat_map(Key::public).copied().collect()
    }

    /// Until when a key counts, if another one signs after it.
    fn until(&self, at: usize) -> Option<Timestamp> {
        let next = self.0.get(at + 1)?;
        Some(next.signs.plus(self.0[at].lasts).plus(LEEWAY))
    }

    /// For an operator, in the order in which they sign.
    fn views(&self, now: Timestamp) -> Vec<KeyView> {
        let signing = self.place(now);
        let view = |(at, key): (usize, &Key)| KeyView {
            id: key.id.clone(),
            state: match at.cmp(&signing) {
                Ordering::Less => KeyState::Counts,
                Ordering::Equal => KeyState::Signs,
                Ordering::Greater => KeyState::Next,
            },
            made: key.made,
            signs: key.signs,
            until: self.until(at),
        };
        self.0.iter().enumerate().map(view).collect()
    }

    /// Adds a key, or puts it in the place of all others; nothing if there are too many. One that has waited to sign until now has
    /// signed nothing, and goes.
    fn with(&self, key: Key, drop_old: bool, now: Timestamp) -> Option<Self> {
        let goes = |it: &Key| drop_old || (it.made <= now && now < it.signs);
        let mut all = self.0.clone();
        all.retain(|it| !goes(it));
        all.push(key);
        Self::of(all)
    }

    /// Lets go of those that count no more, the oldest first: until when one counts, the one behind it says. True if there were some.
    fn drop_ended(&mut self, now: Timestamp) -> bool {
        let has_ended = |at: &usize| self.until(*at).is_some_and(|until| until <= now);
        let ended = (0..self.place(now)).take_while(has_ended).count();
        self.0.drain(..ended);
        ended > 0
    }

    /// Tokens that are signed from now on are good so long. True if that is longer than it was.
    fn last(&mut self, now: Timestamp, life: Duration) -> bool {
        let signing = self.place(now);
        let mut longer = false;
        for key in &mut self.0[signing..] {
            longer |= key.lasts < life;
            key.lasts = key.lasts.max(life);
        }
        longer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn key(seed: u8, made: u64) -> Key {
        Key::new([seed; OCTETS], (Timestamp(made), Duration::ZERO), HOUR)
    }

    fn states(keys: &Keys, now: Timestamp) -> Vec<KeyState> {
        keys.views(now).iter().map(|it| it.state).collect()
    }

    #[test]
    fn a_key_is_named_by_what_it_is() {
        // RFC 8037, A.3.
        let x = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(
            id(&x.unwrap()),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn one_signs_and_those_before_it_count_until_what_they_signed_has_ended() {
        let (first, later) = (key(1, 1_000), key(2, 5_000));
        let mut keys = Keys::of(vec![later, first]).unwrap();
        let (before, after) = (Timestamp(4_999), Timestamp(5_000));
        assert_eq!(states(&keys, before), [KeyState::Signs, KeyState::Next]);
        assert_eq!(states(&keys, after), [KeyState::Counts, KeyState::Signs]);
        assert_eq!(
            states(&keys, Timestamp(0)),
            [KeyState::Signs, KeyState::Next]
        );
        let until = after.plus(HOUR).plus(LEEWAY);
        assert_eq!(keys.views(after)[0].until, Some(until));
        assert_eq!(keys.views(after)[1].until, None);
        assert!(!keys.drop_ended(Timestamp(until.0 - 1)));
        assert_eq!(keys.told().len(), 2 * OCTETS);
        assert!(keys.drop_ended(until) && !keys.drop_ended(until));
        assert_eq!(states(&keys, until), [KeyState::Signs]);
    }

    #[test]
    fn a_key_counts_as_long_as_the_longest_token_that_it_may_have_signed() {
        let mut keys = Keys::of(vec![key(1, 0), key(2, 10), key(3, 20)]).unwrap();
        let at = Timestamp(10);
        assert!(
            !keys.last(at, HOUR / 2),
            "a shorter life shortens none that was given"
        );
        assert!(keys.last(at, 2 * HOUR) && !keys.last(at, 2 * HOUR));
        let until = |at: usize| keys.until(at);
        assert_eq!(until(0), Some(Timestamp(10).plus(HOUR).plus(LEEWAY)));
        assert_eq!(until(1), Some(Timestamp(20).plus(2 * HOUR).plus(LEEWAY)));
    }

    #[test]
    fn there_is_one_key_at_least_and_never_too_many_and_none_twice() {
        let key_of = |seed: usize| key(u8::try_from(seed).unwrap(), 0);
        let many = |count: usize| (0..count).map(key_of).collect();
        assert!(Keys::of(many(0)).is_none() && Keys::of(many(MOST + 1)).is_none());
        assert!(Keys::of(many(1)).is_some() && Keys::of(many(MOST)).is_some());
        assert!(Keys::of(vec![key(1, 0), key(1, 1)]).is_none());
        let full = Keys::of(many(MOST)).unwrap();
        let now = Timestamp(0);
        assert!(full.with(key_of(MOST), false, now).is_none());
        assert_eq!(full.with(key_of(MOST), true, now).unwrap().0.len(), 1);
    }

    #[test]
    fn a_key_that_waits_to_sign_is_replaced_by_the_next_one_and_none_that_has_signed() {
        let later = |seed, made| Key::new([seed; OCTETS], (Timestamp(made), HOUR), HOUR);
        let keys = Keys::of(vec![key(1, 0), key(2, 100), later(3, 200)]).unwrap();
        let has = |keys: &Keys, seeds: [u8; 3]| {
            let all: Vec<_> = keys.all().iter().map(|key| key.seed[0]).collect();
            assert_eq!(all, seeds);
        };
        let now = Timestamp(300);
        has(&keys.with(later(4, 300), false, now).unwrap(), [1, 2, 4]);
        // Where the clock went back, who knows which have signed.
        let before = Timestamp(50);
        let all = keys.with(later(4, 50), false, before).unwrap();
        assert_eq!(all.all().len(), 4);
        let at = keys.0[2].signs;
        assert_eq!(keys.with(later(4, at.0), false, at).unwrap().all().len(), 4);
    }

    #[test]
    fn a_key_counts_no_longer_because_the_one_behind_it_has_ended() {
        // The second lasts so much shorter than the first that it would end before that.
        let long = Key::new([1; OCTETS], (Timestamp(0), Duration::ZERO), 10 * HOUR);
        let last = key(3, 0).made.plus(2 * HOUR);
        let mut keys = Keys::of(vec![long, key(2, 1), key(3, last.0)]).unwrap();
        let until = keys.until(0).unwrap();
        assert!(keys.until(1).unwrap() < until);
        assert!(!keys.drop_ended(Timestamp(until.0 - 1)));
        assert_eq!(keys.until(0), Some(until));
        assert!(keys.drop_ended(until));
        assert_eq!(keys.all().len(), 1);
    }

    #[test]
    fn a_key_signs_in_a_minute_or_when_an_operator_says_but_not_in_years() {
        let waits = |later, drop_old| Rotation { later, drop_old }.waits();
        let latest = LATEST.as_secs();
        assert_eq!(waits(None, false), Some(SOON));
        assert_eq!(waits(Some(0), false), Some(Duration::ZERO));
        assert_eq!(waits(Some(latest), false), Some(LATEST));
        assert_eq!(waits(Some(latest + 1), false), None);
        assert_eq!(waits(None, true), Some(Duration::ZERO));
        assert_eq!(waits(Some(1), true), None);
    }
}
