//! Reads every row as the server would, and names those that it could not read. What each table's rows are read with is a
//! line of [`TABLES`].

use super::{
    accounts, blocks, cards, columns, devices,
    failure::{open_error, store_error},
    grants, invitations, migrations, open, outbox, rosters, set_aside, sign_ins, stories,
    table::Table,
};
use crate::{
    OpenError, StoreError,
    damage::{Damage, Value},
};
use domain::DeviceId;
use rusqlite::{Connection, Error, ErrorCode, Result, Row};
use std::path::Path;

/// What a look at a whole database found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Checked {
    /// Its schema.
    pub schema: i64,
    /// The newest schema that this version knows.
    pub newest: i64,
    /// What SQLite says of its structure: nothing, if it is sound. Rows cannot be set aside then.
    pub structure: Vec<String>,
    /// Rows that cannot be read.
    pub damaged: Vec<Damage>,
    /// Rows that were read.
    pub rows: u64,
    /// Rows that were set aside at any time.
    pub set_aside: u64,
    /// Accounts.
    pub users: u64,
    /// Devices.
    pub devices: u64,
}

/// Every table that holds what somebody may want back.
const TABLES: &[Table] = &[
    Table {
        name: "users",
        key: &["address"],
        rows: "SELECT address, display_name, md5, sha256, forward, scram, mark, address FROM users",
        read: |row| accounts::user(row).map(drop),
        shown: &[0],
        at_start: true,
    },
    Table {
        name: "blocks",
        key: &["user", "peer"],
        rows: "SELECT user, peer, user, peer FROM blocks",
        read: |row| blocks::record(row).map(drop),
        shown: &[0, 1],
        at_start: true,
    },
    Table {
        name: "cards",
        key: &["user"],
        rows: "SELECT card, avatar, user, user FROM cards",
        read: |row| {
            cards::card(row)?;
            columns::address(row, 2).map(drop)
        },
        shown: &[2],
        at_start: true,
    },
    Table {
        name: "devices",
        key: &["key"],
        rows: "SELECT key, id, user, app, voip, voip_given_at, voip_dead_since, voip_dead_reason, voip_on_probation,
            voip_through, message, message_given_at, message_dead_since, message_dead_reason, message_on_probation,
            message_through, p256dh, auth, created_at, seen_at, key FROM devices",
        read: |row| devices::device(row).map(drop),
        shown: &[1, 2],
        at_start: true,
    },
    Table {
        name: "doors",
        key: &["device", "number"],
        rows: "SELECT d.device, d.number, opened_at, expires_at, q, data, id, d.device, d.number
            FROM doors d JOIN devices ON key = d.device",
        read: |row| devices::door(row, &nobody()).map(drop),
        shown: &[6, 1],
        at_start: true,
    },
    Table {
        name: "owed",
        key: &["id"],
        rows: "SELECT device, id, purpose, about, register_at, unread, tracking, message, due, until, attempts, id FROM owed",
        read: |row| outbox::owed(row, &nobody()).map(drop),
        shown: &[1],
        at_start: true,
    },
    Table {
        name: "unclaimed",
        key: &["user", "message"],
        rows: "SELECT user, message, user, message FROM unclaimed",
        read: |row| columns::address(row, 0).map(drop),
        shown: &[0, 1],
        at_start: true,
    },
    Table {
        name: "contacts",
        key: &["user", "peer"],
        rows: "SELECT user, peer, name, groups, \"to\", \"from\", approved, listed, asked, user, peer FROM contacts",
        read: |row| rosters::contact(row).map(drop),
        shown: &[0, 1],
        at_start: false,
    },
    Table {
        name: "invitations",
        key: &["token"],
        rows: "SELECT token, inviter, address, expires_at, token FROM invitations",
        read: |row| invitations::invitation(row).map(drop),
        shown: &[1, 2],
        at_start: false,
    },
    Table {
        name: "sign_in_tokens",
        key: &["user", "client"],
        rows: "SELECT user, client, at, data, user, client FROM sign_in_tokens",
        read: |row| sign_ins::tokens(row).map(drop),
        shown: &[0, 1],
        at_start: false,
    },
    Table {
        name: "grants",
        key: &["user", "id"],
        rows: "SELECT user, id, turn, at, user, id FROM grants",
        read: |row| grants::grant(row).map(drop),
        shown: &[0],
        at_start: false,
    },
    Table {
        name: "messages",
        key: &["number"],
        rows: "SELECT id, tracking, sender, sender_name, recipient, at, class, content_type, body, number FROM messages",
        read: |row| columns::message(row).map(drop),
        shown: &[0],
        at_start: false,
    },
    Table {
        name: "history",
        key: &["number"],
        rows: "SELECT at, what, number, number FROM history",
        read: |row| {
            columns::timestamp(row, 0)?;
            columns::text(row, 1).map(drop)
        },
        shown: &[2],
        at_start: false,
    },
    Table {
        name: "stories",
        key: &["number"],
        rows: "SELECT tracking, began, number FROM stories",
        read: |row| {
            columns::text(row, 0)?;
            columns::timestamp(row, 1).map(drop)
        },
        shown: &[0],
        at_start: false,
    },
    Table {
        name: "events",
        key: &["story", "number"],
        rows: "SELECT s.tracking, e.at, e.step, e.alias, e.device, e.detail, e.story, e.number
            FROM events e JOIN stories s ON s.number = e.story",
        read: |row| stories::event(row).map(drop),
        shown: &[0, 7],
        at_start: false,
    },
];

