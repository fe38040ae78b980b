//! Relays that clients ask themselves (TURN), and what they show there: made for one user and a while. How it is made, and for whom
//! it is good, is settled by whoever runs the relay with us.

use domain::{Address, Timestamp};
use std::{fmt, sync::Arc};

/// A relay, or a server that tells clients their own addresses (STUN).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// As a client is told it (RFC 7065, RFC 7064).
    pub uri: String,
    /// `stun`, `stuns`, `turn` or `turns`.
    pub kind: String,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `udp` or `tcp`.
    pub transport: String,
}

impl Service {
    /// Whether something is shown there.
    pub fn is_relay(&self) -> bool {
        self.kind.starts_with("turn")
    }
}

/// What a user shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credentials {
    /// As whom.
    pub username: String,
    /// What proves that.
    pub password: String,
    /// Until when it is good.
    pub expires: Timestamp,
}

/// Makes them for a user, now.
pub type MakeCredentials = Arc<dyn Fn(&Address, Timestamp) -> Credentials + Send + Sync>;

/// All of that.
#[derive(Clone)]
pub struct Turn {
    /// The services.
    pub services: Arc<[Service]>,
    /// What is shown at each of them that is a relay.
    pub credentials: MakeCredentials,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}
