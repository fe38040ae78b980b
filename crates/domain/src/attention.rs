//! Where a user's attention is: a device in the pocket need not make a noise for what is seen on the desk (`behaviour.md` 6.10).

use crate::{Mode, Timestamp};
use std::time::Duration;

/// Until when a device that was used last at `own` is left in peace, whatever comes for its user: another device, which is in the
/// foreground, was used after it, and counts as in use for `idle` from then on. `None`: it is not. `others`: what the
/// user's other devices do, and when each was used last, as far as anybody knows.
pub fn quiet_until(
    own: Option<Timestamp>,
    others: impl IntoIterator<Item = (Mode, Option<Timestamp>)>,
    idle: Duration,
) -> Option<Timestamp> {
    let in_front = others
        .into_iter()
        .filter(|(mode, _)| *mode == Mode::Foreground);
    let used = in_front.filter_map(|(_, used)| used).max()?;
    (Some(used) > own).then(|| used.plus(idle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_left_in_peace_while_another_one_in_front_was_used_after_it() {
        let idle = Duration::from_mins(5);
        let at = |second: u64| Some(Timestamp(second * 1000));
        for (own, other, until) in [
            // Nobody has used anything, as far as anybody knows.
            (None, (Mode::Foreground, None), None),
            (None, (Mode::Foreground, at(10)), at(310)),
            (at(5), (Mode::Foreground, at(10)), at(310)),
            (at(20), (Mode::Foreground, at(10)), None),
            (None, (Mode::Silent, at(10)), None),
            (None, (Mode::Suspended, at(10)), None),
            (None, (Mode::Unknown, at(10)), None),
        ] {
            assert_eq!(quiet_until(own, [other], idle), until, "{own:?} {other:?}");
        }
        let two = [(Mode::Foreground, at(10)), (Mode::Foreground, at(20))];
        assert_eq!(quiet_until(None, two, idle), at(320));
        assert_eq!(quiet_until(None, [], idle), None);
    }
}
