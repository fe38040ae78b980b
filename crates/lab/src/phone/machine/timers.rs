//! The phone's own timers: a handful at a time, so a list is enough.

use std::time::Instant;

/// What becomes due.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Timer {
    /// Register again.
    Register,
    /// The answer to a REGISTER should be here.
    Unanswered,
    /// Answer this call by itself.
    Answer(String),
    /// This call over XMPP has rung for long enough.
    RingsOut(String),
    /// The INVITE or the proposal of this pushed call should be here.
    Expected(String),
    /// The moment is over for which the platform let a sleeping app run.
    Moment,
}

/// The phone's own timers: bounded, for calls and pushed calls are.
#[derive(Default)]
pub(super) struct Timers(Vec<(Instant, Timer)>);

impl Timers {
    /// Sets `timer`, instead of an equal one.
    pub(super) fn replace(&mut self, timer: Timer, due: Instant) {
        self.cancel(&timer);
        self.0.push((due, timer));
    }

    pub(super) fn cancel(&mut self, timer: &Timer) {
        self.0.retain(|(_, set)| set != timer);
    }

    /// A sleeping app's timers do not run; that the platform waits for a call, and how long one rings, does not depend on the app.
    pub(super) fn clear_but_expected(&mut self) {
        self.0
            .retain(|(_, timer)| matches!(timer, Timer::Expected(_) | Timer::RingsOut(_)));
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().map(|(due, _)| *due).min()
    }

    /// The one that has been due for longest.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let due = self.next().filter(|due| *due <= now)?;
        let place = self.0.iter().position(|(set, _)| *set == due)?;
        Some(self.0.remove(place).1)
    }
}
