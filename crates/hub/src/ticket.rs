//! What a question is known by.

/// Names a question of a role or an API: its answer comes back by it.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub u64);
