//! `locks`: shows the locks and their holders, once or until interrupted; releases one for the operator.

pub(super) mod client;
pub(super) mod view;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use rust_i18n::t;
use serde_json::{Value, json};

use self::client::{Client, ClientError, Listing};
use super::address::url_parser;
use super::caller::CallerArgs;
use super::outcome::{EXIT_UNEXPECTED, Outcome};
use super::output::{colour, pause, print, table_width, tell};
use super::runtime::block_on;
use super::values::whole_number;
use crate::coordinator::protocol::grace;
use crate::language::chain;
use crate::text::escaped;
use crate::time::{Clock, millis};

/// Arguments of `locks`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec locks
  sctec locks --watch --prefix Hubble-Acad_
  sctec locks --json | jq '.travas[].recurso'
  sctec locks --release X --reason 'its owner is gone'

A lock is held, retained (just released, still refused) or promised (free, but the first waiter gets it). A request that \
waits for several resources counts as waiting for each of them. The owner of a lock that --release takes away \
is not notified: the storage that the lock protects must check the fencing token.

Exit status: 0 done (also when nothing is locked), 1 there was nothing to release, 2 could not run. --watch runs until \
Ctrl-C (130) or until nobody reads its output (0).")]
pub(super) struct LocksArgs {
    /// The coordinator's URL. Comma-separate several addresses of it for failover
    #[arg(
        long = "coordinator",
        visible_alias = "url",
        env = "SCTEC_COORDINATOR",
        default_value = "http://127.0.0.1:3000",
        value_name = "URL",
        value_delimiter = ',',
        value_parser = url_parser()
    )]
    url: Vec<String>,
    /// Options of the call.
    #[command(flatten)]
    caller: CallerArgs,
    /// Only resources whose names begin with this
    #[arg(long, value_name = "PREFIX", value_parser = NonEmptyStringValueParser::new())]
    prefix: Option<String>,
    /// Show at most this many [default: all]
    #[arg(long, value_name = "N", value_parser = whole_number::<u32>(1..=u32::MAX.into()))]
    limit: Option<u32>,
    /// Show them again and again until interrupted
    #[arg(long)]
    watch: bool,
    /// Pause between two requests
    #[arg(long, default_value_t = 1000, value_name = "MS", requires = "watch", value_parser = whole_number::<u64>(10..=3_600_000))]
    interval_ms: u64,
    /// Print one JSON object per request, with the coordinator's own objects
    #[arg(long)]
    json: bool,
    /// Release the lock that this resource belongs to, also one of another holder; the coordinator records it
    #[arg(long, value_name = "RESOURCE", conflicts_with_all = ["prefix", "limit", "watch"], value_parser = NonEmptyStringValueParser::new())]
    release: Option<String>,
    /// The reason for the release, for the record
    #[arg(long, value_name = "TEXT", requires = "release", value_parser = NonEmptyStringValueParser::new())]
    reason: Option<String>,
}

/// Shows the locks, or releases one.
///
/// # Errors
/// When no coordinator answers, or the answer is not a coordinator's.
pub fn run(args: &LocksArgs) -> Outcome {
    let mut client = Client::new(&args.url, &args.caller.security(&args.url)?)?;
    block_on(async {
        match &args.release {
            Some(resource) => release(&mut client, resource, args).await,
            None if args.watch => watch(&mut client, args).await,
            None => {
                let listing = look(&mut client, args).await?;
                print(&if args.json { json_line(&listing) } else { view::table(&listing, colour(), table_width())? })?;
                Ok(ExitCode::SUCCESS)
            }
        }
    })?
}

async fn look(client: &mut Client, args: &LocksArgs) -> Result<Listing, ClientError> {
    let limit = args.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    client.list(args.prefix.as_deref(), limit).await
}

/// Shows the locks again and again, until it is interrupted or its reader has gone.
async fn watch(client: &mut Client, args: &LocksArgs) -> Outcome {
    let interval = Duration::from_millis(args.interval_ms);
    let in_place = !args.json && io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|it| it != "dumb");
    let clock = Clock::system();
    let mut answered_before = false;
    // The complaint since the coordinator last answered: the same one is told once.
    let mut complaint = String::new();
    loop {
        match look(client, args).await.and_then(|listing| rendered(&listing, args, &clock, in_place)) {
            Ok(text) => {
                let frame = if in_place { view::frame(&text, !answered_before) } else { text };
                if !print(&frame)? {
                    return Ok(ExitCode::SUCCESS);
                }
                answered_before = true;
                complaint.clear();
            }
            // A watch may begin before its coordinator does, and outlives one that is being restarted.
            Err(error) if answered_before || error.is_unreachable() => {
                let said = chain(&error);
                if said != complaint {
                    tell(t!("%{failure}; trying again every %{pause} ms", failure = said, pause = args.interval_ms));
                    complaint = said;
                }
            }
            Err(error) => return Err(error.into()),
        }
        // This blocks the thread of `block_on`, where no other task runs.
        if !pause(interval) {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// The text of one request of a watch.
fn rendered(listing: &Listing, args: &LocksArgs, clock: &Clock, in_place: bool) -> Result<String, ClientError> {
    if args.json {
        return Ok(json_line(listing));
    }
    let mut head = format!("{}  {}", clock.now().millis(), listing.coordinator);
    if in_place {
        head.push_str("  ");
        head.push_str(&t!("(Ctrl-C ends)"));
    }
    let table = view::table(listing, colour(), table_width())?;
    Ok(format!("{head}\n{table}{}", if in_place { "" } else { "\n" }))
}

fn json_line(listing: &Listing) -> String {
    let mut object = json!({ "travas": listing.locks });
    if let Some(left) = listing.grace_left {
        object[grace::LEFT] = millis(left).into();
    }
    line(&object)
}

/// One object on one line. Inside a JSON text an escape stands for the same character; outside there is nothing to escape.
fn line(object: &Value) -> String {
    format!("{}\n", escaped(&object.to_string()))
}

async fn release(client: &mut Client, resource: &str, args: &LocksArgs) -> Outcome {
    let released = client.release(resource, args.reason.as_deref()).await?;
    let text: String = match &released {
        client::Release::Done(answer) if !args.json => view::released(answer)?,
        client::Release::Free(_, left) if !args.json => {
            let free = t!("%{name} is free: nobody holds it, so there is nothing to release", name = escaped(resource));
            format!("{free}\n{}", view::after_a_restart(*left))
        }
        client::Release::Done(answer) | client::Release::Free(answer, _) => line(&answer.body),
    };
    // The exit status is that of the release, also when the reader of the output has gone.
    print(&text)?;
    Ok(match released {
        client::Release::Done(_) => ExitCode::SUCCESS,
        client::Release::Free(..) => ExitCode::from(EXIT_UNEXPECTED),
    })
}
