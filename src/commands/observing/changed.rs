//! What `book` and `cancel` have in common: the booking that they changed is shown, and so is the reason why they did not.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use rust_i18n::t;
use serde_json::Value;

use super::super::outcome::{EXIT_OUTCOME_UNKNOWN, EXIT_UNEXPECTED, Outcome};
use super::super::output::{colour, print, table_width, tell};
use super::documents::{Booking, Document, Free};
use super::way::Way;
use super::{json_line, refusal, table};
use crate::language;

/// How often a change whose answer was lost is looked for, and the pause between: the scheduler finishes it meanwhile.
pub const LOOKS: usize = 4;
/// See [`LOOKS`].
pub const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What was done to a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was made.
    Booked,
    /// It was cancelled.
    Cancelled,
}

impl Change {
    fn closing(self, id: i64) -> String {
        match self {
            Self::Booked => t!("booked; 'sctec cancel %{id}' cancels it", id = id).into_owned(),
            Self::Cancelled => t!("the booking is cancelled").into_owned(),
        }
    }

    /// The change is made, also when it cannot be shown.
    fn not_shown(self, id: i64) -> String {
        match self {
            Self::Booked => t!("booking %{id} was made, and could not be shown", id = id).into_owned(),
            Self::Cancelled => t!("booking %{id} was cancelled, and this could not be shown", id = id).into_owned(),
        }
    }

    fn refused(self, said: &str) -> String {
        match self {
            Self::Booked => t!("not booked: %{said}", said = said).into_owned(),
            Self::Cancelled => t!("not cancelled: %{said}", said = said).into_owned(),
        }
    }
}

/// Shows the booking as it is after the change: a table on a terminal, else a line, or JSON when asked.
///
/// # Errors
/// When it cannot be printed.
pub async fn show(way: &mut Way, (document, booking): (Document, Booking), change: Change, json: bool) -> Outcome {
    let id = booking.id;
    let text = if json {
        json_line(&document.0)
    } else if io::stdout().is_terminal() {
        let names = way.names(std::slice::from_ref(&document.0)).await;
        table::titled(&[booking], &names, &change.closing(id), (colour(), table_width()))
    } else {
        table::line(&booking)
    };
    print(&text).with_context(|| change.not_shown(id))?;
    Ok(ExitCode::SUCCESS)
}

/// Says why nothing was changed, and what is free near the time that was asked for, where the answer leads to it.
pub async fn refuse(way: &mut Way, problem: Value, change: Change) -> ExitCode {
    let code = problem["codigo"].as_str().unwrap_or_default();
    let said = refusal::in_words(&problem).unwrap_or_else(|| refusal::quoted(code));
    tell(change.refused(&said));
    let problem = Document(problem);
    if change == Change::Booked
        && let Some(link) = problem.link("livres")
        && let Ok(free) = way.get(&link, &[]).await
        && let Ok(free) = free.read::<Free>()
    {
        let starts: Vec<_> = free.livres.iter().map(|slot| table::short(slot.start)).collect();
        if starts.is_empty() {
            tell(t!("nothing is free within seven days of it"));
        } else {
            tell(t!("the nearest free starts, in UTC: %{starts}", starts = starts.join(", ")));
        }
    }
    ExitCode::from(EXIT_UNEXPECTED)
}

/// Says that nobody knows whether the change was made: what came instead of its answer, and what looking for it gave.
pub fn unknown(why: &anyhow::Error, found: &str) -> ExitCode {
    tell(language::chain(why.as_ref()));
    tell(found);
    ExitCode::from(EXIT_OUTCOME_UNKNOWN)
}
