//! The pushes that are owed.

use super::{
    backend::SqliteStore,
    columns::{maybe_name, name, text, time, timestamp},
    database::{Database, key},
    sql::Sql,
};
use crate::{Answer, Outbox};
use domain::{DeviceId, MessageId, Purpose, push::OwedPush};
use rusqlite::{Error, Result, Row, params, types::Type};

impl Outbox for SqliteStore {
    fn owed(&self, device: &DeviceId) -> Answer<Vec<OwedPush>> {
        let id = device.clone();
        self.readers.read(move |database| {
            database.all(Sql::OwedToDevice, [key(id.as_str())], |row| owed(row, &id))
        })
    }
}

/// A push that is owed to this device.
pub(super) fn owed(row: &Row<'_>, device: &DeviceId) -> Result<OwedPush> {
    Ok(OwedPush {
        id: name(row, 1)?,
        device: device.clone(),
        purpose: purpose(row)?,
        tracking: name(row, 6)?,
        message: maybe_name(row, 7)?,
        due: timestamp(row, 8)?,
        until: timestamp(row, 9)?,
        attempts: row.get(10)?,
    })
}

fn purpose(row: &Row<'_>) -> Result<Purpose> {
    let about = || name(row, 3);
    Ok(match text(row, 2)? {
        "call" => Purpose::Call {
            call: about()?,
            register_at: name(row, 4)?,
        },
        "call_cancelled" => Purpose::CallCancelled { call: about()? },
        "missed_call" => Purpose::MissedCall { call: about()? },
        "refresh" => Purpose::Refresh,
        "message" => Purpose::Message {
            conversation: about()?,
            unread: row.get(5)?,
        },
        unknown => {
            let error = format!("no purpose is called {unknown:?}").into();
            return Err(Error::FromSqlConversionFailure(2, Type::Text, error));
        }
    })
}

pub(super) fn owe(database: &mut Database<'_>, push: &OwedPush) -> Result<usize> {
    let OwedPush {
        id,
        device,
        purpose,
        tracking,
        message,
        due,
        until,
        attempts,
    } = push;
    let (about, register_at, unread) = match purpose {
        Purpose::Call { call, register_at } => (Some(call), Some(register_at), None),
        Purpose::CallCancelled { call } | Purpose::MissedCall { call } => (Some(call), None, None),
        Purpose::Refresh => (None, None, None),
        Purpose::Message {
            conversation,
            unread,
        } => (Some(conversation), None, Some(unread)),
    };
    database.run(
        Sql::Owe,
        params![
            key(device.as_str()),
            id.as_str(),
            purpose.name(),
            about,
            register_at,
            unread,
            tracking.as_str(),
            message.as_ref().map(MessageId::as_str),
            time(*due),
            time(*until),
            attempts,
        ],
    )
}
