//! What clients get tokens by.

use super::{
    backend::{SqliteStore, rows},
    columns::{address, name, number, time, timestamp},
    database::Database,
    sql::Sql,
};
use crate::{Answer, Grants, limits};
use domain::{Address, Grant, Timestamp};
use rusqlite::{Result, Row, params};

impl Grants for SqliteStore {
    fn grant(&self, user: &Address, id: &str) -> Answer<Option<Grant>> {
        let (user, id) = (user.clone(), id.to_owned());
        self.readers.read(move |database| {
            let params = params![user.as_str(), id];
            database.one(Sql::Grant, params, grant)
        })
    }

    fn old_grants(&self, before: Timestamp, limit: usize) -> Answer<Vec<Grant>> {
        self.readers.read(move |database| {
            let params = params![time(before), rows(limit)];
            database.all(Sql::OldGrants, params, grant)
        })
    }
}

pub(super) fn grant(row: &Row<'_>) -> Result<Grant> {
    Ok(Grant {
        user: address(row, 0)?,
        id: name(row, 1)?,
        turn: row.get(2)?,
        at: timestamp(row, 3)?,
    })
}

pub(super) fn put(database: &mut Database<'_>, grant: &Grant) -> Result<usize> {
    let Grant { user, id, turn, at } = grant;
    let user = user.as_str();
    let rows = database.run(Sql::PutGrant, params![user, id, turn, time(*at)])?;
    // This one stays, whatever clock the others were used by.
    let others = number(limits::GRANTS - 1);
    database.run(Sql::LimitGrants, params![user, id, others])?;
    Ok(rows)
}
