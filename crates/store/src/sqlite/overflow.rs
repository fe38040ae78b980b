//! What is to wait for a device, and waits in the archive since its queue was full.

use super::{
    columns::{address, count, number},
    database::{Database, key},
    sql::Sql,
};
use domain::{Address, DeviceId, Record};
use rusqlite::{Result, Row, params};

/// What went over for a device.
struct Over {
    user: Address,
    /// Where it begins.
    first: i64,
    messages: u64,
}

fn over(row: &Row<'_>) -> Result<Over> {
    Ok(Over {
        user: address(row, 0)?,
        first: row.get(1)?,
        messages: count(row, 2)?,
    })
}

pub(super) fn record(row: &Row<'_>, id: &DeviceId) -> Result<Record> {
    Ok(Record::Over(id.clone(), count(row, 1)?))
}

/// The next ones wait in the queue again.
pub(super) fn refill(database: &mut Database<'_>, device: &DeviceId, most: u64) -> Result<usize> {
    let device = key(device.as_str());
    let Some(over) = database.one(Sql::Overflow, [device], over)? else {
        return Ok(0);
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let found = behind(database, &over, most)?;
    for message in &found {
        database.run(Sql::QueueNumber, [device, *message])?;
    }
    let many = found.len() as u64;
    match found.last() {
        Some(last) if found.len() == most && many < over.messages => {
            let left = i64::try_from(over.messages - many).unwrap_or(i64::MAX);
            database.run(Sql::MoveOverflow, [device, last + 1, left])
        }
        _ => database.run(Sql::RemoveOverflow, [device]),
    }
}

/// The next messages that a user got, from there on.
fn behind(database: &mut Database<'_>, over: &Over, most: usize) -> Result<Vec<i64>> {
    let last: Option<i64> = database.one(Sql::LastEra, [], |row| row.get(0))?.flatten();
    let (user, mut found) = (over.user.as_str(), Vec::new());
    for era in (over.first >> 10)..=last.unwrap_or(-1) {
        if found.len() >= most {
            break;
        }
        let left = number(most - found.len());
        let params = params![era, key(user), over.first, user, left];
        found.extend(database.all(Sql::GotBehind, params, |row| row.get::<_, i64>(0))?);
    }
    Ok(found)
}
