//! What PostgreSQL's errors mean for the store.

use std::time::Duration;

use rust_i18n::t;
use tokio_postgres::error::{Severity, SqlState};

use crate::language::chain;
use crate::store::StoreError;

/// Something that was asked of the database failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// By what the server, or the connection to it, says.
    #[error("{}", told(.0))]
    Database(#[from] tokio_postgres::Error),
    /// No connection could be had.
    #[error("sem conexão com o banco: {0}")]
    NoConnection(String),
    /// The server did not answer for so long.
    #[error("o banco não respondeu em {} s", .0.as_secs())]
    Silent(Duration),
    /// A column holds a value that makes no sense there.
    #[error("{0}")]
    Unreadable(String),
}

impl Error {
    /// Whether the connection must not be used any more: it is broken, or its server is no primary any more, or ends. What a COMMIT on it has
    /// done is not known then.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Database(error) => error.as_db_error().is_none_or(|told| {
                let is_fatal = matches!(told.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
                let is_of_the_server = ["08", "57P"].iter().any(|class| told.code().code().starts_with(class));
                let others = [SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN];
                is_fatal || is_of_the_server || others.contains(told.code())
            }),
            Self::NoConnection(_) | Self::Silent(_) => true,
            Self::Unreadable(_) => false,
        }
    }

    /// Whether the very change is refused, so that others may do better without it: a constraint, a trigger that somebody has added, or a
    /// value that does not fit.
    pub fn is_the_changes(&self) -> bool {
        match self {
            Self::Database(error) => error.code().is_some_and(|code| {
                // Data exception, integrity constraint, access rule, error that a trigger raises.
                ["22", "23", "42", "44", "P0"].iter().any(|class| code.code().starts_with(class))
            }),
            Self::Unreadable(_) => true,
            Self::NoConnection(_) | Self::Silent(_) => false,
        }
    }

    /// Whether the transaction may succeed if it is begun anew at once: the server has undone it for another one.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Database(error) if error.code().is_some_and(|code| {
            [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code)
        }))
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match &error {
            Error::Unreadable(_) => Self::Refused(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<deadpool_postgres::PoolError> for Error {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => Self::NoConnection(told(&error)),
            error => Self::NoConnection(error.to_string()),
        }
    }
}

/// What the server says, with its code; or what the connection says, with its causes.
pub fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(told) if *told.code() == SqlState::UNDEFINED_TABLE => t!(
            "its tables are not there: a scheduler makes them when it first starts; those of the race (--no-lock) are read with --race"
        )
        .into_owned(),
        Some(told) => format!("{} (SQLSTATE {})", told.message(), told.code().code()),
        None => chain(error),
    }
}
