//! `cancel`: cancels a booking.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use rust_i18n::t;
use serde_json::json;

use super::super::outcome::Outcome;
use super::super::output::tell;
use super::super::runtime::block_on;
use super::super::values::whole_number;
use super::SchedulerArgs;
use super::answer::Verdict;
use super::changed::{Change, LOOK_AGAIN, LOOKS, refuse, show, unknown};
use super::documents::{Booking, Document};
use super::way::Way;
use crate::http::links::ReadLink;
use crate::language;
use crate::time::Clock;

/// Arguments of `cancel`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec cancel 12
  sctec cancel 12 --reason \"clouds of dust\"
  sctec bookings --mine --from now | cut -f1 | xargs -n1 sctec cancel

A booking that was cancelled before is no failure.

Exit status: 0 cancelled, also before, 1 refused (there is no such booking, or it is too late), 2 could not run: nothing was \
cancelled, 3 not known.")]
pub struct CancelArgs {
    /// The booking's number, as book and bookings show it
    #[arg(value_name = "ID", value_parser = whole_number::<i64>(1..=i64::MAX.unsigned_abs()))]
    id: i64,
    /// Why; it stands in the booking and in the audit trail
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: Option<String>,
    #[command(flatten)]
    scheduler: SchedulerArgs,
    /// Print the booking as a JSON object, the scheduler's own
    #[arg(long)]
    json: bool,
}

/// Cancels a booking.
///
/// # Errors
/// When nothing was cancelled, and the reason is not what was asked for.
pub fn run(args: &CancelArgs) -> Outcome {
    block_on(cancel(args))?
}

async fn cancel(args: &CancelArgs) -> Outcome {
    let mut way = args.scheduler.enter().await?;
    let link = way.link("agendamento").await?;
    let id = args.id.to_string();
    let known = way.ask(&link, &[("id", &id)]).await?;
    if let Some(problem) = known.refused() {
        return Ok(refuse(&mut way, problem, Change::Cancelled).await);
    }
    let (document, booking) = known.booking()?;
    if booking.is_cancelled() {
        return before(&mut way, (document, booking), args.json).await;
    }
    let Some(action) = document.link("cancelar") else {
        way.check_own(&booking).await?;
        let problem = json!({"codigo": too_late(&mut way, &booking).await?});
        return Ok(refuse(&mut way, problem, Change::Cancelled).await);
    };
    let reason = args.reason.as_ref().map(|reason| json!({"motivo": reason}));
    match way.act(&action, reason.as_ref(), None).await? {
        Verdict::Done(booking) => show(&mut way, *booking, Change::Cancelled, args.json).await,
        Verdict::Refused(problem) if problem["codigo"] == "ja_cancelado" => {
            let booking = way.ask(&link, &[("id", &id)]).await?.booking()?;
            before(&mut way, booking, args.json).await
        }
        Verdict::Refused(problem) => Ok(refuse(&mut way, problem, Change::Cancelled).await),
        Verdict::Unknown(why) => match cancelled(&mut way, &link, &id).await {
            Ok(Some(booking)) => {
                tell(language::chain(why.as_ref()));
                tell(t!("but the booking was cancelled: it says so itself"));
                show(&mut way, booking, Change::Cancelled, args.json).await
            }
            Ok(None) => Ok(unknown(&why, &not_known(&t!("the booking is active now")))),
            Err(error) => {
                let said = t!("the booking cannot be read: %{error}", error = language::chain(error.as_ref()));
                Ok(unknown(&why, &not_known(&said)))
            }
        },
    }
}

/// Shows a booking that another request cancelled.
async fn before(way: &mut Way, booking: (Document, Booking), json: bool) -> Outcome {
    tell(t!("booking %{id} was cancelled before", id = booking.1.id));
    show(way, booking, Change::Cancelled, json).await
}

/// Why an active booking cannot be cancelled any more, as the scheduler would say it.
async fn too_late(way: &mut Way, booking: &Booking) -> anyhow::Result<&'static str> {
    let now = way.official_time().await?.of(Clock::system().now());
    Ok(if booking.start <= now { "observacao_iniciada" } else { "cancelamento_tardio" })
}

/// The booking, if it is cancelled. The scheduler may be at work on it, so it is looked at several times.
async fn cancelled(way: &mut Way, link: &ReadLink, id: &str) -> anyhow::Result<Option<(Document, Booking)>> {
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let (document, booking) = way.ask(link, &[("id", id)]).await?.booking()?;
        if booking.is_cancelled() {
            return Ok(Some((document, booking)));
        }
    }
    Ok(None)
}

/// `found` is what looking at the booking gave.
fn not_known(found: &str) -> String {
    t!("it is not known whether it was cancelled: %{found}; the same command may be given again", found = found)
        .into_owned()
}
