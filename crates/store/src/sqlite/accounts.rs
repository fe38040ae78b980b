//! Accounts.

use super::{
    backend::SqliteStore,
    columns::{address, name},
    database::Database,
    sql::Sql,
};
use crate::{Accounts, Answer};
use domain::{
    Address, User,
    user::{Scram, Secrets},
};
use rusqlite::{Result, Row, params};

impl Accounts for SqliteStore {
    fn user(&self, address: &Address) -> Answer<Option<User>> {
        let address = address.clone();
        self.readers
            .read(move |database| database.one(Sql::User, [address.as_str()], user))
    }

    fn users(&self) -> Answer<Vec<User>> {
        self.readers
            .read(|database| database.all(Sql::Users, [], user))
    }
}

pub(super) fn user(row: &Row<'_>) -> Result<User> {
    Ok(User {
        address: address(row, 0)?,
        display_name: name(row, 1)?,
        secrets: Secrets {
            md5: name(row, 2)?,
            sha256: name(row, 3)?,
            scram: scram(row, 5)?,
            mark: row.get(6)?,
        },
        forward: row.get(4)?,
    })
}

/// What cannot be read is made anew when the password is set.
fn scram(row: &Row<'_>, column: usize) -> Result<Option<Box<Scram>>> {
    let bytes = row.get_ref(column)?.as_bytes_or_null()?;
    Ok(bytes.and_then(Scram::decode).map(Box::new))
}

pub(super) fn put(database: &mut Database<'_>, user: &User) -> Result<usize> {
    let User {
        address,
        display_name,
        secrets,
        forward,
    } = user;
    // Tokens that follow on those from before would be no good.
    let before = params![address.as_str(), secrets.sha256, secrets.mark];
    database.run(Sql::EndGrants, before)?;
    database.run(
        Sql::PutUser,
        params![
            address.as_str(),
            display_name,
            secrets.md5,
            secrets.sha256,
            forward,
            secrets.scram.as_ref().map(|scram| scram.encode()),
            secrets.mark,
        ],
    )
}
