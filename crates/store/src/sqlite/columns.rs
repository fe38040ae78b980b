//! How the domain's values look in columns, and back.

use domain::{About, Address, Class, Message, Timestamp};
use rusqlite::{Error, Result, Row, types::Type};

const CLASSES: &[Class] = &[Class::Chat, Class::Call, Class::Notice, Class::Transient];

pub(super) fn class_name(class: Class) -> &'static str {
    match class {
        Class::Chat => "chat",
        Class::Call => "call",
        Class::Notice => "notice",
        Class::Transient => "transient",
    }
}

/// A time beyond what SQLite can count is the latest that it can.
pub(super) fn time(at: Timestamp) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// A limit as SQLite counts.
pub(super) fn number(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str> {
    let value = row.get_ref(column)?;
    value
        .as_str()
        .map_err(|error| bad(column, value.data_type(), error))
}

pub(super) fn maybe_text<'r>(row: &'r Row<'_>, column: usize) -> Result<Option<&'r str>> {
    let value = row.get_ref(column)?;
    value
        .as_str_or_null()
        .map_err(|error| bad(column, value.data_type(), error))
}

/// A name, which is read where it lies and copied once.
pub(super) fn name<T: for<'r> From<&'r str>>(row: &Row<'_>, column: usize) -> Result<T> {
    text(row, column).map(T::from)
}

pub(super) fn maybe_name<T: for<'r> From<&'r str>>(
    row: &Row<'_>,
    column: usize,
) -> Result<Option<T>> {
    Ok(maybe_text(row, column)?.map(T::from))
}

pub(super) fn address(row: &Row<'_>, column: usize) -> Result<Address> {
    text(row, column)?
        .parse()
        .map_err(|error| bad(column, Type::Text, error))
}

/// One of few values, by its name.
pub(super) fn named<T: Copy>(
    row: &Row<'_>,
    column: usize,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T> {
    let found = text(row, column)?;
    let value = all.iter().copied().find(|value| name(*value) == found);
    value.ok_or_else(|| bad(column, Type::Text, format!("nothing is called {found:?}")))
}

pub(super) fn timestamp(row: &Row<'_>, column: usize) -> Result<Timestamp> {
    count(row, column).map(Timestamp)
}

pub(super) fn maybe_timestamp(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>> {
    let at: Option<i64> = row.get(column)?;
    at.map(|_| timestamp(row, column)).transpose()
}

/// How many.
pub(super) fn count(row: &Row<'_>, column: usize) -> Result<u64> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|error| bad(column, Type::Integer, error))
}

pub(super) fn message(row: &Row<'_>) -> Result<Message> {
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
        about: about(row.get(9)?, row.get(10)?),
    })
}

fn about(subject: Option<String>, lang: Option<String>) -> Option<Box<About>> {
    let about = About {
        subject: subject.map(Into::into),
        lang: lang.map(Into::into),
    };
    (about != About::default()).then(|| Box::new(about))
}

fn bad(
    column: usize,
    found: Type,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::FromSqlConversionFailure(column, found, error.into())
}
