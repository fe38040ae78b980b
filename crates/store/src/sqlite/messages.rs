//! The archive and the queues.

use super::{
    backend::{SqliteStore, rows},
    columns::{self, message, time},
    database::{Database, key},
    sql::Sql,
};
use crate::{Answer, Messages};
use domain::{Address, ArchivePage, ArchiveQuery, DeviceId, Message, MessageId, Unread};
use rusqlite::{Result, Row, params};

impl Messages for SqliteStore {
    fn message(&self, id: &MessageId) -> Answer<Option<Message>> {
        let id = id.clone();
        self.readers
            .read(move |database| database.one(Sql::Message, [id.as_str()], message))
    }

    fn archive(&self, user: &Address, query: &ArchiveQuery) -> Answer<Option<ArchivePage>> {
        self.page(user, query)
    }

    fn unread(&self, device: &DeviceId, message: Option<&MessageId>) -> Answer<Unread> {
        let params = (
            key(device.as_str()),
            message.map(|id| id.as_str().to_owned()),
        );
        self.readers.read(move |database| {
            let counts = |row: &Row<'_>| {
                Ok(Unread {
                    all: row.get(0)?,
                    of_writer: row.get(1)?,
                })
            };
            Ok(database
                .one(Sql::Unread, params, counts)?
                .unwrap_or_default())
        })
    }

    fn queued(&self, device: &DeviceId, limit: usize) -> Answer<Vec<Message>> {
        let params = (key(device.as_str()), rows(limit));
        self.readers
            .read(move |database| database.all(Sql::Queued, params, message))
    }
}

pub(super) fn archive(database: &mut Database<'_>, message: &Message) -> Result<usize> {
    let Message {
        id,
        tracking,
        from,
        from_name,
        to,
        at,
        class,
        content_type,
        body,
        about,
    } = message;
    let about = about.as_deref();
    database.run(
        Sql::Archive,
        params![
            id.as_str(),
            tracking.as_str(),
            from,
            from_name,
            to.as_str(),
            time(*at),
            columns::class_name(*class),
            content_type,
            &body[..],
            about.and_then(|it| it.subject.as_deref()),
            about.and_then(|it| it.lang.as_deref()),
        ],
    )
}
