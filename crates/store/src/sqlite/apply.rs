//! What each change does to the tables. Cascades are the schema's.

use super::{
    columns::{json, maybe_json, number, time},
    failure::{is_missing_reference, store_error},
    sql,
    writer::Counters,
};
use crate::{Pruned, StoreError, limits};
use domain::{
    Address, Change, Device, DeviceId, Message, MessageId, Timestamp, TraceEvent, User,
    change::HistoryEntry, push::OwedPush,
};
use rusqlite::{Connection, Params, Result, params};
use std::sync::atomic::Ordering::Relaxed;

/// All changes of a step; on an error the caller undoes those before it.
pub(super) fn step(
    connection: &Connection,
    changes: &[Change],
    counters: &Counters,
) -> std::result::Result<(), StoreError> {
    for change in changes {
        apply(connection, change, counters).map_err(|error| {
            if is_missing_reference(&error) {
                missing(connection, change)
            } else {
                store_error(error)
            }
        })?;
    }
    Ok(())
}

fn apply(connection: &Connection, change: &Change, counters: &Counters) -> Result<()> {
    let run = |statement, params: &[&dyn rusqlite::ToSql]| run(connection, statement, params);
    match change {
        Change::PutUser(user) => put_user(connection, user)?,
        Change::RemoveUser(address) => run(sql::REMOVE_USER, params![address.as_str()])?,
        Change::PutDevice(device) => put_device(connection, device)?,
        Change::RemoveDevice(id) => run(sql::REMOVE_DEVICE, params![id.0])?,
        Change::History(HistoryEntry { device, at, what }) => {
            run(sql::ADD_HISTORY, params![device.0, time(*at), what])?
        }
        Change::Archive(message) => archive(connection, message)?,
        Change::Enqueue { device, message } => {
            run(sql::ENQUEUE_FOR_DEVICE, params![device.0, message.0])?;
            shorten(connection, sql::SHORTEN_DEVICE_QUEUE, &device.0, counters)?
        }
        Change::EnqueueForUser { user, message } => {
            run(sql::ENQUEUE_FOR_USER, params![user.as_str(), message.0])?;
            shorten(connection, sql::SHORTEN_USER_QUEUE, user.as_str(), counters)?
        }
        Change::AdoptQueue { user, device } => {
            run(sql::ADOPT_QUEUE, params![user.as_str(), device.0])?;
            run(sql::DISOWN_QUEUE, params![user.as_str()])?;
            shorten(connection, sql::SHORTEN_DEVICE_QUEUE, &device.0, counters)?
        }
        Change::Delivered { device, message } => run(sql::DELIVERED, params![device.0, message.0])?,
        Change::Owe(push) => owe(connection, push)?,
        Change::Settle(id) => run(sql::SETTLE, params![id.0])?,
        Change::Trace(event) => return trace(connection, event),
    };
    Ok(())
}

fn put_user(connection: &Connection, user: &User) -> Result<usize> {
    let User {
        address,
        display_name,
        secrets,
        forward,
    } = user;
    run(
        connection,
        sql::PUT_USER,
        params![
            address.as_str(),
            display_name,
            secrets.md5,
            secrets.sha256,
            forward
        ],
    )
}

fn put_device(connection: &Connection, device: &Device) -> Result<usize> {
    let Device {
        id,
        user,
        app,
        tokens,
        key,
        word,
        binding,
        created_at,
        seen_at,
    } = device;
    run(
        connection,
        sql::REMOVE_OTHERS_DEVICE,
        params![id.0, user.as_str()],
    )?;
    run(
        connection,
        sql::PUT_DEVICE,
        params![
            id.0,
            user.as_str(),
            app.as_ref().map(|app| &app.0),
            json(tokens)?,
            maybe_json(key.as_ref())?,
            maybe_json(word.as_ref())?,
            maybe_json(binding.as_ref())?,
            time(*created_at),
            time(*seen_at),
        ],
    )
}

fn archive(connection: &Connection, message: &Message) -> Result<usize> {
    let Message {
        id,
        tracking,
        from,
        from_name,
        to,
        at,
        content_type,
        body,
        class,
    } = message;
    run(
        connection,
        sql::ARCHIVE,
        params![
            id.0,
            tracking.0,
            from,
            from_name,
            to.as_str(),
            time(*at),
            content_type,
            &body[..],
            json(class)?,
        ],
    )
}

