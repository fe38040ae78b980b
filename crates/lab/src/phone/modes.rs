//! Coming to the foreground, going to the background, sleeping, dying: what each does to the connection and to what the
//! app remembers (`behaviour.md` 3).

use super::actor::Actor;
use super::calls::Calls;
use super::registration::Registration;
use super::session::Session;
use super::timers::Timer;
use super::{PhoneError, PhoneEvent};

use std::time::Duration;

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

impl Actor {
    /// Brings the app to the foreground, with a connection.
    pub(super) async fn open(&mut self, by_push: bool) -> Result<(), PhoneError> {
        if self.session.is_none() {
            self.session = Some(Session::open(&self.phone).await?);
        }
        if self.mode != Mode::Foreground {
            self.mode = Mode::Foreground;
            self.log.write(PhoneEvent::Resumed { by_push });
            self.tell_mode("foreground");
            self.catch_up();
        }
        Ok(())
    }

    /// Reads what came over the connection while the app was frozen; a connection that broke meanwhile is opened anew.
    fn catch_up(&mut self) {
        while let Some(event) = self.session.as_mut().and_then(Session::try_recv) {
            let lost = self
                .session
                .as_mut()
                .is_some_and(|session| session.handle(event));
            self.settle();
            if let (true, Some(session)) = (lost, &mut self.session) {
                self.log.write(PhoneEvent::ConnectionLost);
                session.reconnect(&self.phone);
            }
        }
    }

    pub(super) async fn suspend(&mut self) -> Result<(), PhoneError> {
        if self.mode == Mode::Off {
            return Err(PhoneError::NotRunning);
        }
        self.mode = Mode::Suspended;
        self.close_session().await;
        self.log.write(PhoneEvent::Suspended);
        Ok(())
    }

    /// The app is frozen: the platform keeps its connection, but it reads nothing and no timer of it runs. The server is
    /// told before the phone says that it is there, so that who waits for that finds it so.
    pub(super) async fn background(&mut self) -> Result<(), PhoneError> {
        if self.session.is_none() {
            return Err(PhoneError::NotRunning);
        }
        if let Some(api) = &self.device_api {
            // Only after what is being told already, or the server hears it in the wrong order.
            while self.telling.join_next().await.is_some() {}
            api.mode("suspended").await?;
        }
        self.mode = Mode::Background;
        self.timers.clear_but_expected();
        self.log.write(PhoneEvent::Backgrounded);
        Ok(())
    }

    /// A background push: the platform lets the app run, unseen. It registers again (RFC 8599 §4.1.3), takes what waits
    /// for it, and sleeps on.
    pub(super) async fn run_for_a_moment(&mut self) {
        if self.mode == Mode::Suspended && self.session.is_none() {
            match Session::open(&self.phone).await {
                Ok(session) => self.session = Some(session),
                Err(error) => {
                    return self.log.write(PhoneEvent::RegistrationFailed {
                        why: error.to_string(),
                    });
                }
            }
            self.timers.replace(Timer::Moment, MOMENT);
        }
        if self.session.is_some() {
            self.register(None);
        }
    }

    pub(super) async fn sleep_on(&mut self) {
        if self.mode == Mode::Suspended {
            self.close_session().await;
            self.log.write(PhoneEvent::Suspended);
        }
    }

    /// The app's process ends: what it had in memory is gone.
    pub(super) async fn die(&mut self) {
        self.mode = Mode::Off;
        self.close_session().await;
        self.registration = Registration::new(&self.phone);
        self.expected.clear();
        self.calls = Calls::default();
    }

    pub(super) async fn close_session(&mut self) {
        self.timers.clear_but_expected();
        self.outgoing.clear();
        self.registration.interrupt();
        self.drop_calls();
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }

    fn tell_mode(&mut self, mode: &'static str) {
        if let Some(api) = self.device_api.clone() {
            while self.telling.try_join_next().is_some() {}
            self.telling.spawn(async move {
                if let Err(error) = api.mode(mode).await {
                    tracing::debug!(%error, "the device API was not told the mode");
                }
            });
        }
    }

    pub(super) fn is_foreground(&self) -> bool {
        self.mode == Mode::Foreground
    }
}
