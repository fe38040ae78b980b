//! Invitations.

use super::{
    backend::SqliteStore,
    columns::{maybe_text, name, time, timestamp},
    database::Database,
    sql::Sql,
};
use crate::{Answer, Invitations};
use domain::{Address, Invitation};
use rusqlite::{Result, Row, params};

impl Invitations for SqliteStore {
    fn invitation(&self, token: &str) -> Answer<Option<Invitation>> {
        let token = token.to_owned();
        self.readers
            .read(move |database| database.one(Sql::Invitation, [token], invitation))
    }
}

pub(super) fn invitation(row: &Row<'_>) -> Result<Invitation> {
    // What is no address is good for nobody's.
    let address = |column| -> Result<Option<Address>> {
        Ok(maybe_text(row, column)?.and_then(|it| it.parse().ok()))
    };
    Ok(Invitation {
        token: name(row, 0)?,
        inviter: address(1)?,
        address: address(2)?,
        expires_at: timestamp(row, 3)?,
    })
}

pub(super) fn put(database: &mut Database<'_>, invitation: &Invitation) -> Result<usize> {
    let Invitation {
        token,
        inviter,
        address,
        expires_at,
    } = invitation;
    let text = |it: &Option<Address>| it.as_ref().map(|it| it.as_str().to_owned());
    let params = params![&**token, text(inviter), text(address), time(*expires_at)];
    database.run(Sql::Invite, params)
}
