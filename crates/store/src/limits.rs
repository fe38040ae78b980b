//! Every limit of the store, and what happens at it.

use std::time::Duration;

/// Steps that wait for the writer. At the limit a commit is answered with
/// [`StoreError::Overloaded`](crate::StoreError::Overloaded) at once.
pub const WRITE_QUEUE: usize = 8_192;

/// Steps in one transaction, rounded up to whole commits. What arrived beyond that goes into the next one.
pub const GROUP: usize = 1_024;

/// Notes that wait for the writer. At the limit they are dropped and counted.
pub const NOTES: usize = 16_384;

/// Notes in one transaction. As soon as so many wait they are written, with a group of commits before and after.
pub const NOTE_BATCH: usize = 512;

/// Notes that wait for so long are written, however few they are.
pub const NOTE_AGE: Duration = Duration::from_millis(500);

/// Reads that wait for a reader. At the limit a read is answered with
/// [`StoreError::Overloaded`](crate::StoreError::Overloaded) at once.
pub const READ_QUEUE: usize = 8_192;

/// Threads that read, each over its own connection.
pub const READERS: usize = 2;

/// Rows that one read returns at most, whatever limit its caller names.
pub const READ_ROWS: usize = 10_000;

/// Messages in a page of the archive, whatever limit its caller names; and octets of their bodies, after which a page ends.
pub const ARCHIVE_PAGE: (usize, usize) = (domain::archive::ROWS, domain::archive::OCTETS);

/// Rows of a kind that [`prune`](crate::Store::prune) looks at in one transaction, so that commits get in between.
pub const PRUNE_ROWS: usize = 200;

/// Stories that one [`stories_of`](crate::Stories::stories_of) looks at, and rows of a kind that
/// [`forget`](crate::Store::forget) looks at in one transaction.
pub const LOOK: usize = 500;

/// Contacts that one roster has at most when it is read.
pub const CONTACTS: usize = 10_000;

/// Addresses that one user has blocked, when they are read.
pub const BLOCKS: usize = 10_000;

/// Installations of one user's clients that have tokens to sign in with.
pub const SIGN_IN_TOKENS: usize = 32;

/// Grants by which one user's clients get tokens.
pub const GRANTS: usize = 32;

/// Sessions of one user's clients, when they are read. How many are kept is up to the role.
pub const SESSIONS: usize = 1_000;

/// How long a write or a read waits for another process that holds the database, before it fails with
/// [`StoreError::Busy`](crate::StoreError::Busy).
pub const BUSY: Duration = Duration::from_secs(5);

/// How long opening waits for another process that holds the database, before it fails with
/// [`OpenError::Locked`](crate::OpenError::Locked).
pub const OPEN_BUSY: Duration = Duration::from_secs(2);

/// How long opening pauses before it tries again, where SQLite refuses to wait.
pub const OPEN_PAUSE: Duration = Duration::from_millis(5);

/// Rows that are written before the writer brings the write-ahead log into the database, once those who wait have their
/// answer. What is written often is brought over once.
pub const CHECKPOINT_ROWS: u64 = 16_384;

/// Pages of the log at which SQLite does so by itself, within a commit: rows that are larger than usual.
pub const LOG_PAGES: i64 = 16_384;

/// Size to which the write-ahead log is cut back after a checkpoint, in bytes. It may grow past it in between.
pub const LOG_BYTES: i64 = 64 * 1024 * 1024;

/// Pages of the database that the writer keeps in memory, in KiB. Beyond it they are read again from the system's file
/// cache.
pub const CACHE_KIB: i64 = 8 * 1024;

/// The same for each reader: what it reads once at start, or for an API, it hardly ever reads again.
pub const READER_CACHE_KIB: i64 = 2 * 1024;

/// Octets that [`probe`](crate::Store::probe) writes: as many as a long message, so that a disk that has room for small rows
/// alone does not pass for well.
pub const PROBE: usize = 32 * 1024;

/// How long it is kept what became of a push of the push service, in milliseconds: as long as its id is remembered.
pub const PUSH_ENDS_MILLIS: u64 = 24 * 3_600_000;

/// Of those that are older so many go with each new one.
pub const PUSH_ENDS_BITE: usize = 4;
