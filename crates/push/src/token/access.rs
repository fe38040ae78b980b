//! An access token that somebody grants us (RFC 6749 §5.1): kept until a minute before it ends. However many pushes need one,
//! one asks, and those who waited for it share what it heard.

use domain::Outcome;
use http::HeaderValue;
use serde::Deserialize;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// A token is not used in the last minute of its life.
const MARGIN: Duration = Duration::from_mins(1);
/// No token is believed to be good for longer.
const LONGEST: Duration = Duration::from_hours(24);

/// The one token, while it is good.
#[derive(Debug, Default)]
pub(crate) struct AccessToken {
    kept: Mutex<Option<Kept>>,
    /// Held by the one that asks for a token; with the last failure.
    asking: tokio::sync::Mutex<Option<Failure>>,
}

/// What was granted.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The header's value.
    pub(crate) value: HeaderValue,
    pub(crate) until: Instant,
}

#[derive(Debug)]
struct Failure {
    at: Instant,
    outcome: Outcome,
}

/// What grants one (RFC 6749 §5.1).
#[derive(Deserialize)]
pub struct Granted {
    pub(crate) access_token: String,
    #[serde(default)]
    expires_in: u64,
}

impl Granted {
    /// Until when it is used, if it was asked for then.
    pub(crate) fn until(&self, asked: Instant) -> Instant {
        asked + self.lasts()
    }

    /// For how long it is used.
    pub fn lasts(&self) -> Duration {
        let lasts = Duration::from_secs(self.expires_in);
        lasts.saturating_sub(MARGIN).min(LONGEST)
    }
}

impl AccessToken {
    /// The header's value, for which `ask` asks if there is none; or the outcome of a push that cannot get one.
    pub(crate) async fn current(
        &self,
        ask: impl AsyncFnOnce() -> Result<Kept, Outcome>,
    ) -> Result<HeaderValue, Outcome> {
        let since = Instant::now();
        if let Some(value) = self.kept() {
            return Ok(value);
        }
        let mut failure = self.asking.lock().await;
        if let Some(value) = self.kept() {
            return Ok(value);
        }
        if let Some(shared) = failure.as_ref().filter(|failure| failure.at >= since) {
            return Err(shared.outcome.clone());
        }
        match ask().await {
            Ok(kept) => {
                *failure = None;
                let value = kept.value.clone();
                *self.lock() = Some(kept);
                Ok(value)
            }
            Err(outcome) => {
                *failure = Some(Failure {
                    at: Instant::now(),
                    outcome: outcome.clone(),
                });
                Err(outcome)
            }
        }
    }

    /// Forgets `refused`, which is not taken any more, unless another push already did.
    pub(crate) fn forget(&self, refused: &HeaderValue) {
        let mut kept = self.lock();
        if kept.as_ref().is_some_and(|kept| kept.value == *refused) {
            *kept = None;
        }
    }

    fn kept(&self) -> Option<HeaderValue> {
        let kept = self.lock();
        let good = kept.as_ref().filter(|kept| Instant::now() < kept.until)?;
        Some(good.value.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
