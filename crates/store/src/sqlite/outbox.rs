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
use std::borrow::Cow;

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
        purpose: purpose(row, 2)?,
        tracking: name(row, 6)?,
        message: maybe_name(row, 7)?,
        due: timestamp(row, 8)?,
        until: timestamp(row, 9)?,
        attempts: row.get(10)?,
    })
}

/// What a push is about, from four columns: its kind, what about, where to register, how many are unread.
pub(super) fn purpose(row: &Row<'_>, first: usize) -> Result<Purpose> {
    let about = || name(row, first + 1);
    Ok(match text(row, first)? {
        "call" => Purpose::Call {
            call: about()?,
            register_at: name(row, first + 2)?,
        },
        "call_cancelled" => Purpose::CallCancelled { call: about()? },
        "missed_call" => Purpose::MissedCall { call: about()? },
        "refresh" => Purpose::Refresh,
        "message" => Purpose::Message {
            conversation: about()?,
            unread: row.get(first + 3)?,
        },
        "read" => Purpose::Read {
            conversations: text(row, first + 1)?
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            unread: row.get(first + 3)?,
        },
        "event" => {
            let event = serde_json::from_str(text(row, first + 1)?);
            let wrong =
                |error| Error::FromSqlConversionFailure(first + 1, Type::Text, Box::new(error));
            Purpose::Event(event.map_err(wrong)?)
        }
        unknown => {
            let error = format!("no purpose is called {unknown:?}").into();
            return Err(Error::FromSqlConversionFailure(first, Type::Text, error));
        }
    })
}

/// What a push is about, as the last three of [`purpose`]'s columns.
pub(super) fn purpose_columns(
    purpose: &Purpose,
) -> (Option<Cow<'_, str>>, Option<&str>, Option<u32>) {
    match purpose {
        Purpose::Call { call, register_at } => {
            (Some(call.as_str().into()), Some(register_at), None)
        }
        Purpose::CallCancelled { call } | Purpose::MissedCall { call } => {
            (Some(call.as_str().into()), None, None)
        }
        Purpose::Refresh => (None, None, None),
        Purpose::Message {
            conversation,
            unread,
        } => (Some(conversation.as_str().into()), None, Some(*unread)),
        Purpose::Read {
            conversations,
            unread,
        } => (Some(conversations.join(" ").into()), None, Some(*unread)),
        Purpose::Event(event) => {
            let event = serde_json::to_string(event).expect("strings are JSON");
            (Some(event.into()), None, None)
        }
    }
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
    let (about, register_at, unread) = purpose_columns(purpose);
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
