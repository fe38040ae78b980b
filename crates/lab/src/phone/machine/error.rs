//! What a phone cannot do.

use std::time::Duration;

use super::PhoneEvent;

/// What a phone cannot do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PhoneError {
    /// It was shut down.
    #[error("the phone is switched off")]
    Off,
    /// The app is not running: resume it first.
    #[error("the app is not running; `resume` it first")]
    NotRunning,
    /// No call of that name, or not in a state for this.
    #[error("no such call, or not in a state for this: {0}")]
    NoSuchCall(String),
    /// The server refused, or did not answer (408), or the connection failed (503).
    #[error("the server answered {status} {reason}")]
    Refused {
        /// Its final status.
        status: u16,
        /// In words.
        reason: String,
    },
    /// No session over XMPP came of it.
    #[error("not signed in over XMPP: {0}")]
    NotSignedIn(String),
    /// A message over XMPP is not with the server.
    #[error("the message was not kept: {0}")]
    NotKept(String),
    /// Too much at once.
    #[error("{0}")]
    Busy(String),
    /// What was waited for did not happen.
    #[error("waited {patience:?} in vain; what happened: {happened:?}")]
    Waited {
        /// For so long.
        patience: Duration,
        /// Everything since the mark.
        happened: Vec<PhoneEvent>,
    },
    /// The lab's control API.
    #[error("the lab's control API: {0}")]
    Lab(String),
    /// The device API.
    #[error("the device API: {0}")]
    DeviceApi(String),
}
