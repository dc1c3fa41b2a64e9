//! `agenda`: a day of a telescope as a picture.

use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use rust_i18n::t;
use serde::Deserialize;

use super::super::outcome::Outcome;
use super::super::output::{WIDTH_DEFAULT, colour, print, table_width};
use super::super::runtime::block_on;
use super::super::values::whole_number;
use super::documents::{Agenda, Booking, Slot};
use super::picture::{Day, Held, Kind, Look, picture};
use super::way::Way;
use super::{SchedulerArgs, TelescopeArgs, json_line, when};
use crate::agenda::SLOT_MIN;
use crate::text::escaped;
use crate::time::{Clock, Timestamp, minutes_in_micros};

/// Arguments of `agenda`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec agenda
  sctec agenda --day tomorrow --scientist 7
  sctec agenda --telescope Webb-Acad --day 2026-12-01
  sctec agenda --json | jq '.horarios[] | select(.estado == \"livre\")'

A row is an hour, a column five minutes, in UTC. A booking reaches from [ to ]; without ] it goes on in the next row. It has the \
name of its scientist, or the initials. Yours are those of --scientist, or of the token's scientist.

Exit status: 0 shown, 2 could not run.")]
pub struct AgendaArgs {
    #[command(flatten)]
    scheduler: SchedulerArgs,
    #[command(flatten)]
    telescope: TelescopeArgs,
    /// The day in UTC: 2026-12-01, today, tomorrow or yesterday [default: today]
    #[arg(long, value_name = "DAY", value_parser = NonEmptyStringValueParser::new())]
    day: Option<String>,
    /// The scientist whose bookings are yours [default: the token's]
    #[arg(long, env = "SCTEC_SCIENTIST", value_name = "N", value_parser = whole_number::<u32>(1..=u32::MAX.into()))]
    scientist: Option<u32>,
    /// Print the scheduler's own document, as one JSON object
    #[arg(long)]
    json: bool,
}

/// Shows a day.
///
/// # Errors
/// When it cannot be read.
pub fn run(args: &AgendaArgs) -> Outcome {
    let shown = block_on(shown(args))??;
    print(&shown)?;
    Ok(ExitCode::SUCCESS)
}

async fn shown(args: &AgendaArgs) -> anyhow::Result<String> {
    let mut way = args.scheduler.enter().await?;
    let midnight = match &args.day {
        None => None,
        Some(text) => {
            let now = way.official_time().await?.of(Clock::system().now());
            let day = when::day(text, now).map_err(|wrong| {
                anyhow!("{}", t!("--day %{text} %{wrong}", text = format!("{text:?}"), wrong = wrong))
            })?;
            Some(day.seconds().to_string())
        }
    };
    let telescope = way.telescope(args.telescope.telescope.as_deref()).await?;
    let link = way.link_of(&telescope, "agenda")?;
    let values: Vec<(&str, &str)> = midnight.iter().map(|midnight| ("de", midnight.as_str())).collect();
    let document = way.get(&link, &values).await?;
    if args.json {
        return Ok(json_line(&document.0));
    }
    let own = way.scientist(args.scientist).await?;
    let agenda: Agenda = way.understood(&document)?;
    let day = day(&mut way, agenda, own).await;
    Ok(picture(&day, Look { colour: colour(), width: table_width().unwrap_or(WIDTH_DEFAULT) }))
}

/// The agenda as a day to draw; `own` is the scientist who asks.
async fn day(way: &mut Way, agenda: Agenda, own: Option<i64>) -> Day {
    let names = way.names(&agenda.agendamentos).await;
    let bookings: HashMap<i64, Booking> =
        agenda.agendamentos.iter().filter_map(|it| Booking::deserialize(it).ok()).map(|it| (it.id, it)).collect();
    let mine = |booking: &Booking| own == Some(booking.cientista_id);
    let count = bookings.values().filter(|booking| mine(booking)).count();
    let kind = |slot: &Slot| match (slot.estado.as_str(), slot.agendamento_id) {
        ("livre", _) => Kind::Free,
        ("passado", _) => Kind::Past,
        ("agendado", Some(id)) => {
            let booking = bookings.get(&id);
            let name = booking.map(|it| names.get(&it.cientista_id).cloned().unwrap_or(it.cientista_id.to_string()));
            Kind::Held(Held {
                booking: id,
                times: slot.vezes_agendado,
                name: name.unwrap_or_default(),
                own: booking.is_some_and(mine),
                starts: booking.is_none_or(|it| it.start == slot.start),
                ends: booking.is_none_or(|it| it.end == end_of(slot.start)),
            })
        }
        _ => Kind::Closed,
    };
    Day {
        telescope: escaped(&agenda.telescopio),
        simulated: agenda.simulado,
        now: agenda.now,
        slots: agenda.horarios.iter().map(|slot| (slot.start, kind(slot))).collect(),
        bookings: (bookings.len(), own.map(|_| count)),
    }
}

fn end_of(start: Timestamp) -> Timestamp {
    Timestamp::from_micros(start.as_micros() + minutes_in_micros(SLOT_MIN)).unwrap_or(Timestamp::MAX)
}
