//! Apps whose credentials an operator put in while the server ran: what the store keeps of them (`docs/adr/0017-credentials-in-the-database.md`).

use crate::{AppId, Timestamp};

/// An app with all that a push to it needs, sealed by whoever has the key: it says nothing to whoever reads the store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealedApp {
    /// Which.
    pub app: AppId,
    /// Its profile and its credentials.
    pub sealed: Vec<u8>,
    /// Since when they are these.
    pub made_at: Timestamp,
}
