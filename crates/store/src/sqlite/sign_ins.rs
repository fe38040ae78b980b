//! Tokens that clients sign in with.

use super::{
    backend::SqliteStore,
    columns::{address, name, number, time, timestamp},
    database::Database,
    sql::Sql,
};
use crate::{Answer, SignIns, limits};
use domain::{Address, SignInTokens};
use rusqlite::{Result, Row, params};

impl SignIns for SqliteStore {
    fn sign_in_tokens(&self, user: &Address, client: &str) -> Answer<Option<SignInTokens>> {
        let (user, client) = (user.clone(), client.to_owned());
        self.readers.read(move |database| {
            let params = params![user.as_str(), client];
            database.one(Sql::SignInTokens, params, tokens)
        })
    }
}

pub(super) fn tokens(row: &Row<'_>) -> Result<SignInTokens> {
    let data: Vec<u8> = row.get(3)?;
    Ok(SignInTokens {
        user: address(row, 0)?,
        client: name(row, 1)?,
        at: timestamp(row, 2)?,
        data: data.into(),
    })
}

pub(super) fn put(database: &mut Database<'_>, tokens: &SignInTokens) -> Result<usize> {
    let SignInTokens {
        user,
        client,
        at,
        data,
    } = tokens;
    let user = user.as_str();
    if data.is_empty() {
        return database.run(Sql::RemoveSignInTokens, params![user, client]);
    }
    let params = params![user, client, time(*at), &data[..]];
    let rows = database.run(Sql::PutSignInTokens, params)?;
    let most = number(limits::SIGN_IN_TOKENS);
    database.run(Sql::LimitSignInTokens, params![user, most])?;
    Ok(rows)
}
