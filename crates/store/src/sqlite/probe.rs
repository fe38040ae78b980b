//! Whether the database can be written: as much as an ordinary step writes, to the disk, and away again.

use super::{database::Database, failure::store_error, sql::Sql};
use crate::{StoreError, limits};
use rusqlite::Params;

/// Three transactions: what a probe that broke off has left is removed, this one is written, and removed. The middle one
/// needs room that is not there already.
pub(super) fn probe(database: &mut Database<'_>) -> Result<(), StoreError> {
    step(database, Sql::RemoveProbe, [])?;
    let octets = i64::try_from(limits::PROBE).unwrap_or(i64::MAX);
    step(database, Sql::PutProbe, [octets])?;
    step(database, Sql::RemoveProbe, [])
}

fn step(
    database: &mut Database<'_>,
    statement: Sql,
    params: impl Params,
) -> Result<(), StoreError> {
    database.transaction(Sql::Begin, |database| {
        database
            .run(statement, params)
            .map(drop)
            .map_err(store_error)
    })
}