/// What is read of a device's row says nothing that depends on whose it is.
fn nobody() -> DeviceId {
    DeviceId::from("")
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Depth {
    /// The rows that a server reads when it starts.
    Start,
    /// Those, and whether each page is sound.
    Pages,
    /// All rows, all pages, and what refers to what.
    All,
}

/// Looks at everything and changes nothing. `None` if there is no database yet.
pub(crate) fn check(path: &Path) -> std::result::Result<Option<Checked>, OpenError> {
    look(path, Depth::All)
}

/// The same for the rows that a server reads when it starts, and for every page.
pub(crate) fn survey(path: &Path) -> std::result::Result<Option<Checked>, OpenError> {
    look(path, Depth::Pages)
}

/// The same for what a server reads when it starts: costs little.
pub(crate) fn glance(path: &Path) -> std::result::Result<Option<Checked>, OpenError> {
    look(path, Depth::Start)
}

fn look(path: &Path, depth: Depth) -> std::result::Result<Option<Checked>, OpenError> {
    let failed = |error| open_error(path, &error);
    let Some(connection) = open::for_looking(path)? else {
        return Ok(None);
    };
    let mut checked = Checked {
        schema: migrations::version(&connection).map_err(failed)?,
        newest: migrations::newest(),
        ..Checked::default()
    };
    let looks_into = match depth {
        Depth::Start => None,
        Depth::Pages => Some("PRAGMA quick_check(100)"),
        Depth::All => Some("PRAGMA integrity_check(100)"),
    };
    if let Some(looks_into) = looks_into {
        checked.structure = structure(&connection, looks_into).map_err(failed)?;
    }
    if checked.schema != checked.newest || !checked.structure.is_empty() {
        return Ok(Some(checked));
    }
    let is_read = |table: &&Table| depth == Depth::All || table.at_start;
    for table in TABLES.iter().filter(is_read) {
        let rows = read(&connection, table, &mut checked.damaged).map_err(failed)?;
        checked.rows += rows;
        match table.name {
            "users" => checked.users = rows,
            "devices" => checked.devices = rows,
            _ => {}
        }
    }
    checked.set_aside = set_aside::count(&connection).map_err(failed)?;
    Ok(Some(checked))
}

/// Sets aside what cannot be read of what a server needs for its start; says what that was. All of it, or nothing.
pub(super) fn set_aside_unreadable(
    connection: &Connection,
    thorough: bool,
) -> std::result::Result<Vec<Damage>, StoreError> {
    let mut damaged = Vec::new();
    for table in TABLES.iter().filter(|table| thorough || table.at_start) {
        read(connection, table, &mut damaged).map_err(store_error)?;
    }
    for damage in &damaged {
        let table = TABLES.iter().find(|table| table.name == damage.table);
        if let Some(table) = table {
            set_aside::set_aside(connection, table, damage).map_err(store_error)?;
        }
    }
    Ok(damaged)
}

/// What SQLite finds in the pages, the indexes, and what refers to what.
fn structure(connection: &Connection, looks_into: &str) -> Result<Vec<String>> {
    let lines = || -> Result<Vec<String>> {
        let mut statement = connection.prepare(looks_into)?;
        let lines = statement.query_map([], |row| row.get(0))?;
        lines.collect()
    };
    match lines() {
        Ok(mut found) => {
            found.retain(|line| line != "ok");
            Ok(found)
        }
        // So much is damaged that it cannot even say where.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            Ok(vec![error.to_string()])
        }
        Err(error) => Err(error),
    }
}

/// What is wrong, with the column in which it is.
fn in_words(row: &Row<'_>, error: &Error) -> String {
    let (column, why) = match error {
        Error::FromSqlConversionFailure(column, _, why) => (*column, why.to_string()),
        Error::InvalidColumnType(column, _, found) => (*column, format!("there is {found} in it")),
        Error::IntegralValueOutOfRange(column, value) => {
            (*column, format!("{value} is out of range"))
        }
        Error::Utf8Error(column, why) => (*column, why.to_string()),
        other => return other.to_string(),
    };
    match row.as_ref().column_name(column) {
        Ok(name) => format!("{name}: {why}"),
        Err(_) => why,
    }
}

/// Reads a table; says how many rows it has.
fn read(connection: &Connection, table: &Table, damaged: &mut Vec<Damage>) -> Result<u64> {
    let mut statement = connection.prepare(table.rows)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let Err(error) = (table.read)(row) else {
            continue;
        };
        let value = |column: usize| row.get_ref(column).map(Value::of);
        let key = (columns - table.key.len()..columns).map(value);
        let shown = table.shown.iter().map(|column| value(*column));
        let shown: Vec<_> = shown
            .map(|it| it.map(|it| it.shown()))
            .collect::<Result<_>>()?;
        damaged.push(Damage {
            table: table.name,
            row: shown.join(" "),
            why: in_words(row, &error),
            key: key.collect::<Result<_>>()?,
        });
    }
    Ok(count)
}
