//! Devices, their doors and their history.

use super::{
    backend::{SqliteStore, rows},
    columns::{address, maybe_name, maybe_text, maybe_timestamp, name, text, time, timestamp},
    database::{Database, key},
    sql::Sql,
};
use crate::{Answer, Devices};
use domain::{
    Address, AppId, CallKind, Device, DeviceId, Door, DoorId, Handed, Token,
    change::HistoryEntry,
    device::{DeadToken, SealingKey, Tokens},
};
use rusqlite::{Result, Row, ToSql, params};

impl Devices for SqliteStore {
    fn device(&self, id: &DeviceId) -> Answer<Option<Device>> {
        let id = id.clone();
        self.readers.read(move |database| {
            let found = database.one(Sql::Device, [key(id.as_str())], device)?;
            Ok(found.filter(|device| device.id == id))
        })
    }

    fn devices(&self, user: Option<&Address>) -> Answer<Vec<Device>> {
        let user = user.cloned();
        self.readers.read(move |database| {
            let mut devices = match user {
                None => database.all(Sql::Devices, [], device)?,
                Some(user) => database.all(Sql::DevicesOfUser, [user.as_str()], device)?,
            };
            devices.sort_unstable_by(|a, b| a.id.cmp(&b.id));
            Ok(devices)
        })
    }

    fn doors(&self, device: &DeviceId) -> Answer<Vec<Door>> {
        let id = device.clone();
        self.readers.read(move |database| {
            database.all(Sql::DoorsOfDevice, [key(id.as_str())], |row| door(row, &id))
        })
    }

    fn history(&self, device: &DeviceId, limit: usize) -> Answer<Vec<HistoryEntry>> {
        let id = device.clone();
        self.read_notes(move |database| {
            database.all(
                Sql::History,
                params![key(id.as_str()), rows(limit)],
                |row| {
                    Ok(HistoryEntry {
                        device: id.clone(),
                        at: timestamp(row, 0)?,
                        what: row.get(1)?,
                    })
                },
            )
        })
    }
}

pub(super) fn device(row: &Row<'_>) -> Result<Device> {
    let sealing = |p256dh: &str| -> Result<_> {
        Ok(Box::new(SealingKey {
            p256dh: p256dh.to_owned(),
            auth: name(row, 17)?,
        }))
    };
    Ok(Device {
        id: name(row, 1)?,
        user: address(row, 2)?,
        app: maybe_name(row, 3)?,
        tokens: Tokens {
            voip: token(row, 4)?,
            message: token(row, 10)?,
        },
        key: maybe_text(row, 16)?.map(sealing).transpose()?,
        created_at: timestamp(row, 18)?,
        seen_at: timestamp(row, 19)?,
    })
}

/// A token from the six columns that begin at this one.
fn token(row: &Row<'_>, first: usize) -> Result<Option<Token>> {
    let Some(value) = maybe_text(row, first)? else {
        return Ok(None);
    };
    let dead = match maybe_timestamp(row, first + 2)? {
        Some(since) => Some(Box::new(DeadToken {
            since,
            reason: text(row, first + 3)?.into(),
        })),
        None => None,
    };
    Ok(Some(Token {
        value: value.into(),
        given_at: timestamp(row, first + 1)?,
        dead,
        on_probation: row.get(first + 4)?,
        handed: handed(row.get(first + 5)?),
    }))
}

/// How a token was handed over: nothing, the number of a door, or less than nothing for a kind of calls. Both: the number of a door,
/// and one more than the kind above its 32 bits.
fn handed(column: Option<i64>) -> Handed {
    let Some(number) = column else {
        return Handed::Apart;
    };
    let kind = number
        .checked_neg()
        .and_then(|it| u8::try_from(it - 1).ok());
    if let Some(kind) = (number >> 32).checked_sub(1).filter(|it| *it >= 0)
        && let (Ok(kind), Ok(door)) = (
            u8::try_from(kind),
            u32::try_from(number & i64::from(u32::MAX)),
        )
    {
        return Handed::Both(door, CallKind(kind));
    }
    let door = u32::try_from(number).ok().map(Handed::Through);
    door.or(kind.map(|kind| Handed::For(CallKind(kind))))
        .unwrap_or(Handed::Apart)
}

