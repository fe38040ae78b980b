//! Whether the other side of a pool answers, and whom that concerns. It is told when it changes, and not once an attempt.

use crate::observe::{Event, Observer, Served};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Default)]
pub(super) struct Reach(Mutex<State>);

#[derive(Default)]
struct State {
    /// `None`: nobody knows yet.
    is_up: Option<bool>,
    apps: Vec<Served>,
}

impl Reach {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more app is pushed to this way.
    pub(super) fn serves(&self, app: Served) {
        self.lock().apps.push(app);
    }

    /// Whether the other side answered when it was asked last.
    pub(super) fn is_up(&self) -> bool {
        self.lock().is_up == Some(true)
    }

    /// What is known now.
    pub(super) fn is(&self, endpoint: &str, reach: Result<(), &str>, observer: &dyn Observer) {
        // Held while it is told: who hears two of these hears them in their order.
        let mut state = self.lock();
        let before = state.is_up.replace(reach.is_ok());
        if before != state.is_up && !state.apps.is_empty() {
            observer.on(&Event::Reach {
                endpoint,
                apps: &state.apps,
                reach,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Environment;
    use domain::Provider;

    #[derive(Default)]
    struct Heard(Mutex<Vec<bool>>);

    impl Observer for Heard {
        fn on(&self, event: &Event<'_>) {
            if let Event::Reach { reach, .. } = event {
                self.0.lock().unwrap().push(reach.is_ok());
            }
        }
    }

    #[test]
    fn what_stays_as_it_is_is_not_told_again() {
        let (reach, heard) = (Reach::default(), Heard::default());
        reach.is("cloud:443", Err("nobody's"), &heard);
        assert!(heard.0.lock().unwrap().is_empty(), "it concerns nobody");
        let reach = Reach::default();
        reach.serves(Served {
            app: "com.example.phone".into(),
            provider: Provider::Apns,
            environment: Environment::Sandbox,
        });
        for is_up in [false, false, true, true, false, true] {
            let now = if is_up { Ok(()) } else { Err("refused") };
            reach.is("cloud:443", now, &heard);
            assert_eq!(reach.is_up(), is_up);
        }
        assert_eq!(*heard.0.lock().unwrap(), [false, true, false, true]);
    }
}
