//! Apps whose credentials are kept here.

use super::{
    backend::SqliteStore,
    columns::{name, time, timestamp},
    database::Database,
    sql::Sql,
    wiping::wiping,
};
use crate::{Answer, PushApps};
use domain::{AppId, SealedApp};
use rusqlite::{Result, Row, params};

impl PushApps for SqliteStore {
    fn push_apps(&self) -> Answer<Vec<SealedApp>> {
        self.readers
            .read(|database| database.all(Sql::PushApps, [], sealed))
    }
}

pub(super) fn sealed(row: &Row<'_>) -> Result<SealedApp> {
    Ok(SealedApp {
        app: name(row, 0)?,
        sealed: row.get(1)?,
        made_at: timestamp(row, 2)?,
    })
}

/// What was there before is overwritten.
pub(super) fn put(database: &mut Database<'_>, app: &SealedApp) -> Result<usize> {
    let params = params![app.app.as_str(), app.sealed, time(app.made_at)];
    wiping(database, |database| database.run(Sql::PutPushApp, params))
}

/// It is overwritten, wherever it lay.
pub(super) fn remove(database: &mut Database<'_>, app: &AppId) -> Result<usize> {
    wiping(database, |database| {
        database.run(Sql::RemovePushApp, [app.as_str()])
    })
}
