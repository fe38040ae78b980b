//! How the domain's values look in columns, and back.

use domain::{
    Address, AppId, Device, DeviceId, Message, MessageId, NotificationId, Timestamp, TraceEvent,
    TrackingId, User, change::HistoryEntry, push::OwedPush, trace::Step, user::Secrets,
};
use rusqlite::{
    Error, Result, Row,
    types::{FromSql, Type},
};
use serde::{Serialize, de::DeserializeOwned};

/// A time beyond what SQLite can count is the latest that it can.
pub(super) fn time(at: Timestamp) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// A limit as SQLite counts.
pub(super) fn number(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A value that is opaque to SQL.
pub(super) fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::ToSqlConversionFailure(error.into()))
}

/// The same for a value that may be missing.
pub(super) fn maybe_json<T: Serialize>(value: Option<&T>) -> Result<Option<String>> {
    value.map(json).transpose()
}

pub(super) fn user(row: &Row<'_>) -> Result<User> {
    Ok(User {
        address: address(row, 0)?,
        display_name: row.get(1)?,
        secrets: Secrets {
            md5: row.get(2)?,
            sha256: row.get(3)?,
        },
        forward: row.get(4)?,
    })
}

pub(super) fn device(row: &Row<'_>) -> Result<Device> {
    Ok(Device {
        id: DeviceId(row.get(0)?),
        user: address(row, 1)?,
        app: row.get::<_, Option<String>>(2)?.map(AppId),
        tokens: from_json(row, 3)?,
        key: from_maybe_json(row, 4)?,
        word: from_maybe_json(row, 5)?,
        binding: from_maybe_json(row, 6)?,
        created_at: timestamp(row, 7)?,
        seen_at: timestamp(row, 8)?,
    })
}

pub(super) fn history(row: &Row<'_>) -> Result<HistoryEntry> {
    Ok(HistoryEntry {
        device: DeviceId(row.get(0)?),
        at: timestamp(row, 1)?,
        what: row.get(2)?,
    })
}

pub(super) fn message(row: &Row<'_>) -> Result<Message> {
    Ok(Message {
        id: MessageId(row.get(0)?),
        tracking: TrackingId(row.get(1)?),
        from: row.get(2)?,
        from_name: row.get(3)?,
        to: address(row, 4)?,
        at: timestamp(row, 5)?,
        content_type: row.get(6)?,
        body: row.get::<_, Vec<u8>>(7)?.into(),
        class: from_json(row, 8)?,
    })
}

pub(super) fn owed(row: &Row<'_>) -> Result<OwedPush> {
    Ok(OwedPush {
        id: NotificationId(row.get(0)?),
        device: DeviceId(row.get(1)?),
        purpose: from_json(row, 2)?,
        tracking: TrackingId(row.get(3)?),
        message: row.get::<_, Option<String>>(4)?.map(MessageId),
        due: timestamp(row, 5)?,
        until: timestamp(row, 6)?,
        attempts: row.get(7)?,
    })
}

pub(super) fn event(row: &Row<'_>) -> Result<TraceEvent> {
    Ok(TraceEvent {
        tracking: TrackingId(row.get(0)?),
        at: timestamp(row, 1)?,
        step: step(row, 2)?,
        alias: row.get(3)?,
        device: row.get::<_, Option<String>>(4)?.map(DeviceId),
        detail: row.get(5)?,
    })
}

pub(super) fn address(row: &Row<'_>, column: usize) -> Result<Address> {
    parsed(row, column, |text: String| text.parse::<Address>())
}

pub(super) fn step(row: &Row<'_>, column: usize) -> Result<Step> {
    parsed(row, column, |name: String| {
        Step::from_name(&name).ok_or_else(|| format!("no step is called {name:?}"))
    })
}

pub(super) fn timestamp(row: &Row<'_>, column: usize) -> Result<Timestamp> {
    parsed(row, column, |at: i64| u64::try_from(at).map(Timestamp))
}

/// How many.
pub(super) fn count(row: &Row<'_>, column: usize) -> Result<u64> {
    parsed(row, column, |number: i64| u64::try_from(number))
}

fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T> {
    parsed(row, column, |text: String| serde_json::from_str(&text))
}

fn from_maybe_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<Option<T>> {
    parsed(row, column, |text: Option<String>| {
        text.map(|text| serde_json::from_str(&text)).transpose()
    })
}

fn parsed<C: FromSql, T, E>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(C) -> std::result::Result<T, E>,
) -> Result<T>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    parse(row.get(column)?)
        .map_err(|error| Error::FromSqlConversionFailure(column, Type::Text, error.into()))
}
