//! How a database comes to the newest schema. Its number is `PRAGMA user_version`.

use super::{
    columns::{address, text},
    database::key,
};
use domain::archive::sides;
use rusqlite::{Connection, Result, TransactionBehavior, params};

/// Schema `n + 1` is made from schema `n` by the one at place `n`. Released ones never change.
const MIGRATIONS: &[fn(&Connection) -> Result<()>] = &[
    first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth, eleventh, twelfth,
];

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

/// What was archived before is its users' as well.
fn third(connection: &Connection) -> Result<()> {
    connection.execute_batch(include_str!("migrations/0003.sql"))?;
    let mut messages = connection
        .prepare("SELECT number, at, sender, recipient FROM messages WHERE class <> 'transient'")?;
    let insert =
        "INSERT INTO archive SELECT ?2 >> 10, ?1, ?2, ?3, ?4 FROM users WHERE address = ?5";
    let mut insert = connection.prepare(insert)?;
    let mut rows = messages.query([])?;
    while let Some(row) = rows.next()? {
        let (number, at): (i64, i64) = (row.get(0)?, row.get(1)?);
        for (owner, peer) in sides(text(row, 2)?, &address(row, 3)?) {
            let owner = owner.as_str();
            insert.execute(params![key(owner), number, at, key(&peer), owner])?;
        }
    }
    Ok(())
}

fn fourth(connection: &Connection) -> Result<()> {
    connection.execute_batch(include_str!("migrations/0004.sql"))
}

fn fifth(connection: &Connection) -> Result<()> {
    connection.execute_batch(include_str!("migrations/0005.sql"))
}

fn sixth(connection: &Connection) -> Result<()> {
    connection.execute_batch(include_str!("migrations/0006.sql"))
}

fn seventh(connection: &Connection) -> Result<()> {
    connection.execute_batch(include_str!("migrations/0007.sql"))
}

fn eighth(connection: &Connection) -> Result<()> {
    connection.execute_batch(include_str!("migrations/0008.sql"))
}

fn ninth(connection: &Connection) -> Result<()> {
    connection.execute_batch(include_str!("migrations/0009.sql"))
}

fn tenth(connection: &Connection) -> Result<()> {
    connection.execute_batch(include_str!("migrations/0010.sql"))
}

fn eleventh(connection: &Connection) -> Result<()> {
    connection.execute_batch(include_str!("migrations/0011.sql"))
}

fn twelfth(connection: &Connection) -> Result<()> {
    connection.execute_batch(include_str!("migrations/0012.sql"))
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

pub(super) fn version(connection: &Connection) -> Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}
