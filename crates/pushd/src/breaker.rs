//! An app whose provider fails, or refuses its credentials, is left alone for a while, so that its pushes fail at once
//! and hold no place. An app is configured for one provider and environment, so there is one breaker each.

use crate::Limits;
use domain::{AppId, Outcome, Timestamp};
use std::{collections::HashMap, time::Duration};

#[derive(Debug)]
enum State {
    /// So many failures in a row.
    Closed(u32),
    /// Left alone until then, after a pause of so long.
    Open(Timestamp, Duration),
    /// One push is on its way to find out.
    Probing(Duration),
}

/// All breakers. An app that is well has none.
#[derive(Debug, Default)]
pub(crate) struct Breakers {
    of: HashMap<AppId, State>,
}

impl Breakers {
    /// Whether a push of this app may go now; or how long to wait.
    pub(crate) fn admits(&self, now: Timestamp, app: &AppId) -> Result<(), Duration> {
        match self.of.get(app) {
            Some(State::Open(until, _)) if *until > now => Err(until.since(now)),
            Some(State::Probing(pause)) => Err(*pause),
            _ => Ok(()),
        }
    }

    /// A push of this app, which was admitted, goes.
    pub(crate) fn begin(&mut self, app: &AppId) {
        if let Some(state) = self.of.get_mut(app)
            && let State::Open(_, pause) = state
        {
            *state = State::Probing(*pause);
        }
    }

    /// What became of one.
    pub(crate) fn record(
        &mut self,
        now: Timestamp,
        app: &AppId,
        outcome: &Outcome,
        limits: &Limits,
    ) {
        if !is_failure(outcome) {
            self.of.remove(app);
            return;
        }
        let state = self.of.entry(app.clone()).or_insert(State::Closed(0));
        match state {
            State::Closed(failures) => {
                *failures += 1;
                if *failures >= limits.failures {
                    *state = State::Open(now.plus(limits.pause), limits.pause);
                }
            }
            State::Probing(pause) => {
                let pause = pause.saturating_mul(2).min(limits.longest_pause);
                *state = State::Open(now.plus(pause), pause);
            }
            // One that went before.
            State::Open(..) => {}
        }
    }

    /// Apps that are left alone.
    pub(crate) fn open(&self) -> impl Iterator<Item = &AppId> {
        let of = self.of.iter();
        let open = of.filter(|(_, state)| !matches!(state, State::Closed(_)));
        open.map(|(app, _)| app)
    }

    /// When the next one admits again. One that does already waits for room, and not for time.
    pub(crate) fn next_timeout(&self, now: Timestamp) -> Option<Timestamp> {
        let open = self.of.values().filter_map(|state| match state {
            State::Open(until, _) => Some(*until).filter(|until| *until > now),
            _ => None,
        });
        open.min()
    }
}

/// Whether an outcome says that the next push of the app would fail as well. A device that is pushed to too often is its
/// own affair.
fn is_failure(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Unavailable { .. } | Outcome::Unauthorized { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            failures: 2,
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(3),
            ..Limits::default()
        }
    }

    fn down() -> Outcome {
        Outcome::Unavailable {
            reason: String::new(),
            retry_after: Duration::ZERO,
        }
    }

    #[test]
    fn a_provider_that_fails_is_left_alone_and_one_push_finds_out() {
        let (mut breakers, limits) = (Breakers::default(), limits());
        let app = AppId::from("app");
        let at = Timestamp;
        breakers.record(at(0), &app, &down(), &limits);
        assert_eq!(breakers.admits(at(0), &app), Ok(()));
        breakers.record(at(0), &app, &down(), &limits);
        let second = Duration::from_secs(1);
        assert_eq!(breakers.admits(at(0), &app), Err(second));
        assert_eq!(breakers.admits(at(0), &"other".into()), Ok(()));
        assert_eq!(breakers.next_timeout(at(0)), Some(at(1000)));
        assert_eq!(breakers.admits(at(1000), &app), Ok(()));
        breakers.begin(&app);
        assert!(breakers.admits(at(1000), &app).is_err(), "one finds out");
        breakers.record(at(1100), &app, &down(), &limits);
        assert_eq!(breakers.admits(at(1100), &app), Err(2 * second));
        for n in 1..9 {
            breakers.begin(&app);
            breakers.record(at(n * 10_000), &app, &down(), &limits);
        }
        assert_eq!(breakers.admits(at(80_000), &app), Err(3 * second));
        breakers.begin(&app);
        let accepted = Outcome::Accepted {
            provider_id: String::new(),
        };
        breakers.record(at(90_000), &app, &accepted, &limits);
        assert_eq!(breakers.admits(at(90_000), &app), Ok(()));
        assert_eq!(breakers.next_timeout(at(0)), None);
    }

    #[test]
    fn a_device_that_is_throttled_or_dead_stops_no_other() {
        let (mut breakers, limits) = (Breakers::default(), limits());
        let app = AppId::from("app");
        let throttled = Outcome::Throttled {
            retry_after: Duration::from_mins(1),
            reason: String::new(),
        };
        for _ in 0..9 {
            breakers.record(Timestamp(0), &app, &throttled, &limits);
        }
        assert_eq!(breakers.admits(Timestamp(0), &app), Ok(()));
    }
}
