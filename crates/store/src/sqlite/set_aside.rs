//! Rows that cannot be read are moved into a table of their own, with everything that goes with them, each as the
//! statement that puts it back: nothing is lost, and the rest works. The table is made when it is needed first, so that it
//! is no schema of its own. What is written here depends on the tables that there are, and not on the table of statements.

use super::table::Table;
use crate::damage::{Damage, Value};
use rusqlite::{Connection, OptionalExtension, Result, ToSql, types::ToSqlOutput, types::ValueRef};

const MAKE: &str = "CREATE TABLE IF NOT EXISTS set_aside (
    number INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL, -- milliseconds
    source TEXT NOT NULL,    -- the table
    row    TEXT NOT NULL,    -- what names it there
    why    TEXT NOT NULL,
    back   BLOB NOT NULL     -- the statement that puts it back
) STRICT";

impl ToSql for Value {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text),
            Self::Blob(blob) => ValueRef::Blob(blob),
        }))
    }
}

/// How many rows were ever set aside.
pub(super) fn count(connection: &Connection) -> Result<u64> {
    let there = "SELECT 1 FROM sqlite_schema WHERE name = 'set_aside'";
    let there = connection.query_row(there, [], |_| Ok(())).optional()?;
    if there.is_none() {
        return Ok(0);
    }
    connection.query_row("SELECT COUNT(*) FROM set_aside", [], |row| {
        row.get::<_, i64>(0)
            .map(|count| u64::try_from(count).unwrap_or_default())
    })
}

/// Moves a row, and what would be removed with it. To be called in a transaction, with foreign keys on.
pub(super) fn set_aside(connection: &Connection, table: &Table, damage: &Damage) -> Result<()> {
    connection.execute(MAKE, [])?;
    let matches = table.key.iter().enumerate();
    let matches: Vec<_> = matches
        .map(|(at, column)| format!("{} IS ?{}", quoted(column), at + 1))
        .collect();
    let which = Which {
        table: table.name,
        matches: matches.join(" AND "),
        key: &damage.key,
    };
    keep_with_what_goes(connection, &which, damage)?;
    let remove = format!(
        "DELETE FROM {} WHERE {}",
        quoted(which.table),
        which.matches
    );
    connection.execute(&remove, rusqlite::params_from_iter(which.key))?;
    Ok(())
}

/// Rows of a table.
struct Which<'a> {
    table: &'a str,
    /// The condition, whose parameters are from the first on the key.
    matches: String,
    key: &'a [Value],
}

/// Writes down rows, then those of other tables that are removed with them.
fn keep_with_what_goes(connection: &Connection, which: &Which<'_>, damage: &Damage) -> Result<()> {
    keep(connection, which, damage)?;
    for child in children(connection, which.table)? {
        let parents = format!(
            "SELECT {} FROM {} WHERE {}",
            quoted(&child.to),
            quoted(which.table),
            which.matches
        );
        let children = Which {
            table: &child.table,
            matches: format!("{} IN ({parents})", quoted(&child.from)),
            key: which.key,
        };
        keep_with_what_goes(connection, &children, damage)?;
    }
    Ok(())
}

fn keep(connection: &Connection, which: &Which<'_>, damage: &Damage) -> Result<()> {
    let columns = columns(connection, which.table)?;
    let names: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
    let values: Vec<_> = names.iter().map(|name| format!("quote({name})")).collect();
    let begins = format!(
        "INSERT INTO {} ({}) VALUES (",
        quoted(which.table),
        names.join(", ")
    );
    let next = which.key.len();
    let insert = format!(
        "INSERT INTO set_aside SELECT NULL, unixepoch() * 1000, ?{}, ?{}, ?{},
        CAST(?{} || {} || ')' AS BLOB) FROM {} WHERE {}",
        next + 1,
        next + 2,
        next + 3,
        next + 4,
        values.join(" || ', ' || "),
        quoted(which.table),
        which.matches
    );
    let mut params: Vec<&dyn ToSql> = which.key.iter().map(|it| it as &dyn ToSql).collect();
    let (table, row, why) = (&which.table, &damage.row, &damage.why);
    params.extend([table as &dyn ToSql, row, why, &begins]);
    connection.execute(&insert, &params[..])?;
    Ok(())
}

/// A table whose rows go with those of another one.
struct Child {
    table: String,
    /// Its column, and the one of the other table that it names.
    from: String,
    to: String,
}

fn children(connection: &Connection, parent: &str) -> Result<Vec<Child>> {
    // Without a column it is the other one's key.
    let sql = "SELECT s.name, f.\"from\", coalesce(f.\"to\", (SELECT name FROM pragma_table_info(?1) WHERE pk = 1))
        FROM sqlite_schema s JOIN pragma_foreign_key_list(s.name) f
        WHERE s.type = 'table' AND f.\"table\" = ?1 AND f.on_delete = 'CASCADE'";
    let mut statement = connection.prepare(sql)?;
    let children = statement.query_map([parent], |row| {
        Ok(Child {
            table: row.get(0)?,
            from: row.get(1)?,
            to: row.get(2)?,
        })
    })?;
    children.collect()
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<String>> {
    let sql = "SELECT name FROM pragma_table_info(?1) ORDER BY cid";
    let mut statement = connection.prepare(sql)?;
    let columns = statement.query_map([table], |row| row.get(0))?;
    columns.collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
