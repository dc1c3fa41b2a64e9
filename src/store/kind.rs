//! Which agenda a database holds.

/// Which agenda a database holds. Neither can be opened as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    /// The real one.
    Agenda,
    /// The demonstration of the race, written without lock and without slot claims.
    Race,
}