fn handed_column(handed: Handed) -> Option<i64> {
    match handed {
        Handed::Apart => None,
        Handed::Through(door) => Some(i64::from(door)),
        Handed::For(CallKind(kind)) => Some(-1 - i64::from(kind)),
        Handed::Both(door, CallKind(kind)) => Some(i64::from(door) | (i64::from(kind) + 1) << 32),
    }
}

/// A door of this device.
pub(super) fn door(row: &Row<'_>, device: &DeviceId) -> Result<Door> {
    Ok(Door {
        id: DoorId {
            device: device.clone(),
            number: row.get(1)?,
        },
        opened_at: timestamp(row, 2)?,
        expires_at: timestamp(row, 3)?,
        q: row.get(4)?,
        data: row.get::<_, Vec<u8>>(5)?.into(),
    })
}

/// Says how many rows it changed: none if another device has the same key.
pub(super) fn put(database: &mut Database<'_>, device: &Device) -> Result<usize> {
    let key = key(device.id.as_str());
    let changed = put_row(database, key, device)?;
    if changed > 0 {
        return Ok(changed);
    }
    // It is another user's: it takes nothing along of what was that one's.
    database.run(Sql::RemoveDevice, params![key, device.id.as_str()])?;
    put_row(database, key, device)
}

fn put_row(database: &mut Database<'_>, key: i64, device: &Device) -> Result<usize> {
    let Device {
        id,
        user,
        app,
        tokens,
        key: sealing,
        created_at,
        seen_at,
    } = device;
    let [voip, message] =
        [&tokens.voip, &tokens.message].map(|token| TokenColumns::of(token.as_ref()));
    database.run(
        Sql::PutDevice,
        params![
            key,
            id.as_str(),
            user.as_str(),
            app.as_ref().map(AppId::as_str),
            voip.value,
            voip.given_at,
            voip.dead_since,
            voip.dead_reason,
            voip.on_probation,
            voip.through,
            message.value,
            message.given_at,
            message.dead_since,
            message.dead_reason,
            message.on_probation,
            message.through,
            sealing.as_ref().map(|sealing| &sealing.p256dh),
            sealing.as_ref().map(|sealing| &sealing.auth),
            time(*created_at),
            time(*seen_at),
        ],
    )
}

/// What a token is in columns; all of them empty for one that is not there.
#[derive(Default)]
struct TokenColumns<'t> {
    value: Option<&'t str>,
    given_at: Option<i64>,
    dead_since: Option<i64>,
    dead_reason: Option<&'t str>,
    on_probation: Option<bool>,
    through: Option<i64>,
}

impl<'t> TokenColumns<'t> {
    fn of(token: Option<&'t Token>) -> Self {
        let Some(token) = token else {
            return Self::default();
        };
        Self {
            value: Some(&token.value),
            given_at: Some(time(token.given_at)),
            dead_since: token.dead.as_ref().map(|dead| time(dead.since)),
            dead_reason: token.dead.as_ref().map(|dead| &*dead.reason),
            on_probation: Some(token.on_probation),
            through: handed_column(token.handed),
        }
    }
}

pub(super) fn put_door(database: &mut Database<'_>, door: &Door) -> Result<usize> {
    let Door {
        id,
        opened_at,
        expires_at,
        q,
        data,
    } = door;
    let params: &[&dyn ToSql] = params![
        key(id.device.as_str()),
        id.number,
        time(*opened_at),
        time(*expires_at),
        q,
        &data[..],
    ];
    database.run(Sql::PutDoor, params)
}

/// Says how many rows it wrote: none if the device is gone.
pub(super) fn add_history(database: &mut Database<'_>, entry: &HistoryEntry) -> Result<usize> {
    database.run(
        Sql::AddHistory,
        params![key(entry.device.as_str()), time(entry.at), entry.what],
    )
}
