//! `book`: makes a booking.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use rust_i18n::t;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::outcome::Outcome;
use super::super::output::tell;
use super::super::runtime::block_on;
use super::super::values::whole_number;
use super::answer::Verdict;
use super::changed::{Change, LOOK_AGAIN, LOOKS, refuse, show, unknown};
use super::documents::{Booking, Document};
use super::way::Way;
use super::{SchedulerArgs, TelescopeArgs, when};
use crate::agenda::SLOT_MIN;
use crate::http::links::ReadLink;
use crate::language;
use crate::stress::wire::REQUEST_TIMEOUT;
use crate::time::{Clock, Timestamp, minutes_in_micros};

/// The pauses before a request whose answer was lost is sent again, with the same key.
const REPEATED_AFTER: [Duration; 3] = [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1)];

/// Arguments of `book`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec book 03:00 --scientist 7                          today, in UTC
  sctec book tomorrow 03:00 --scientist 7 --duration 1h30m --target M31
  sctec book 2026-12-01T03:00:00Z --scientist 7 --telescope Webb-Acad
  sctec book 03:00 --scientist 7 --json | jq .id          its number

With SCTEC_SCIENTIST=7, or with the token of a scientist, --scientist is not needed.

On a terminal the booking is a table, else a line as that of bookings. When the answer is lost, the request \
is repeated with the same key, which books once; then the list of bookings is read, and the message says whether the booking is there.

Exit status: 0 booked, 1 refused (somebody else has the time, or what was asked for is wrong), 2 could not run: nothing was booked, \
3 not known.")]
pub struct BookArgs {
    /// When it starts, in UTC: 03:00 (today), tomorrow 03:00, 2026-12-01 03:00, or RFC 3339
    #[arg(value_name = "START", num_args = 1..=2, required = true)]
    start: Vec<String>,
    /// How long it takes, as 30m, 1h or 1h30m; a multiple of five minutes [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = when::minutes)]
    duration: Option<u32>,
    #[command(flatten)]
    telescope: TelescopeArgs,
    /// The scientist who observes [default: the token's]
    #[arg(long, env = "SCTEC_SCIENTIST", value_name = "N", value_parser = whole_number::<u32>(1..=u32::MAX.into()))]
    scientist: Option<u32>,
    /// The proposal that pays for it; some telescopes require one
    #[arg(long, value_name = "ID", value_parser = whole_number::<i64>(1..=i64::MAX.unsigned_abs()))]
    proposal: Option<i64>,
    /// What is observed
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    target: Option<String>,
    /// Notes on the observation
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    notes: Option<String>,
    #[command(flatten)]
    scheduler: SchedulerArgs,
    /// Print the booking as a JSON object, the scheduler's own
    #[arg(long)]
    json: bool,
}

/// Makes a booking.
///
/// # Errors
/// When nothing was booked, and the reason is not what was asked for.
pub fn run(args: &BookArgs) -> Outcome {
    block_on(book(args))?
}

async fn book(args: &BookArgs) -> Outcome {
    let mut way = args.scheduler.enter().await?;
    let now = way.official_time().await?.of(Clock::system().now());
    let start = args.start.join(" ");
    let start = when::start(&start, now)
        .map_err(|wrong| anyhow!("{}", t!("START %{text} %{wrong}", text = format!("{start:?}"), wrong = wrong)))?;
    let link = way.link("agendar").await?;
    let scientist = way.scientist(args.scientist).await?.with_context(|| {
        t!("say who observes: with --scientist N or SCTEC_SCIENTIST=N, or by a scientist's token (--token-file FILE)")
    })?;
    let asked = Asked { scientist, start, clicked: now };
    let (verdict, lost) = asked.sent(&mut way, &link, &asked.body(args)).await?;
    match (verdict, lost) {
        (Verdict::Done(booking), lost) => {
            if let Some(why) = lost {
                tell(language::chain(why.as_ref()));
                tell(t!("but the booking was made, once: the request was sent again with the same key"));
            }
            show(&mut way, *booking, Change::Booked, args.json).await
        }
        // A scheduler that knows no keys refuses the second request because of the booking of the first.
        (Verdict::Refused(problem), Some(why)) => match asked.found(&mut way).await {
            Ok(Some(booking)) => shown_of_list(&mut way, &why, booking, args).await,
            _ => refused(&mut way, problem, args).await,
        },
        (Verdict::Refused(problem), None) => refused(&mut way, problem, args).await,
        (Verdict::Unknown(why), lost) => {
            let why = lost.unwrap_or(why);
            match asked.found(&mut way).await {
                Ok(Some(booking)) => shown_of_list(&mut way, &why, booking, args).await,
                Ok(None) => Ok(unknown(&why, &asked.not_known(&t!("the booking is not in the list now")))),
                Err(error) => {
                    let said = t!("the list cannot be read: %{error}", error = language::chain(error.as_ref()));
                    Ok(unknown(&why, &asked.not_known(&said)))
                }
            }
        }
    }
}

