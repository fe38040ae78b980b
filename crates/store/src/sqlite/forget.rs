//! Who has no account any more is forgotten, a bite at a time, so that commits get in between.

use super::{archive, columns::number, database::Database, retention, sql::Sql, stories, wiping};
use crate::{Forgotten, limits};
use domain::trace::Named;
use rusqlite::{Result, params};

/// How far it came.
#[derive(Clone, Copy, Default)]
pub(super) struct Progress {
    pub(super) forgotten: Forgotten,
    /// The stories and the messages up to these were looked at.
    looked_at: (i64, i64),
    pub(super) done: bool,
}

/// One more bite.
pub(super) fn bite(database: &mut Database<'_>, who: &Named, so_far: Progress) -> Result<Progress> {
    let mut now = so_far;
    wiping::wiping(database, |database| {
        stories_of(database, who, &mut now)?;
        messages_of(database, who, &mut now)
    })?;
    now.done = now.looked_at == so_far.looked_at;
    Ok(now)
}

fn stories_of(database: &mut Database<'_>, who: &Named, now: &mut Progress) -> Result<()> {
    for story in stories::behind(database, now.looked_at.0)? {
        now.looked_at.0 = story;
        let events = stories::events(database, story)?;
        if events.iter().any(|event| who.is_in(event)) {
            database.run(Sql::RemoveStory, [story])?;
            now.forgotten.stories += 1;
        }
    }
    Ok(())
}

fn messages_of(database: &mut Database<'_>, who: &Named, now: &mut Progress) -> Result<()> {
    let rows = params![number(limits::LOOK), now.looked_at.1];
    for message in database.all(Sql::OldestMessages, rows, retention::old)? {
        now.looked_at.1 = message.number;
        if message.is_of(&who.user)
            && !message.waits
            && !archive::is_anybodys(database, message.number, &message.from, &message.to)?
        {
            database.run(Sql::RemoveStoryOfMessage, [message.number])?;
            database.run(Sql::RemoveMessage, [message.number])?;
            now.forgotten.messages += 1;
        }
    }
    Ok(())
}
