//! What SQLite's errors mean for the store.

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// Why a reading, or the opening of a connection, failed.
pub fn unavailable(error: &rusqlite::Error) -> StoreError {
    match error {
        // SQLite has read a value that makes no sense here.
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => StoreError::Refused(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// Whether an error says that pages are damaged. A file that is no database at all does not count: somebody put it in the
/// database's place.
pub fn is_damage(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}

/// Whether an error says that the database as a whole cannot be written now.
pub fn is_the_databases(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::PermissionDenied
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly
                | ErrorCode::OperationInterrupted
                | ErrorCode::SystemIoFailure
                | ErrorCode::DiskFull
                | ErrorCode::CannotOpen
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NoLargeFileSupport
                | ErrorCode::NotADatabase
                | ErrorCode::DatabaseCorrupt
        )
    )
}
