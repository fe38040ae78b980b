//! What a client shows instead of a password when it signs in again.

use crate::{Address, Timestamp};
use bytes::Bytes;

/// The tokens of one installation of a user's client. What they are only the role knows that gave them out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignInTokens {
    /// Whose.
    pub user: Address,
    /// The installation, by the id that it gives itself.
    pub client: String,
    /// When they were kept.
    pub at: Timestamp,
    /// What the role keeps of them; nothing: the installation has none any more.
    pub data: Bytes,
}
