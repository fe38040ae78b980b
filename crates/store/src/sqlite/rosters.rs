//! Rosters.

use super::{
    backend::SqliteStore,
    columns::{address, name, number, text},
    database::Database,
    sql::Sql,
};
use crate::{Answer, Rosters, limits};
use domain::{
    Address,
    roster::{Contact, Direction},
};
use rusqlite::{Result, Row, params};

/// Between two groups: a character that no XML may have, and so no name of a group.
const BETWEEN: char = '\u{1f}';
/// How far a direction of a subscription got, in a column.
const DIRECTIONS: [Direction; 3] = [Direction::None, Direction::Pending, Direction::Subscribed];

impl Rosters for SqliteStore {
    fn roster(&self, user: &Address) -> Answer<Vec<Contact>> {
        let user = user.clone();
        self.readers.read(move |database| {
            let most = number(limits::CONTACTS);
            database.all(Sql::Roster, params![user.as_str(), most], contact)
        })
    }
}

pub(super) fn contact(row: &Row<'_>) -> Result<Contact> {
    let groups = text(row, 3)?.split(BETWEEN);
    let bytes: Vec<u8> = row.get(8)?;
    Ok(Contact {
        user: address(row, 0)?,
        peer: address(row, 1)?,
        name: name(row, 2)?,
        groups: groups
            .filter(|group| !group.is_empty())
            .map(str::to_owned)
            .collect(),
        to: direction(row, 4)?,
        from: direction(row, 5)?,
        approved: row.get(6)?,
        is_listed: row.get(7)?,
        asked: bytes.into(),
    })
}

/// What no version wrote is no subscription.
fn direction(row: &Row<'_>, column: usize) -> Result<Direction> {
    let place: u32 = row.get(column)?;
    let place = usize::try_from(place).unwrap_or_default();
    Ok(DIRECTIONS.get(place).copied().unwrap_or_default())
}

pub(super) fn put(database: &mut Database<'_>, contact: &Contact) -> Result<usize> {
    let place = |direction| {
        let place = DIRECTIONS.iter().position(|it| *it == direction);
        number(place.unwrap_or_default())
    };
    let Contact {
        user,
        peer,
        name,
        groups,
        to,
        from,
        approved,
        is_listed,
        asked,
    } = contact;
    let groups = groups.join(BETWEEN.encode_utf8(&mut [0; 4]));
    database.run(
        Sql::PutContact,
        params![
            user.as_str(),
            peer.as_str(),
            name,
            groups,
            place(*to),
            place(*from),
            approved,
            is_listed,
            &asked[..]
        ],
    )
}
