//! Coming to the foreground, going to the background, sleeping, dying: what each does to the connection and to what the
//! app remembers (`behaviour.md` 3).

use std::time::Duration;

use super::calls::Calls;
use super::registration::Registration;
use super::timers::{Timer, Timers};
use super::{Output, Phone, PhoneError, PhoneEvent, Word};
use crate::phone::chat;

/// How long a background push lets a sleeping app run. iOS allows some seconds; what needs longer is not done here.
const MOMENT: Duration = Duration::from_secs(2);

/// What the app is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// Not started, signed out, crashed or killed.
    Off,
    Foreground,
    Background,
    Suspended,
}

impl Phone {
    /// Brings the app to the foreground, with a connection.
    pub(super) fn open(&mut self, by_push: bool) {
        if self.session.is_none() && self.config.sip {
            self.open_session();
        }
        self.stay_in_front();
        if self.mode != Mode::Foreground {
            self.mode = Mode::Foreground;
            self.shown.clear();
            self.note(PhoneEvent::Resumed { by_push });
            self.tell(Word::Foreground, None);
            self.catch_up();
            self.catch_up_chat();
            self.expect_register_answer();
        }
        self.open_chat();
    }

    pub(super) fn suspend(&mut self) -> Result<(), PhoneError> {
        if self.mode == Mode::Off {
            return Err(PhoneError::NotRunning);
        }
        self.mode = Mode::Suspended;
        self.close_session();
        self.leave_offers();
        self.close_chat(chat::Order::Sleep);
        self.note(PhoneEvent::Suspended);
        Ok(())
    }

    /// The app is frozen: the platform keeps its connection, but it reads nothing and no timer of it runs.
    pub(super) fn background(&mut self) -> Result<(), PhoneError> {
        if !self.is_running() {
            return Err(PhoneError::NotRunning);
        }
        self.order_chat(chat::Order::Look(false));
        self.mode = Mode::Background;
        self.timers.clear_but_expected();
        self.note(PhoneEvent::Backgrounded);
        Ok(())
    }

    /// A background push: the platform lets the app run, unseen. It registers again (RFC 8599 §4.1.3), takes what waits
    /// for it, and sleeps on.
    pub(super) fn run_for_a_moment(&mut self) {
        if self.mode == Mode::Suspended && self.session.is_none() && self.config.sip {
            self.open_session();
            self.timers.replace(Timer::Moment, self.now + MOMENT);
        }
        if self.session.is_some() {
            self.register(None);
        }
    }

    pub(super) fn sleep_on(&mut self) {
        if self.mode == Mode::Suspended {
            self.close_session();
            self.note(PhoneEvent::Suspended);
        }
    }

    /// The app's process ends: what it had in memory is gone.
    pub(super) fn die(&mut self) {
        self.mode = Mode::Off;
        self.close_session();
        self.lose_offers();
        self.close_chat(chat::Order::Die);
        self.tell_no_more();
        self.registration = Registration::new(&self.config, &mut self.rng);
        self.timers = Timers::default();
        self.expected.clear();
        self.calls = Calls::default();
    }

    fn close_session(&mut self) {
        self.timers.clear_but_expected();
        self.frozen.clear();
        self.forget_outgoing();
        self.interrupt_registration();
        self.drop_calls();
        self.leave_connection(|connection| Output::Close { connection });
        self.session = None;
    }

    /// Whether the app runs, seen or not, and can be told to do something.
    pub(super) fn is_running(&self) -> bool {
        let runs = matches!(self.mode, Mode::Foreground | Mode::Background);
        self.session.is_some() || (runs && self.chats())
    }

    pub(super) fn is_foreground(&self) -> bool {
        self.mode == Mode::Foreground
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.mode == Mode::Background
    }
}
