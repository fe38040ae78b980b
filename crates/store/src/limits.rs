//! Every limit of the store, and what happens at it.

use std::time::Duration;

/// Steps that wait for the writer. At the limit a commit is answered with
/// [`StoreError::Overloaded`](crate::StoreError::Overloaded) at once.
pub const WRITE_QUEUE: usize = 8_192;

/// Notes are taken while at most this many steps wait; past it they are dropped and counted, so that nobody's commit is
/// turned away for a trace.
pub const NOTE_QUEUE: usize = WRITE_QUEUE / 2;

/// Steps in one transaction. What arrived beyond that goes into the next one.
pub const GROUP: usize = 1_024;

/// Reads that wait for a reader. At the limit a read is answered with
/// [`StoreError::Overloaded`](crate::StoreError::Overloaded) at once.
pub const READ_QUEUE: usize = 8_192;

/// Threads that read, each over its own connection.
pub const READERS: usize = 2;

/// Messages that wait for one device, or for one user without a device. At the limit the oldest leaves the queue; the
/// archive still has it, and [`Stats::overflowed`](crate::Stats::overflowed) counts it.
pub const QUEUE_PER_DEVICE: usize = 5_000;

/// Rows that one read returns at most, whatever limit its caller names.
pub const READ_ROWS: usize = 10_000;

/// Rows of a kind that [`prune`](crate::Store::prune) removes in one transaction, so that commits get in between.
pub const PRUNE_ROWS: usize = 200;

/// How long a write or a read waits for another process that holds the database, before it fails with
/// [`StoreError::Busy`](crate::StoreError::Busy).
pub const BUSY: Duration = Duration::from_secs(5);

/// How long opening waits for another process that holds the database, before it fails with
/// [`OpenError::Locked`](crate::OpenError::Locked).
pub const OPEN_BUSY: Duration = Duration::from_secs(2);

/// Size to which the write-ahead log is cut back after a checkpoint, in bytes. It may grow past it in between.
pub const WAL_BYTES: i64 = 64 * 1024 * 1024;

/// Pages of the database that each connection keeps in memory, in KiB. Beyond it they are read again from the system's
/// file cache.
pub const CACHE_KIB: i64 = 32 * 1024;
