//! How a stream is called by those who do not hold its connection.

/// The number of the connection that a stream runs over. No other connection has had it, also in earlier runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);
