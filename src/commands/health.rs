//! `health`: one question to one service, for an engine or a supervisor that goes by the exit status.

use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::Value;
use ureq::http::StatusCode;
use ureq::{Agent, Error};

use super::output::{print, tell};
use super::{EXIT_UNEXPECTED, Outcome};
use crate::cli::HealthArgs;
use crate::http::unreachable::{Cause, Peer};
use crate::stress::wire::Url;
use crate::text::escaped;

/// Who is asked.
const SERVICE: Peer = Peer { name: "the service", command: "sctec serve-all" };
/// The most bytes of an answer.
const ANSWER_MAX: u64 = 64 * 1024;

/// Asks, says in one line what came of it, and exits by it.
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
        bail!("--timeout 0 leaves no time for an answer; leave it out for 3s");
    }
    let url = format!("{base}{}", if args.ready { "/pronto" } else { "/saude" });
    let config = Agent::config_builder()
        .timeout_global(Some(args.timeout))
        .http_status_as_error(false)
        // A proxy or a redirect would be someone else's health.
        .proxy(None)
        .max_redirects(0);
    match ask(&config.build().into(), &url, args.ready)? {
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

/// How a service is, in words that are safe to print.
enum Health {
    Well(String),
    Unwell(String),
}

fn ask(agent: &Agent, url: &str, ready: bool) -> anyhow::Result<Health> {
    let answer = agent.get(url).header("Accept", "application/json").call().and_then(|mut answer| {
        let body = answer.body_mut().with_config().limit(ANSWER_MAX).read_to_vec()?;
        Ok((answer.status(), body))
    });
    let (status, body) = match answer {
        Ok(answer) => answer,
        Err(error @ (Error::BadUri(_) | Error::Http(_))) => {
            return Err(error).with_context(|| format!("cannot ask {url}"));
        }
        Err(error) => {
            let cause = Cause::of_exchange(&error);
            let advice = cause.advice(SERVICE, "URL");
            // What is wrong here says nothing of the service, which nobody should restart for it.
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
    // Only /saude says who it is.
    if let (Some(service), Some(version)) = (body["servico"].as_str(), body["versao"].as_str()) {
        said = format!("{said} ({} {})", escaped(service), escaped(version));
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
        format!("answered {}, but not as an sctec service does", status.as_u16())
    } else {
        format!("answered {}: {said} ({})", status.as_u16(), missing.join("; "))
    }))
}
