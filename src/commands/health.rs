//! `health`: asks one service how it is, for a container engine or a supervisor, which reads the exit status.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use hyper::StatusCode;
use serde_json::Value;

use super::address::url_parser;
use super::outcome::{EXIT_UNEXPECTED, Outcome};
use super::output::{print, tell};
use super::runtime::block_on;
use super::values::parse_duration;
use crate::coordinator::protocol::grace;
use crate::http::client::{AnswerError, Limits, Session, Url};
use crate::http::unreachable::Peer;
use crate::text::escaped;

/// The service in an advice.
const SERVICE: Peer = Peer { name: "the service", command: "sctec serve-all" };
/// The most bytes of an answer.
const ANSWER_MAX: usize = 64 * 1024;

/// Arguments of `health`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec health                                 the scheduler on this machine
  sctec health http://127.0.0.1:3000           the coordinator
  sctec health --ready || echo 'not now'       whether it can book now

Exit status: 0 well, 1 not well or no answer, 2 could not ask, for a reason that is on this machine: a name without \
an address, no free local port, too many open files.")]
pub(super) struct HealthArgs {
    /// The service's entry point, scheduler or coordinator
    #[arg(env = "SCTEC_URL", default_value = "http://127.0.0.1:5000", value_name = "URL", value_parser = url_parser())]
    url: String,
    /// Ask whether it can do its work now (/pronto), and not only whether it lives (/saude)
    #[arg(long)]
    ready: bool,
    /// How long to wait for the answer (as 500ms, 3s)
    #[arg(long, default_value = "3s", value_name = "DURATION", value_parser = parse_duration)]
    timeout: Duration,
}

/// Asks, and says in one line and by the exit status how the service is.
///
/// # Errors
/// When it could not ask.
pub fn run(args: &HealthArgs) -> Outcome {
    let base = args.url.trim().trim_end_matches('/');
    if base.contains('?') {
        bail!("{base:?} has a query; give the service's entry point, as http://127.0.0.1:5000");
    }
    Url::parse(base)?;
    if args.timeout.is_zero() {
        bail!("--timeout must be longer than 0; without the option it is 3s");
    }
    let url = Url::parse(&format!("{base}{}", if args.ready { "/pronto" } else { "/saude" }))?;
    let limits = Limits { connect: args.timeout, exchange: args.timeout, answer_bytes: ANSWER_MAX };
    match block_on(ask(limits, &url, args.ready))?? {
        Health::Well(said) => {
            print(&format!("{url}: {said}\n"))?;
            Ok(ExitCode::SUCCESS)
        }
        Health::Unwell(said) => {
            tell(format_args!("{url} {said}"));
            Ok(ExitCode::from(EXIT_UNEXPECTED))
        }
    }
}

/// The health of a service, in words that are safe to print.
enum Health {
    Well(String),
    Unwell(String),
}

async fn ask(limits: Limits, url: &Url, ready: bool) -> anyhow::Result<Health> {
    let (status, body) = match Session::new(limits).get(url).await {
        Ok(answer) => answer,
        Err(error @ AnswerError::Request(_)) => return Err(error).with_context(|| format!("cannot ask {url}")),
        Err(error) => {
            let cause = error.cause();
            let advice = cause.advice(SERVICE, "URL");
            // A fault of this machine says nothing of the service: nobody should restart the service for it.
            if cause.is_here() {
                return Err(error).with_context(|| format!("cannot ask {url}; {advice}"));
            }
            return Ok(Health::Unwell(format!("did not answer: {}; {advice}", escaped(&error.to_string()))));
        }
    };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let word = body["status"].as_str().unwrap_or_default();
    let well = status == StatusCode::OK && word == if ready { "pronto" } else { "vivo" };
    let mut said = escaped(word);
    let grace_left = body[grace::LEFT].as_u64().map(Duration::from_millis);
    // Only /saude names the service.
    if let (Some(service), Some(version)) = (body["servico"].as_str(), body["versao"].as_str()) {
        said = format!("{said} ({} {})", escaped(service), escaped(version));
    }
    if let Some(left) = grace_left {
        said = format!("{said}; {}", grace::in_english(left));
    }
    if well {
        return Ok(Health::Well(said));
    }
    let parts = body["partes"].as_object().into_iter().flatten();
    let missing: Vec<String> = parts
        .filter(|(_, state)| *state != "ok")
        .map(|(part, state)| escaped(&format!("{part}: {}", state.as_str().unwrap_or_default())))
        .collect();
    Ok(Health::Unwell(if missing.is_empty() {
        format!("answered {}, but this is not a service of sctec", status.as_u16())
    } else {
        format!("answered {}: {said} ({})", status.as_u16(), missing.join("; "))
    }))
}
