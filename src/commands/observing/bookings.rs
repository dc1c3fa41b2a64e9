//! `bookings`: lists bookings, page by page.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use rust_i18n::t;
use serde::Deserialize;
use serde_json::Value;

use super::super::moments;
use super::super::outcome::Outcome;
use super::super::output::{colour, print, table_width};
use super::super::runtime::block_on;
use super::super::values::whole_number;
use super::documents::{Booking, Document};
use super::table::{self, line};
use super::way::{PAGES_MAX, Way};
use super::{SchedulerArgs, json_line};
use crate::time::{Clock, Timestamp};

/// The scheduler's largest page.
const PAGE_MAX: u32 = 500;
/// The variable that says who one is.
const SCIENTIST: &str = "SCTEC_SCIENTIST";

/// Arguments of `bookings`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec bookings
  sctec bookings --mine --status active --from now
  sctec bookings --telescope Webb-Acad --from today --until tomorrow
  sctec bookings --mine | cut -f1                         their numbers
  sctec bookings --json | jq 'select(.alvo == \"M31\")'

They are in order of start. Without a terminal each is a line of fields with tabs between them: id, start, end, telescope, \
scientist, status, target. --mine is the scientist of the token, or of SCTEC_SCIENTIST.

Exit status: 0 listed (also when there are none), 2 could not run.")]
pub struct BookingsArgs {
    #[command(flatten)]
    scheduler: SchedulerArgs,
    /// Only your own
    #[arg(long, conflicts_with = "scientist")]
    mine: bool,
    // Not of SCTEC_SCIENTIST: that variable says who one is, and must not hide the bookings of others.
    /// Only those of this scientist
    #[arg(long, value_name = "N", value_parser = whole_number::<u32>(1..=u32::MAX.into()))]
    scientist: Option<u32>,
    /// Only those of this telescope
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    telescope: Option<String>,
    /// Only those of this status
    #[arg(long, value_name = "STATUS")]
    status: Option<Status>,
    /// Only those that end after this instant (as now, today, 2026-12-01, RFC 3339)
    #[arg(long, value_name = "INSTANT", allow_hyphen_values = true)]
    from: Option<String>,
    /// Only those that start before this instant
    #[arg(long, value_name = "INSTANT", allow_hyphen_values = true)]
    until: Option<String>,
    /// Show at most this many [default: all]
    #[arg(long, value_name = "N", value_parser = whole_number::<u32>(1..=u32::MAX.into()))]
    limit: Option<u32>,
    /// Print each as a JSON object, on a line of its own
    #[arg(long)]
    json: bool,
}

/// The status of a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Status {
    /// It holds
    #[value(alias = "AGENDADO")]
    Active,
    /// It was cancelled
    #[value(alias = "CANCELADO")]
    Cancelled,
}

/// Lists bookings.
///
/// # Errors
/// When they cannot be read.
pub fn run(args: &BookingsArgs) -> Outcome {
    block_on(list(args))??;
    Ok(ExitCode::SUCCESS)
}

#[derive(Deserialize)]
struct Page {
    agendamentos: Vec<Value>,
}

async fn list(args: &BookingsArgs) -> anyhow::Result<()> {
    let mut way = args.scheduler.enter().await?;
    let mut page = first_page(&mut way, args).await?;
    let in_table = !args.json && io::stdout().is_terminal();
    let mut left = args.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut kept = Vec::new();
    for _ in 0..PAGES_MAX {
        let mut bookings = way.understood::<Page>(&page)?.agendamentos;
        let there_are_more = bookings.len() > left;
        bookings.truncate(left);
        left -= bookings.len();
        if in_table {
            kept.append(&mut bookings);
        } else if !print(&lines(&way, &bookings, args.json)?)? {
            return Ok(());
        }
        let next = if there_are_more || page.link("proxima").is_none() { None } else { Some(()) };
        if left == 0 || next.is_none() {
            let more = left == 0 && (there_are_more || next.is_some());
            return if in_table { show(&mut way, &kept, more).await } else { Ok(()) };
        }
        let Some(next) = way.next_page(&page).await? else { break };
        page = next;
    }
    bail!("{}", t!("the pages of the scheduler's list do not end; name another with --url"))
}

async fn first_page(way: &mut Way, args: &BookingsArgs) -> anyhow::Result<Document> {
    let link = way.link("agendamentos").await?;
    let mut values: Vec<(&str, String)> = Vec::new();
    let scientist = if args.mine { Some(way.myself(of_environment()?).await?) } else { args.scientist.map(i64::from) };
    values.extend(scientist.map(|id| ("cientista_id", id.to_string())));
    values.extend(args.telescope.clone().map(|id| ("telescopio", id)));
    let status = args.status.map(|status| match status {
        Status::Active => "AGENDADO",
        Status::Cancelled => "CANCELADO",
    });
    values.extend(status.map(|status| ("status", status.to_owned())));
    if args.from.is_some() || args.until.is_some() {
        let now = way.official_time().await?.of(Clock::system().now());
        values.extend(instant("--from", args.from.as_deref(), now)?.map(|at| ("de", at)));
        values.extend(instant("--until", args.until.as_deref(), now)?.map(|at| ("ate", at)));
    }
    values.push(("limite", args.limit.unwrap_or(PAGE_MAX).min(PAGE_MAX).to_string()));
    if let Some(wanted) = &args.telescope {
        // The list of an unknown telescope would be empty.
        way.telescope(Some(wanted)).await?;
    }
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    way.get(&link, &values).await
}

/// The scientist of `SCTEC_SCIENTIST`.
fn of_environment() -> anyhow::Result<Option<u32>> {
    let Some(text) = std::env::var_os(SCIENTIST).filter(|text| !text.is_empty()) else { return Ok(None) };
    let number = text.to_str().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    let wrong = || t!("%{name} should be the number of a scientist, as 7", name = SCIENTIST);
    number.map(Some).with_context(wrong)
}

fn instant(option: &str, text: Option<&str>, now: Timestamp) -> anyhow::Result<Option<String>> {
    let at = text.map(|text| {
        moments::parse(text, now).map_err(|wrong| {
            anyhow!("{}", t!("%{option} %{text} %{wrong}", option = option, text = format!("{text:?}"), wrong = wrong))
        })
    });
    Ok(at.transpose()?.map(|at| at.micros().to_string()))
}

fn lines(way: &Way, bookings: &[Value], json: bool) -> anyhow::Result<String> {
    let mut text = String::new();
    for booking in bookings {
        text.push_str(&if json { json_line(booking) } else { line(&way.understood(&Document(booking.clone()))?) });
    }
    Ok(text)
}

async fn show(way: &mut Way, bookings: &[Value], more: bool) -> anyhow::Result<()> {
    let names = way.names(bookings).await;
    let read = bookings.iter().map(|booking| way.understood::<Booking>(&Document(booking.clone())));
    let bookings = read.collect::<anyhow::Result<Vec<_>>>()?;
    print(&table::table(&bookings, &names, more, (colour(), table_width())))?;
    Ok(())
}
