//! What SQLite's errors mean to whoever must act on them.

use super::files::{directory_of, free_space};
use crate::{OpenError, StoreError};
use rusqlite::ErrorCode;
use std::path::Path;

/// Of a database that is open.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn store_error(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
        Some(ErrorCode::DiskFull) => StoreError::DiskFull,
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged(error.to_string())
        }
        None if is_bad_value(&error) => StoreError::Damaged(error.to_string()),
        _ => StoreError::Failed(error.to_string()),
    }
}

/// A value in the database that we cannot have written.
fn is_bad_value(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    matches!(
        error,
        FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | Utf8Error(..)
    )
}

/// Of a database that is being opened.
pub(super) fn open_error(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    let detail = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Locked(path),
        Some(ErrorCode::NotADatabase) => OpenError::NotADatabase(path),
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path, detail },
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            OpenError::Denied(path)
        }
        // The index of a log needs room, too, and SQLite says of that only that it failed.
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) if is_full(&path) => {
            OpenError::DiskFull(path)
        }
        _ => OpenError::Failed { path, detail },
    }
}

/// Less than this is no room for a database to be opened.
const ROOM: u64 = 64 << 10;

fn is_full(path: &Path) -> bool {
    free_space(directory_of(path)).is_ok_and(|free| free < ROOM)
}

/// Whether a change was refused because it speaks of something that is not there.
pub(super) fn is_missing_reference(error: &rusqlite::Error) -> bool {
    error.sqlite_extended_error_code() == Some(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}
