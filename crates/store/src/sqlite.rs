//! The store in SQLite: one thread writes ([`writer`]), others read ([`readers`]), through a write-ahead log, so that
//! neither waits for the other. Other processes may open the same file.

mod apply;
mod columns;
mod desk;
mod failure;
mod open;
mod readers;
mod sql;
mod writer;

use crate::{Answer, OpenError, Pruned, Snapshot, Stats, Store, Story, Unread, limits};
use domain::{
    Address, Change, Device, DeviceId, Message, MessageId, Timestamp, TraceEvent, TrackingId, User,
    change::HistoryEntry,
};
use readers::Readers;
use rusqlite::{Connection, OptionalExtension, Params, Result, Row, params};
use std::{path::Path, sync::Arc};
use writer::Writer;

/// See the module.
pub(crate) struct SqliteStore {
    writer: Arc<Writer>,
    readers: Readers,
}

impl SqliteStore {
    pub(crate) fn open(path: &Path) -> std::result::Result<Self, OpenError> {
        let writing = open::for_writing(path)?;
        let reading = (0..limits::READERS)
            .map(|_| open::for_reading(path))
            .collect::<std::result::Result<_, _>>()?;
        Ok(Self {
            writer: Arc::new(Writer::start(writing, path)?),
            readers: Readers::start(reading, path)?,
        })
    }

    fn step(
        &self,
        changes: Vec<Change>,
    ) -> impl FnOnce(&Connection) -> std::result::Result<(), crate::StoreError> + use<> {
        let counters = self.writer.counters();
        move |connection: &Connection| apply::step(connection, &changes, &counters)
    }
}

impl Store for SqliteStore {
    fn commit(&self, changes: Vec<Change>) -> Answer<()> {
        self.writer.save(self.step(changes))
    }

    fn note(&self, changes: Vec<Change>) {
        self.writer.note(self.step(changes));
    }

    fn load(&self) -> Answer<Snapshot> {
        self.readers.read(|database| {
            Ok(Snapshot {
                users: users(database)?,
                devices: devices(database)?,
                owed: all(database, sql::OWED, [], columns::owed)?,
                queues: all(database, sql::QUEUE_LENGTHS, [], |row| {
                    Ok((DeviceId(row.get(0)?), columns::count(row, 1)?))
                })?,
                unclaimed: all(database, sql::UNCLAIMED, [], |row| {
                    Ok((columns::address(row, 0)?, columns::count(row, 1)?))
                })?,
            })
        })
    }

    fn user(&self, address: &Address) -> Answer<Option<User>> {
        let address = address.clone();
        self.readers
            .read(move |database| one(database, sql::USER, [address.as_str()], columns::user))
    }

    fn users(&self) -> Answer<Vec<User>> {
        self.readers.read(users)
    }

    fn device(&self, id: &DeviceId) -> Answer<Option<Device>> {
        let id = id.clone();
        self.readers
            .read(move |database| one(database, sql::DEVICE, [id.0], columns::device))
    }

    fn devices(&self, user: Option<&Address>) -> Answer<Vec<Device>> {
        let user = user.cloned();
        self.readers.read(move |database| match user {
            None => devices(database),
            Some(user) => all(
                database,
                sql::DEVICES_OF_USER,
                [user.as_str()],
                columns::device,
            ),
        })
    }

    fn history(&self, device: &DeviceId, limit: usize) -> Answer<Vec<HistoryEntry>> {
        let params = (device.0.clone(), rows(limit));
        self.readers
            .read(move |database| all(database, sql::HISTORY, params, columns::history))
    }

    fn queued(&self, device: &DeviceId, limit: usize) -> Answer<Vec<Message>> {
        let params = (device.0.clone(), rows(limit));
        self.readers
            .read(move |database| all(database, sql::QUEUED, params, columns::message))
    }

    fn queue_length(&self, device: &DeviceId) -> Answer<u64> {
        let device = device.clone();
        self.readers.read(move |database| {
            let length = one(database, sql::QUEUE_LENGTH, [device.0], |row| {
                columns::count(row, 0)
            });
            Ok(length?.unwrap_or(0))
        })
    }

    fn unread(&self, device: &DeviceId) -> Answer<Vec<Unread>> {
        let device = device.clone();
        self.readers.read(move |database| {
            all(database, sql::UNREAD, [device.0], |row| {
                Ok(Unread {
                    from: row.get(0)?,
                    messages: columns::count(row, 1)?,
                })
            })
        })
    }

    fn message(&self, id: &MessageId) -> Answer<Option<Message>> {
        let id = id.clone();
        self.readers
            .read(move |database| one(database, sql::MESSAGE, [id.0], columns::message))
    }

    fn archive(
        &self,
        user: &Address,
        before: Option<&MessageId>,
        limit: usize,
    ) -> Answer<Vec<Message>> {
        let (user, before) = (user.clone(), before.cloned());
        self.readers.read(move |database| {
            let end = match before {
                None => i64::MAX,
                Some(id) => one(database, sql::MESSAGE_NUMBER, [id.0], |row| row.get(0))?
                    .unwrap_or_default(),
            };
            let params = params![user.as_str(), end, rows(limit)];
            all(database, sql::MESSAGES_OF_USER, params, columns::message)
        })
    }

    fn trace(&self, id: &str) -> Answer<Vec<TraceEvent>> {
        let params = (id.to_owned(), rows(usize::MAX));
        self.readers
            .read(move |database| all(database, sql::EVENTS, params, columns::event))
    }

    fn recent_traces(&self, limit: usize) -> Answer<Vec<Story>> {
        self.readers.read(move |database| {
            all(database, sql::RECENT_STORIES, [rows(limit)], |row| {
                Ok(Story {
                    tracking: TrackingId(row.get(0)?),
                    began: columns::timestamp(row, 1)?,
                    first: columns::step(row, 2)?,
                    summary: row.get(3)?,
                    last: columns::step(row, 4)?,
                })
            })
        })
    }

    fn prune(&self, before: Timestamp) -> Answer<Pruned> {
        let writer = Arc::clone(&self.writer);
        Box::pin(async move {
            let mut pruned = Pruned::default();
            loop {
                let bite = writer.save(move |database| apply::prune(database, before));
                match bite.await? {
                    bite if bite == Pruned::default() => return Ok(pruned),
                    bite => pruned += bite,
                }
            }
        })
    }

    fn changed_elsewhere(&self) -> Answer<bool> {
        self.writer.changed_elsewhere()
    }

    fn stats(&self) -> Stats {
        self.writer.stats()
    }

    fn close(&self) -> Answer<()> {
        let closed = self.writer.close(self.readers.close());
        Box::pin(async move {
            closed.await;
            Ok(())
        })
    }
}

fn users(database: &Connection) -> Result<Vec<User>> {
    let mut users = all(database, sql::USERS, [], columns::user)?;
    users.sort_unstable_by(|a, b| a.address.cmp(&b.address));
    Ok(users)
}

fn devices(database: &Connection) -> Result<Vec<Device>> {
    let mut devices = all(database, sql::DEVICES, [], columns::device)?;
    devices.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    Ok(devices)
}

fn rows(limit: usize) -> i64 {
    columns::number(limit.min(limits::READ_ROWS))
}

fn all<T>(
    database: &Connection,
    statement: &str,
    params: impl Params,
    row: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = database.prepare_cached(statement)?;
    statement.query_map(params, row)?.collect()
}

fn one<T>(
    database: &Connection,
    statement: &str,
    params: impl Params,
    row: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = database.prepare_cached(statement)?;
    statement.query_row(params, row).optional()
}
