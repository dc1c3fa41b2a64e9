//! Why a database could not be opened.

use rust_i18n::t;

/// A database could not be opened. Only a person at the command line reads it, at the start, so it is in the language of the process; it
/// says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No server could be reached, or none is a primary, or it refuses the user.
    #[error("{}", t!("cannot reach %{at}: %{reason}; check the hosts, the user and the password, and that one of the servers takes writes", at = at, reason = reason))]
    Unreachable {
        /// Where.
        at: String,
        /// What the connection or the server says.
        reason: String,
    },
    /// The server may lose what it has acknowledged.
    #[error("{}", t!("%{at} has %{setting} = off, so it may lose bookings that were acknowledged; set it to on (for this database: ALTER DATABASE … SET %{setting} = on, or in postgresql.conf), then start again", at = at, setting = setting))]
    Unsafe {
        /// Where.
        at: String,
        /// The setting that is off.
        setting: &'static str,
    },
    /// The server is too old.
    #[error("{}", t!("%{at} is PostgreSQL %{found}; sctec needs %{oldest} or newer", at = at, found = found, oldest = oldest))]
    OldServer {
        /// Where.
        at: String,
        /// Its version.
        found: String,
        /// The oldest that will do.
        oldest: i64,
    },
    /// The database cannot hold every text.
    #[error("{}", t!("the database of %{at} has the encoding %{found}; create it with UTF8: CREATE DATABASE … ENCODING 'UTF8'", at = at, found = found))]
    Encoding {
        /// Where.
        at: String,
        /// Its encoding.
        found: String,
    },
    /// The tables were made by a newer sctec.
    #[error("{}", t!("the tables of %{at} were made by a newer sctec (schema %{found}, this one knows up to %{known}); use that version", at = at, found = found, known = known))]
    Newer {
        /// Where.
        at: String,
        /// Their version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// Tables could not be made or read.
    #[error("{}", t!("the tables in the schema %{schema} of %{at} cannot be made or read: %{reason}; the user needs the right to create a schema in this database, or has to own the schema", schema = schema, at = at, reason = reason))]
    Tables {
        /// Where.
        at: String,
        /// The schema.
        schema: &'static str,
        /// What the server says.
        reason: String,
    },
    /// The process cannot do it.
    #[error("{}", t!("cannot start the part that writes to the database: %{reason}", reason = .0))]
    Process(String),
}
