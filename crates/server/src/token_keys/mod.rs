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
    /// Seconds until it signs; it is known at once.
    pub later: u64,
    /// Whether all others count no more from now on: somebody may have them.
    pub drop_old: bool,
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

    /// Adds a key, or puts it in the place of all others; nothing if there are too many.
    fn with(&self, key: Key, drop_old: bool) -> Option<Self> {
        let others = if drop_old { &[] } else { &self.0[..] };
        Self::of([others, &[key]].concat())
    }

    /// Lets go of those that count no more. True if there were some.
    fn drop_ended(&mut self, now: Timestamp) -> bool {
        let signing = self.place(now);
        let stays: Vec<_> = (0..self.0.len())
            .map(|at| at >= signing || self.until(at).is_none_or(|until| now < until))
            .collect();
        let mut stays_each = stays.iter();
        self.0.retain(|_| stays_each.next() == Some(&true));
        stays.contains(&false)
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
        assert!(full.with(key_of(MOST), false).is_none());
        assert_eq!(full.with(key_of(MOST), true).unwrap().0.len(), 1);
    }
}
