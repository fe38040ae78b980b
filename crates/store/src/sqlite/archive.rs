//! The archive by whose it is: for each user who wrote or got a message a small row that leads to it (ADR 8).

use super::{
    backend::SqliteStore,
    columns::{self, message, time},
    database::{Database, key},
    sql::Sql,
};
use domain::{Address, ArchivePage, ArchiveQuery, Class, Message, MessageId, archive};
use rusqlite::{Result, params};
use std::{ops::RangeInclusive, sync::Arc};

impl SqliteStore {
    pub(super) fn page(
        &self,
        user: &Address,
        query: &ArchiveQuery,
    ) -> crate::Answer<Option<ArchivePage>> {
        let (user, query) = (user.clone(), query.clone());
        self.readers
            .read(move |database| page(database, &user, &query))
    }
}

/// Numbers of messages in an era, as a power of two. What comes at about the same time stands at the same place, whoever it is
/// of: so few pages are written with each message (ADR 8). Schema 3 and `Sql::ArchivePlace` know it as well.
const ERA: u32 = 10;

fn era(number: i64) -> i64 {
    number >> ERA
}

/// The message that was put into the table last is its users' from now on.
pub(super) fn index(database: &mut Database<'_>, message: &Message) -> Result<()> {
    if message.class == Class::Transient {
        return Ok(());
    }
    let (number, at) = (database.connection().last_insert_rowid(), time(message.at));
    for (owner, peer) in archive::sides(&message.from, &message.to) {
        let (owner, peer) = (owner.as_str(), key(&peer));
        let row = params![era(number), key(owner), number, at, peer, owner];
        database.run(Sql::Index, row)?;
    }
    Ok(())
}

/// The message of this number, which goes, is nobody's any more.
pub(super) fn unindex(
    database: &mut Database<'_>,
    number: i64,
    from: &str,
    to: &Address,
) -> Result<()> {
    for (owner, _) in archive::sides(from, to) {
        let row = params![era(number), key(owner.as_str()), number];
        database.run(Sql::Unindex, row)?;
    }
    Ok(())
}

/// Whether the message of this number is in the archive of anybody.
pub(super) fn is_anybodys(
    database: &mut Database<'_>,
    number: i64,
    from: &str,
    to: &Address,
) -> Result<bool> {
    for (owner, _) in archive::sides(from, to) {
        let row = params![era(number), key(owner.as_str()), number];
        if database.one(Sql::IsIndexed, row, |_| Ok(()))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A user goes, and with them what they had in the archive.
pub(super) fn forget(database: &mut Database<'_>, user: &str) -> Result<()> {
    for era in eras(database)? {
        database.run(Sql::ForgetEra, params![era, key(user)])?;
    }
    Ok(())
}

/// All that there are, and perhaps empty ones between them.
fn eras(database: &mut Database<'_>) -> Result<RangeInclusive<i64>> {
    let mut end = |statement| database.one(statement, [], |row| row.get::<_, Option<i64>>(0));
    let (first, last) = (end(Sql::FirstEra)?, end(Sql::LastEra)?);
    let (first, last) = (first.flatten().unwrap_or(0), last.flatten().unwrap_or(-1));
    Ok(first..=last)
}

fn page(
    database: &mut Database<'_>,
    user: &Address,
    query: &ArchiveQuery,
) -> Result<Option<ArchivePage>> {
    let owner = key(user.as_str());
    let mut places = |ids: &[MessageId]| places(database, owner, ids);
    let (Some(after), Some(before), Some(mut ids)) = (
        places(&query.after)?,
        places(&query.before)?,
        places(&query.ids)?,
    ) else {
        return Ok(None);
    };
    let after = after.into_iter().max().unwrap_or(i64::MIN);
    let before = before.into_iter().min().unwrap_or(i64::MAX);
    let mut rows = Vec::new();
    if ids.is_empty() {
        rows = between(database, owner, query, (after, before))?;
    }
    ids.sort_unstable();
    ids.dedup();
    if query.from_end {
        ids.reverse();
    }
    for number in ids.into_iter().filter(|it| after < *it && *it < before) {
        rows.extend(between(database, owner, query, (number - 1, number + 1))?);
    }
    Ok(Some(ArchivePage::of(query, rows)))
}

/// What is asked for of the messages between two numbers, in the direction in which it is asked: a page of it, and one more.
fn between(
    database: &mut Database<'_>,
    owner: i64,
    query: &ArchiveQuery,
    (after, before): (i64, i64),
) -> Result<Vec<Arc<Message>>> {
    let there = eras(database)?;
    let mut wanted = era(after).max(*there.start())..=era(before).min(*there.end());
    let statement = if query.from_end {
        Sql::ArchiveLast
    } else {
        Sql::ArchiveFirst
    };
    let most = query.rows() + 1;
    let mut rows = Vec::new();
    while rows.len() < most
        && let Some(era) = if query.from_end {
            wanted.next_back()
        } else {
            wanted.next()
        }
    {
        let params = params![
            era,
            owner,
            after,
            before,
            query.start.map_or(0, time),
            query.end.map_or(i64::MAX, time),
            query.with.as_deref().map(key),
            columns::number(most - rows.len()),
        ];
        rows.extend(database.all(statement, params, |row| message(row).map(Arc::new))?);
    }
    Ok(rows)
}

/// The numbers of these messages; `None`: one of them is not in the archive of this owner.
fn places(database: &mut Database<'_>, owner: i64, ids: &[MessageId]) -> Result<Option<Vec<i64>>> {
    let place = |id: &MessageId| {
        database.one(Sql::ArchivePlace, params![owner, id.as_str()], |row| {
            row.get(0)
        })
    };
    ids.iter().map(place).collect()
}
