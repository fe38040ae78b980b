//! When each device wants to be looked at: its registration expires, or is to be refreshed. One entry a device, in
//! buckets of a second; an entry that was filed too early is filed anew when its time comes, so that a refresh, which
//! only moves the time on, costs nothing.

use domain::Timestamp;
use std::collections::BTreeMap;

/// See above.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    buckets: BTreeMap<u64, Vec<u32>>,
}

/// A moment in a wheel; zero for nowhere.
pub(super) type Second = u64;

impl Wheel {
    /// Files a device for `due`, unless it is filed for that or earlier already. Says where it is filed now.
    pub(super) fn file(&mut self, key: u32, filed: Second, due: Timestamp) -> Second {
        // Rounded up: what is looked at too early would have to be looked at again.
        let second = due.0.div_ceil(1000).max(1);
        if filed != 0 && filed <= second {
            return filed;
        }
        self.buckets.entry(second).or_default().push(key);
        second
    }

    /// When somebody is to be looked at next.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let (second, _) = self.buckets.first_key_value()?;
        Some(Timestamp(second * 1000))
    }

    /// One that was filed for `now` or earlier, and for when; call until there is none.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<(u32, Second)> {
        let mut bucket = self.buckets.first_entry()?;
        let second = *bucket.key();
        if second * 1000 > now.0 {
            return None;
        }
        let key = bucket.get_mut().pop();
        if bucket.get().is_empty() {
            bucket.remove();
        }
        key.map(|key| (key, second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_filed_later_is_not_filed_again() {
        let mut wheel = Wheel::default();
        let filed = wheel.file(1, 0, Timestamp(1_500));
        assert_eq!(filed, 2);
        assert_eq!(wheel.file(1, filed, Timestamp(9_000)), 2);
        assert_eq!(wheel.file(2, 0, Timestamp(2_000)), 2);
        assert_eq!(wheel.next(), Some(Timestamp(2_000)));
        assert_eq!(wheel.due(Timestamp(1_999)), None);
        assert_eq!(wheel.due(Timestamp(2_000)), Some((2, 2)));
        assert_eq!(wheel.due(Timestamp(2_000)), Some((1, 2)));
        assert_eq!(wheel.due(Timestamp(2_000)), None);
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn who_is_due_earlier_is_filed_again() {
        let mut wheel = Wheel::default();
        let filed = wheel.file(1, 0, Timestamp(9_000));
        assert_eq!(wheel.file(1, filed, Timestamp(3_000)), 3);
        assert_eq!(wheel.due(Timestamp(3_000)), Some((1, 3)));
        assert_eq!(wheel.due(Timestamp(9_000)), Some((1, 9)));
    }
}
