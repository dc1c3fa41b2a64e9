//! The colours of events on a terminal.

use crate::audit::record::{
    AGENDA_RESTORED, BOOKING_CANCELLED, BOOKING_CHANGED, BOOKING_CREATED, BOOKING_REFUSED, LOCK_FORCED,
    LOCK_NOT_FORCED, SERVICE_STARTED, SERVICE_STOPPED,
};

/// A colour of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Red,
    Green,
    Yellow,
    Cyan,
}

/// The end of a colour.
const PLAIN: &str = "\x1b[0m";

impl Colour {
    /// The beginning of the colour.
    const fn begin(self) -> &'static str {
        match self {
            Self::Red => "\x1b[31m",
            Self::Green => "\x1b[32m",
            Self::Yellow => "\x1b[33m",
            Self::Cyan => "\x1b[36m",
        }
    }

    /// The text in this colour, if `coloured`.
    pub fn paint(self, text: &str, coloured: bool) -> String {
        if coloured { format!("{}{text}{PLAIN}", self.begin()) } else { text.to_owned() }
    }
}

/// The colour of an event's name; `None` for an event of another version.
pub fn of_event(event: &str) -> Option<Colour> {
    match event {
        BOOKING_CREATED => Some(Colour::Green),
        BOOKING_CANCELLED | BOOKING_CHANGED => Some(Colour::Yellow),
        BOOKING_REFUSED | LOCK_FORCED | LOCK_NOT_FORCED => Some(Colour::Red),
        SERVICE_STARTED | SERVICE_STOPPED | AGENDA_RESTORED => Some(Colour::Cyan),
        _ => None,
    }
}
