//! The names of the scheduler's endpoints, and what is known of each before its handler is called.

use super::{catalogue, handlers, maintenance};

/// An endpoint.
#[derive(Clone, Copy)]
pub enum Route {
    Entry,
    Describe,
    Page,
    Time,
    Keys,
    Telescopes,
    Telescope,
    CreateTelescope,
    ChangeTelescope,
    Timetable,
    Free,
    Maintenances,
    CloseTelescope,
    Maintenance,
    Reopen,
    Wait,
    Waits,
    Waiting,
    Leave,
    Scientists,
    Scientist,
    CreateScientist,
    ChangeScientist,
    TelescopeCalendar,
    ScientistCalendar,
    Calendars,
    CreateCalendar,
    Calendar,
    RevokeCalendar,
    Proposals,
    CreateProposal,
    Proposal,
    ChangeProposal,
    Book,
    Bookings,
    Next,
    Validate,
    Booking,
    Contest,
    SlotContest,
    Alter,
    Cancel,
    Audit,
    AuditHead,
    Listen,
    Session,
    SignIn,
    SignOut,
    ToProvider,
    FromProvider,
    Tokens,
    Create,
    Token,
    Revoke,
    Health,
    Ready,
    Problems,
    Problem,
    Metrics,
}

impl Route {
    /// The most bytes of the body of what makes something, so that an `Idempotency-Key` counts. A new token counts not: its answer has a secret,
    /// which is not kept.
    pub const fn body_of_new(self) -> Option<usize> {
        match self {
            Self::Book | Self::Wait => Some(handlers::BODY_MAX),
            Self::CreateTelescope | Self::CreateScientist | Self::CreateProposal => Some(catalogue::BODY_MAX),
            Self::CloseTelescope => Some(maintenance::BODY_MAX),
            _ => None,
        }
    }

    /// Whether a client may have unknown fields ignored: where it changes the agenda or the catalogue. What gives access is read strictly.
    pub const fn may_be_lenient(self) -> bool {
        matches!(
            self,
            Self::Book
                | Self::Next
                | Self::Validate
                | Self::Alter
                | Self::Cancel
                | Self::Wait
                | Self::CreateTelescope
                | Self::ChangeTelescope
                | Self::CreateScientist
                | Self::ChangeScientist
                | Self::CreateProposal
                | Self::ChangeProposal
                | Self::CloseTelescope
        )
    }
}
