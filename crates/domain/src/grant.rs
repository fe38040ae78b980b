//! What a client gets new tokens by.

use crate::{Address, Timestamp};

/// What a user has given to one client when they signed in there: it gets a token for it by which it gets the next one, and so on.
/// One of them counts at a time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    /// Whose.
    pub user: Address,
    /// Told from the user's others by this, which is drawn at random.
    pub id: String,
    /// The number of the token that counts: so often the client has got one, by whatever it had before. See [`Grant::is_pending`].
    pub turn: u32,
    /// Since when that counts.
    pub at: Timestamp,
}

impl Grant {
    /// Whether its client has got no token yet: there is a code for it, which somebody may show or nobody. Where a user has too many
    /// grants, such a one makes room first.
    pub const fn is_pending(&self) -> bool {
        self.turn == 0
    }
}
