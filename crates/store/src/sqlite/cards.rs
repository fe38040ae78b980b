//! What users say of themselves.

use super::{backend::SqliteStore, columns::address, database::Database, sql::Sql};
use crate::{Answer, Cards};
use domain::{Address, Card, Record};
use rusqlite::{Result, Row, params};

impl Cards for SqliteStore {
    fn card(&self, user: &Address) -> Answer<Option<Card>> {
        let user = user.clone();
        self.readers
            .read(move |database| database.one(Sql::Card, [user.as_str()], card))
    }
}

pub(super) fn card(row: &Row<'_>) -> Result<Card> {
    Ok(Card {
        octets: row.get::<_, Vec<u8>>(0)?.into(),
        avatar: row.get(1)?,
    })
}

pub(super) fn record(row: &Row<'_>) -> Result<Record> {
    Ok(Record::Avatar(address(row, 0)?, row.get(1)?))
}

pub(super) fn put(database: &mut Database<'_>, user: &Address, card: &Card) -> Result<usize> {
    let params = params![user.as_str(), &card.octets[..], card.avatar];
    database.run(Sql::PutCard, params)
}