/// The oldest leave a queue that is too long.
fn shorten(
    connection: &Connection,
    statement: &str,
    owner: &str,
    counters: &Counters,
) -> Result<usize> {
    let gone = run(
        connection,
        statement,
        params![owner, number(limits::QUEUE_PER_DEVICE)],
    )?;
    counters.overflowed.fetch_add(gone as u64, Relaxed);
    Ok(gone)
}

fn owe(connection: &Connection, push: &OwedPush) -> Result<usize> {
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
    run(
        connection,
        sql::OWE,
        params![
            id.0,
            device.0,
            json(purpose)?,
            tracking.0,
            message.as_ref().map(|message| &message.0),
            time(*due),
            time(*until),
            attempts,
        ],
    )
}

fn trace(connection: &Connection, event: &TraceEvent) -> Result<()> {
    let TraceEvent {
        tracking,
        at,
        step,
        alias,
        device,
        detail,
    } = event;
    run(connection, sql::BEGIN_STORY, params![tracking.0, time(*at)])?;
    let device = device.as_ref().map(|device| &device.0);
    run(
        connection,
        sql::ADD_EVENT,
        params![tracking.0, time(*at), step.name(), alias, device, detail],
    )?;
    Ok(())
}

/// Which of the things that a change speaks of is not there.
fn missing(connection: &Connection, change: &Change) -> StoreError {
    for Reference { kind, exists, name } in references(change) {
        let found = connection
            .prepare_cached(exists)
            .and_then(|mut statement| statement.exists([name]));
        match found {
            Ok(true) => {}
            Ok(false) => {
                let name = name.to_owned();
                return StoreError::Missing { kind, name };
            }
            Err(error) => return store_error(error),
        }
    }
    StoreError::Failed(format!("a reference of {change:?} is missing"))
}

struct Reference<'a> {
    kind: &'static str,
    exists: &'static str,
    name: &'a str,
}

fn references(change: &Change) -> Vec<Reference<'_>> {
    match change {
        Change::PutDevice(device) => vec![to_user(&device.user)],
        Change::History(entry) => vec![to_device(&entry.device)],
        Change::Enqueue { device, message } => vec![to_device(device), to_message(message)],
        Change::EnqueueForUser { user, message } => vec![to_user(user), to_message(message)],
        Change::AdoptQueue { device, .. } => vec![to_device(device)],
        Change::Owe(push) => vec![to_device(&push.device)],
        Change::PutUser(_)
        | Change::RemoveUser(_)
        | Change::RemoveDevice(_)
        | Change::Archive(_)
        | Change::Delivered { .. }
        | Change::Settle(_)
        | Change::Trace(_) => Vec::new(),
    }
}

fn to_user(address: &Address) -> Reference<'_> {
    Reference {
        kind: "user",
        exists: sql::USER_EXISTS,
        name: address.as_str(),
    }
}

fn to_device(id: &DeviceId) -> Reference<'_> {
    Reference {
        kind: "device",
        exists: sql::DEVICE_EXISTS,
        name: &id.0,
    }
}

fn to_message(id: &MessageId) -> Reference<'_> {
    Reference {
        kind: "message",
        exists: sql::MESSAGE_EXISTS,
        name: &id.0,
    }
}

/// One bite of retention.
pub(super) fn prune(
    connection: &Connection,
    before: Timestamp,
) -> std::result::Result<Pruned, StoreError> {
    let bite = |statement| {
        run(
            connection,
            statement,
            params![time(before), number(limits::PRUNE_ROWS)],
        )
        .map(|rows| rows as u64)
        .map_err(store_error)
    };
    Ok(Pruned {
        stories: bite(sql::PRUNE_STORIES)?,
        messages: bite(sql::PRUNE_MESSAGES)?,
        history: bite(sql::PRUNE_HISTORY)?,
    })
}

fn run(connection: &Connection, statement: &str, params: impl Params) -> Result<usize> {
    connection.prepare_cached(statement)?.execute(params)
}
