//! Sessions whose clients have no connection.

use super::{
    backend::SqliteStore,
    columns::{address, name, number, time, timestamp},
    database::Database,
    sql::Sql,
};
use crate::{Answer, Sessions, limits};
use domain::{Address, KeptSession, Record};
use rusqlite::{Result, Row, params};

impl Sessions for SqliteStore {
    fn sessions(&self, user: &Address) -> Answer<Vec<KeptSession>> {
        let user = user.clone();
        self.readers.read(move |database| {
            let most = number(limits::SESSIONS);
            database.all(Sql::SessionsOf, params![user.as_str(), most], session)
        })
    }
}

fn session(row: &Row<'_>) -> Result<KeptSession> {
    let data: Vec<u8> = row.get(3)?;
    Ok(KeptSession {
        user: address(row, 0)?,
        name: name(row, 1)?,
        until: timestamp(row, 2)?,
        data: data.into(),
    })
}

pub(super) fn record(row: &Row<'_>) -> Result<Record> {
    session(row).map(Record::Session)
}

pub(super) fn put(database: &mut Database<'_>, session: &KeptSession) -> Result<usize> {
    let KeptSession {
        user,
        name,
        until,
        data,
    } = session;
    let user = user.as_str();
    if data.is_empty() {
        return database.run(Sql::RemoveSession, params![user, name]);
    }
    let params = params![user, name, time(*until), &data[..]];
    database.run(Sql::PutSession, params)
}
