//! Retention: what is old goes, in the order of arrival and a bite at a time, so that commits get in between.

use super::{
    archive,
    columns::{address, name, number, time, timestamp},
    database::Database,
    sql::Sql,
};
use crate::{Pruned, limits};
use domain::{Address, Timestamp, archive::sides};
use rusqlite::{Result, Row, params};

/// How far retention came.
#[derive(Clone, Copy, Default)]
pub(super) struct Progress {
    pub(super) pruned: Pruned,
    /// The messages up to this one were looked at: those that are left of them wait for somebody.
    looked_at: i64,
    pub(super) done: bool,
}

/// A message that may go.
pub(super) struct Old {
    pub(super) number: i64,
    at: Timestamp,
    pub(super) waits: bool,
    pub(super) from: String,
    pub(super) to: Address,
}

impl Old {
    /// Whether somebody wrote or got it.
    pub(super) fn is_of(&self, user: &Address) -> bool {
        sides(&self.from, &self.to).any(|(owner, _)| owner == *user)
    }
}

/// One of [`Sql::OldestMessages`].
pub(super) fn old(row: &Row<'_>) -> Result<Old> {
    Ok(Old {
        number: row.get(0)?,
        at: timestamp(row, 1)?,
        waits: row.get(2)?,
        from: name(row, 3)?,
        to: address(row, 4)?,
    })
}

/// One more bite.
pub(super) fn bite(
    database: &mut Database<'_>,
    before: Timestamp,
    so_far: Progress,
) -> Result<Progress> {
    let mut now = so_far;
    now.pruned.stories += oldest_of(database, before, Sql::OldestStories, Sql::RemoveStory)?;
    now.pruned.history += oldest_of(database, before, Sql::OldestHistory, Sql::RemoveHistory)?;
    database.run(Sql::RemoveInvitations, [time(before)])?;
    messages(database, before, &mut now)?;
    now.done = now.pruned == so_far.pruned && now.looked_at == so_far.looked_at;
    Ok(now)
}

fn oldest_of(
    database: &mut Database<'_>,
    before: Timestamp,
    oldest: Sql,
    remove: Sql,
) -> Result<u64> {
    let rows = database.all(oldest, [number(limits::PRUNE_ROWS)], |row| {
        Ok((row.get::<_, i64>(0)?, timestamp(row, 1)?))
    })?;
    let mut removed = 0;
    for (number, _) in rows.into_iter().take_while(|(_, at)| *at < before) {
        database.run(remove, [number])?;
        removed += 1;
    }
    Ok(removed)
}

fn messages(database: &mut Database<'_>, before: Timestamp, now: &mut Progress) -> Result<()> {
    let rows = params![number(limits::PRUNE_ROWS), now.looked_at];
    let rows = database.all(Sql::OldestMessages, rows, old)?;
    for old in rows.into_iter().take_while(|old| old.at < before) {
        now.looked_at = old.number;
        if !old.waits {
            archive::unindex(database, old.number, &old.from, &old.to)?;
            database.run(Sql::RemoveMessage, [old.number])?;
            now.pruned.messages += 1;
        }
    }
    Ok(())
}
