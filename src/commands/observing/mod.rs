//! `agenda`, `book`, `cancel` and `bookings`: what observers do with the agenda, and their scripts.
//!
//! [`way`] follows the links from the entry point, [`answer`] tells what is answered, and [`documents`] are what is found. Each
//! command has a file of its own; [`changed`] is what `book` and `cancel` have in common.

mod agenda;
mod answer;
mod book;
mod bookings;
mod cancel;
mod changed;
mod documents;
mod picture;
mod refusal;
mod table;
mod way;
mod when;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::Value;

pub use self::agenda::{AgendaArgs, run as agenda};
pub use self::book::{BookArgs, run as book};
pub use self::bookings::{BookingsArgs, run as bookings};
pub use self::cancel::{CancelArgs, run as cancel};
pub use self::way::Way;
use super::address::url_parser;
use super::caller::CallerArgs;
use crate::text::escaped;

/// Which scheduler is asked, and by whom.
#[derive(Clone, Debug, Args)]
pub struct SchedulerArgs {
    /// The scheduler's entry point; everything else is found by following links
    #[arg(long, env = "SCTEC_URL", default_value = "http://127.0.0.1:5000", value_name = "URL", value_parser = url_parser())]
    url: String,
    /// Options of the call.
    #[command(flatten)]
    caller: CallerArgs,
}

impl SchedulerArgs {
    /// Reads the entry point.
    ///
    /// # Errors
    /// When it does not answer, or is no scheduler's.
    async fn enter(&self) -> anyhow::Result<Way> {
        Way::enter(&self.url, &self.caller.security(std::slice::from_ref(&self.url))?).await
    }
}

/// Which telescope is meant.
#[derive(Clone, Debug, Args)]
pub struct TelescopeArgs {
    /// The telescope [default: the first one]
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    telescope: Option<String>,
}

/// One object on one line. Inside a JSON text an escape stands for the same character; outside there is nothing to escape.
fn json_line(object: &Value) -> String {
    format!("{}\n", escaped(&object.to_string()))
}
