//! A row that cannot be read, and what tells it from others.

use rusqlite::types::ValueRef;

/// A row that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Damage {
    /// Its table.
    pub table: &'static str,
    /// What names it there, for people.
    pub row: String,
    /// What is wrong with it.
    pub why: String,
    /// What names it there, as SQLite has it.
    pub(crate) key: Vec<Value>,
}

/// A value as it lies in the database, whatever is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Eq for Value {}

impl Value {
    pub(crate) fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(text) => Self::Text(text.to_vec()),
            ValueRef::Blob(blob) => Self::Blob(blob.to_vec()),
        }
    }

    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Integer(number) => number.to_string(),
            Self::Real(number) => number.to_string(),
            Self::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Self::Blob(blob) => format!("{} octets", blob.len()),
        }
    }
}
