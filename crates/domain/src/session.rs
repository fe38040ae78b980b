//! A client that has lost its connection and may go on where it was.

use crate::{Address, Timestamp};
use bytes::Bytes;

/// A session without a connection. What it is only the role knows whose client it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptSession {
    /// Whose.
    pub user: Address,
    /// Names it among those of its user.
    pub name: String,
    /// When it is over, if its client does not come.
    pub until: Timestamp,
    /// What the role needs to go on with it; nothing: it is not kept any more.
    pub data: Bytes,
}
