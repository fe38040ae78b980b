//! The archive and the queues.

use super::{
    backend::{SqliteStore, rows},
    columns::{address, name, named, time, timestamp},
    database::{Database, key},
    sql::Sql,
};
use crate::{Answer, Messages};
use domain::{Class, DeviceId, Message, MessageId};
use rusqlite::{Result, Row, params};

const CLASSES: &[Class] = &[Class::Chat, Class::Notice, Class::Transient];

fn class_name(class: Class) -> &'static str {
    match class {
        Class::Chat => "chat",
        Class::Notice => "notice",
        Class::Transient => "transient",
    }
}

impl Messages for SqliteStore {
    fn message(&self, id: &MessageId) -> Answer<Option<Message>> {
        let id = id.clone();
        self.readers
            .read(move |database| database.one(Sql::Message, [id.as_str()], message))
    }

    fn queued(&self, device: &DeviceId, limit: usize) -> Answer<Vec<Message>> {
        let params = (key(device.as_str()), rows(limit));
        self.readers
            .read(move |database| database.all(Sql::Queued, params, message))
    }
}

fn message(row: &Row<'_>) -> Result<Message> {
    Ok(Message {
        id: name(row, 0)?,
        tracking: name(row, 1)?,
        from: name(row, 2)?,
        from_name: name(row, 3)?,
        to: address(row, 4)?,
        at: timestamp(row, 5)?,
        class: named(row, 6, CLASSES, class_name)?,
        content_type: name(row, 7)?,
        body: row.get::<_, Vec<u8>>(8)?.into(),
    })
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
    } = message;
    database.run(
        Sql::Archive,
        params![
            id.as_str(),
            tracking.as_str(),
            from,
            from_name,
            to.as_str(),
            time(*at),
            class_name(*class),
            content_type,
            &body[..],
        ],
    )
}
