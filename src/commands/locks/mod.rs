//! `locks`: who holds which lock, once or until interrupted; and the operator's way to take one.

mod client;
mod view;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use self::client::{Client, ClientError, Listing};
use super::output::{colour, pause, print, tell};
use super::{EXIT_UNEXPECTED, Outcome, block_on};
use crate::cli::LocksArgs;
use crate::text::escaped;
use crate::time::Clock;

/// Shows the locks, or releases one.
///
/// # Errors
/// When no coordinator answers, or what answers is none.
pub fn run(args: &LocksArgs) -> Outcome {
    let mut client = Client::new(&args.url)?;
    block_on(async {
        match &args.release {
            Some(resource) => release(&mut client, resource, args).await,
            None if args.watch => watch(&mut client, args).await,
            None => {
                let listing = look(&mut client, args).await?;
                print(&if args.json { json_line(&listing) } else { view::table(&listing, colour())? })?;
                Ok(ExitCode::SUCCESS)
            }
        }
    })?
}

async fn look(client: &mut Client, args: &LocksArgs) -> Result<Listing, ClientError> {
    let limit = args.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    client.list(args.prefix.as_deref(), limit).await
}

/// Looks again and again, until interrupted or nobody reads any more.
async fn watch(client: &mut Client, args: &LocksArgs) -> Outcome {
    let interval = Duration::from_millis(args.interval_ms);
    let in_place = !args.json && io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|it| it != "dumb");
    let clock = Clock::system();
    let mut answered_before = false;
    // What was said of the coordinator since it last answered: once is enough.
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
                let said = format!("{:#}", anyhow::Error::from(error));
                if said != complaint {
                    tell(format_args!("{said}; trying again every {} ms", args.interval_ms));
                    complaint = said;
                }
            }
            Err(error) => return Err(error.into()),
        }
        // It blocks this thread, and no other task is on it: the connections' tasks are on the runtime's threads.
        if !pause(interval) {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// One look of a watch.
fn rendered(listing: &Listing, args: &LocksArgs, clock: &Clock, in_place: bool) -> Result<String, ClientError> {
    if args.json {
        return Ok(json_line(listing));
    }
    let mut head = format!("{}  {}", clock.now().millis(), listing.coordinator);
    if in_place {
        head.push_str("  (Ctrl-C ends)");
    }
    let table = view::table(listing, colour())?;
    Ok(format!("{head}\n{table}{}", if in_place { "" } else { "\n" }))
}

fn json_line(listing: &Listing) -> String {
    line(&json!({ "travas": listing.locks }))
}

/// One object on one line. In JSON's texts an escape is the same character; outside of them there is nothing to escape.
fn line(object: &Value) -> String {
    format!("{}\n", escaped(&object.to_string()))
}

async fn release(client: &mut Client, resource: &str, args: &LocksArgs) -> Outcome {
    let released = client.release(resource, args.reason.as_deref()).await?;
    let text = match &released {
        client::Release::Done(answer) if !args.json => view::released(answer)?,
        client::Release::Free(_) if !args.json => {
            format!("{} is free: nobody holds it, so there is nothing to release\n", escaped(resource))
        }
        client::Release::Done(answer) | client::Release::Free(answer) => line(&answer.body),
    };
    // What was done was done, whether or not anyone reads it.
    print(&text)?;
    Ok(match released {
        client::Release::Done(_) => ExitCode::SUCCESS,
        client::Release::Free(_) => ExitCode::from(EXIT_UNEXPECTED),
    })
}
