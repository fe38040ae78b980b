//! Reading everything at start: the tables side by side, each in the order of the devices' keys, so that nothing is
//! sorted, looked up or collected.

use super::{
    accounts, blocks, cards,
    columns::{address, count},
    database::Database,
    devices,
    failure::store_error,
    outbox, overflow, sessions,
    sql::Sql,
};
use crate::{StoreError, store::Sink};
use domain::{DeviceId, Record};
use rusqlite::{
    Connection, Result, Row, Rows, Statement,
    fallible_streaming_iterator::FallibleStreamingIterator,
};

/// All records, as of one moment.
pub(super) fn all(
    database: &mut Database<'_>,
    mut sink: Sink,
) -> std::result::Result<(), StoreError> {
    let connection = database.connection();
    database.transaction(Sql::BeginReading, |_| {
        stream(connection, &mut sink).map_err(store_error)
    })
}

fn stream(connection: &Connection, sink: &mut Sink) -> Result<()> {
    let prepare = |statement: Sql| connection.prepare(statement.text());
    each(prepare(Sql::Users)?, |row| {
        sink(Record::User(accounts::user(row)?));
        Ok(())
    })?;

    each(prepare(Sql::Blocked)?, |row| {
        sink(blocks::record(row)?);
        Ok(())
    })?;

    each(prepare(Sql::Avatars)?, |row| {
        sink(cards::record(row)?);
        Ok(())
    })?;

    each(prepare(Sql::Sessions)?, |row| {
        sink(sessions::record(row)?);
        Ok(())
    })?;

    let mut tables = [
        (prepare(Sql::Doors)?, door as Reader),
        (prepare(Sql::QueueLengths)?, queued),
        (prepare(Sql::Overflows)?, overflow::record),
        (prepare(Sql::Owed)?, owed),
    ];
    let mut beside = Vec::with_capacity(tables.len());
    for (statement, record) in &mut tables {
        beside.push(Beside::new(statement.query([])?, *record)?);
    }
    each(prepare(Sql::Devices)?, |row| {
        let key = row.get(0)?;
        let device = devices::device(row)?;
        let id = device.id.clone();
        sink(Record::Device(device));
        for table in &mut beside {
            table.of_device(key, &id, sink)?;
        }
        Ok(())
    })?;

    each(prepare(Sql::Unclaimed)?, |row| {
        sink(Record::Unclaimed(address(row, 0)?, count(row, 1)?));
        Ok(())
    })
}

fn each(mut statement: Statement<'_>, mut take: impl FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

/// Makes a record of a row that belongs to this device.
type Reader = fn(&Row<'_>, &DeviceId) -> Result<Record>;

fn door(row: &Row<'_>, id: &DeviceId) -> Result<Record> {
    devices::door(row, id).map(Record::Door)
}

fn queued(row: &Row<'_>, id: &DeviceId) -> Result<Record> {
    Ok(Record::Queued(id.clone(), count(row, 1)?))
}

fn owed(row: &Row<'_>, id: &DeviceId) -> Result<Record> {
    outbox::owed(row, id).map(Record::Owed)
}

/// A table that is read beside that of the devices; its first column is the device's key.
struct Beside<'s> {
    rows: Rows<'s>,
    record: Reader,
    /// Whose row it stands at.
    at: Option<i64>,
}

impl<'s> Beside<'s> {
    fn new(rows: Rows<'s>, record: Reader) -> Result<Self> {
        let mut table = Self {
            rows,
            record,
            at: None,
        };
        table.step()?;
        Ok(table)
    }

    fn step(&mut self) -> Result<()> {
        self.at = match self.rows.next()? {
            Some(row) => Some(row.get(0)?),
            None => None,
        };
        Ok(())
    }

    /// Hands on what belongs to this device. Keys are asked for in rising order.
    fn of_device(&mut self, key: i64, id: &DeviceId, sink: &mut Sink) -> Result<()> {
        while self.at.is_some_and(|at| at <= key) {
            if self.at == Some(key)
                && let Some(row) = self.rows.get()
            {
                sink((self.record)(row, id)?);
            }
            self.step()?;
        }
        Ok(())
    }
}
