//! Whom users block.

use super::{
    backend::SqliteStore,
    columns::{address, number, text},
    database::Database,
    sql::Sql,
};
use crate::{Answer, Blocks, limits};
use domain::{Address, Record};
use rusqlite::{Result, Row, params};

impl Blocks for SqliteStore {
    fn blocked(&self, user: &Address) -> Answer<Vec<Box<str>>> {
        let user = user.clone();
        self.readers.read(move |database| {
            let most = number(limits::BLOCKS);
            database.all(Sql::BlockedBy, params![user.as_str(), most], |row| {
                Ok(text(row, 0)?.into())
            })
        })
    }
}

pub(super) fn block(database: &mut Database<'_>, user: &Address, peer: &str) -> Result<usize> {
    database.run(Sql::Block, [user.as_str(), peer])
}

pub(super) fn record(row: &Row<'_>) -> Result<Record> {
    Ok(Record::Blocked(address(row, 0)?, text(row, 1)?.into()))
}
