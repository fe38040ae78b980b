//! How rows are read, table by table.

use rusqlite::{Result, Row};

/// How the rows of a table are read.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The columns of its key.
    pub(super) key: &'static [&'static str],
    /// Its rows: what `read` reads, and behind that the key.
    pub(super) rows: &'static str,
    pub(super) read: fn(&Row<'_>) -> Result<()>,
    /// What tells people which row it is: columns of `rows`.
    pub(super) shown: &'static [usize],
    /// Whether a server reads it when it starts, and cannot start without.
    pub(super) at_start: bool,
}