/// Shows the booking that was found after its answer was lost for this reason.
async fn shown_of_list(way: &mut Way, why: &anyhow::Error, booking: (Document, Booking), args: &BookArgs) -> Outcome {
    tell(language::chain(why.as_ref()));
    tell(t!("but the booking was made: it is in the list"));
    show(way, booking, Change::Booked, args.json).await
}

/// Says why nothing was booked.
async fn refused(way: &mut Way, problem: Value, args: &BookArgs) -> Outcome {
    let unknown_telescope = names_field(&problem, "telescopio_desconhecido");
    let status = refuse(way, problem, Change::Booked).await;
    if unknown_telescope && let Err(known) = way.telescope(args.telescope.telescope.as_deref()).await {
        tell(language::chain(known.as_ref()));
    }
    Ok(status)
}

/// Whether a field of the request is wrong for this reason.
fn names_field(problem: &Value, code: &str) -> bool {
    problem["erros"].as_array().is_some_and(|wrong| wrong.iter().any(|field| field["codigo"] == code))
}

/// What a booking is known by if its answer is lost.
struct Asked {
    scientist: i64,
    start: Timestamp,
    /// The official time of the command, to the microsecond: another booking has another.
    clicked: Timestamp,
}

#[derive(Deserialize)]
struct Page {
    agendamentos: Vec<Value>,
}

impl Asked {
    fn body(&self, args: &BookArgs) -> Value {
        let fields = [
            ("cientista_id", Some(self.scientist.into())),
            ("horario_inicio_utc", Some(self.start.micros().to_string().into())),
            ("duracao_min", args.duration.map(Value::from)),
            ("telescopio", args.telescope.telescope.clone().map(Value::from)),
            ("proposta_id", args.proposal.map(Value::from)),
            ("alvo", args.target.clone().map(Value::from)),
            ("observacoes", args.notes.clone().map(Value::from)),
            ("instante_clique_utc", Some(self.clicked.micros().to_string().into())),
        ];
        let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(given.collect::<Map<_, _>>())
    }

    /// Sends the request with a key of its own, and again while its answer is lost. With the verdict, why the first answer was lost.
    async fn sent(
        &self,
        way: &mut Way,
        link: &ReadLink,
        body: &Value,
    ) -> anyhow::Result<(Verdict, Option<anyhow::Error>)> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        let key = base16ct::lower::encode_string(&bytes);
        let begun = Instant::now();
        let mut verdict = way.act(link, Some(body), Some(&key)).await?;
        let mut lost = None;
        for pause in REPEATED_AFTER {
            // After a long silence one repetition is enough.
            if lost.is_some() && begun.elapsed() > REQUEST_TIMEOUT {
                break;
            }
            match verdict {
                Verdict::Unknown(why) => _ = lost.get_or_insert(why),
                known => return Ok((known, lost)),
            }
            tokio::time::sleep(pause).await;
            // That nobody is there any more says nothing of the first request.
            verdict = way.act(link, Some(body), Some(&key)).await.unwrap_or_else(Verdict::Unknown);
        }
        Ok((verdict, lost))
    }

    /// The booking in the list. The scheduler may be at work on it, so it is looked for several times.
    async fn found(&self, way: &mut Way) -> anyhow::Result<Option<(Document, Booking)>> {
        let link = way.link("agendamentos").await?;
        let end =
            Timestamp::from_micros(self.start.as_micros() + minutes_in_micros(SLOT_MIN)).unwrap_or(Timestamp::MAX);
        let (who, from, until) =
            (self.scientist.to_string(), self.start.micros().to_string(), end.micros().to_string());
        let values = [("cientista_id", who.as_str()), ("de", &from), ("ate", &until)];
        for look in 0..LOOKS {
            if look > 0 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            let page = way.get(&link, &values).await?;
            for document in way.understood::<Page>(&page)?.agendamentos.into_iter().map(Document) {
                let booking: Booking = way.understood(&document)?;
                if booking.start == self.start && booking.clicked == Some(self.clicked) {
                    return Ok(Some((document, booking)));
                }
            }
        }
        Ok(None)
    }

    /// `found` is what looking for it gave.
    fn not_known(&self, found: &str) -> String {
        t!(
            "it is not known whether it was booked: %{found}; before you try again, look with: sctec bookings --scientist %{scientist} --from %{start}",
            found = found,
            scientist = self.scientist,
            start = self.start.seconds()
        )
        .into_owned()
    }
}
