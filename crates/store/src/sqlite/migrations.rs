//! How a database comes to the newest schema. Its number is `PRAGMA user_version`.

use super::database::key;
use rusqlite::{Connection, Result, TransactionBehavior};

/// Schema `n + 1` is made from schema `n` by the one at place `n`. Released ones never change.
const MIGRATIONS: &[fn(&Connection) -> Result<()>] = &[first, second, third];

fn first(connection: &Connection) -> Result<()> {
    connection.execute_batch(include_str!("migrations/0001.sql"))
}

/// Devices get keys, values that were JSON get columns.
fn second(connection: &Connection) -> Result<()> {
    connection.execute_batch("CREATE TABLE keys (id TEXT PRIMARY KEY, key INTEGER NOT NULL)")?;
    let mut ids = connection.prepare("SELECT id FROM devices")?;
    let mut insert = connection.prepare("INSERT INTO keys VALUES (?1, ?2)")?;
    let mut rows = ids.query([])?;
    while let Some(row) = rows.next()? {
        let id = row.get_ref(0)?.as_str()?;
        insert.execute((id, key(id)))?;
    }
    drop((rows, insert));
    drop(ids);
    connection.execute_batch(include_str!("migrations/0002.sql"))
}

fn third(connection: &Connection) -> Result<()> {
    connection.execute_batch(include_str!("migrations/0003.sql"))
}

/// The newest schema that is known.
pub(super) fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// All steps in one transaction: another process sees the old schema or the new one. Tables are made anew, so nothing may
/// cascade meanwhile.
pub(super) fn migrate(connection: &mut Connection, application: i64) -> Result<()> {
    if version(connection)? == newest() {
        return Ok(());
    }
    connection.pragma_update(None, "foreign_keys", false)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let done = usize::try_from(version(&transaction)?).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(done) {
        migration(&transaction)?;
    }
    transaction.pragma_update(None, "application_id", application)?;
    transaction.pragma_update(None, "user_version", newest())?;
    transaction.commit()
}

fn version(connection: &Connection) -> Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}
