//! What is removed is overwritten.

use super::database::Database;
use rusqlite::Result;

/// Overwrites what `work` removes, whole pages included; elsewhere only what costs no page more is (`open`).
pub(super) fn wiping<T>(
    database: &mut Database<'_>,
    work: impl FnOnce(&mut Database<'_>) -> Result<T>,
) -> Result<T> {
    let connection = database.connection();
    let wipe = |how| connection.pragma_update_and_check(None, "secure_delete", how, |_| Ok(()));
    wipe("on")?;
    let done = work(database);
    wipe("fast")?;
    done
}
