//! What a server may want to count or raise an alarm for. No metrics library here: the observer decides.

use crate::environment::Environment;
use domain::{AppId, Channel, Outcome, Provider};
use std::time::Duration;

/// An app that a connection or a token is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Served {
    /// The app.
    pub app: AppId,
    /// Through whose cloud it is pushed to.
    pub provider: Provider,
    /// Through which of that provider's clouds.
    pub environment: Environment,
}

/// Something happened that is worth counting. Never holds a whole token or a payload.
#[derive(Debug)]
pub enum Event<'a> {
    /// A push has its outcome.
    Pushed {
        /// To which app.
        app: &'a AppId,
        /// Through whose cloud.
        provider: Provider,
        /// Which way.
        channel: Channel,
        /// [`Purpose::name`](domain::Purpose::name).
        purpose: &'static str,
        /// What became of it.
        outcome: &'a Outcome,
        /// From the call of `push` to now.
        took: Duration,
    },
    /// A connection to a provider is up.
    Connected {
        /// `host:port`.
        endpoint: &'a str,
    },
    /// A connection takes no more requests: GOAWAY, a reset, or gone.
    Retired {
        /// `host:port`.
        endpoint: &'a str,
        /// Why; for a GOAWAY with the provider's own reason.
        reason: &'a str,
    },
    /// A connection could not be opened.
    Unreachable {
        /// `host:port`.
        endpoint: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// It is known that a cloud answers, or that it does not: by its answer to a PING, or by no connection that could be
    /// opened. Said when that changes, and once at the beginning.
    Reach {
        /// `host:port`.
        endpoint: &'a str,
        /// The apps whose pushes go there; at least one.
        apps: &'a [Served],
        /// Why it does not.
        reach: Result<(), &'a str>,
    },
    /// An app has what its pushes need beside a connection (an access token), or why it has not. Said when that changes,
    /// and once at the beginning.
    Ready {
        /// The app.
        app: &'a Served,
        /// What a push would come to.
        ready: Result<(), &'a Outcome>,
    },
}

/// Takes events, at once and without blocking: it is called on the path of every push.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn on(&self, event: &Event<'_>);
}

/// Looks away.
impl Observer for () {
    fn on(&self, _: &Event<'_>) {}
}
