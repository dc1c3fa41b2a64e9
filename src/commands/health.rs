//! `health`: asks one service how it is, for a container engine or a supervisor, which reads the exit status.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueHint};
use hyper::StatusCode;
use rust_i18n::t;
use serde_json::Value;

use super::address::{entry_point, in_full};
use super::asked::{self, faulty_parts};
use super::caller::{CallerArgs, given};
use super::outcome::{EXIT_UNEXPECTED, Outcome};
use super::output::{print, tell};
use super::runtime::block_on;
use super::values::parse_duration;
use crate::coordinator::advice;
use crate::coordinator::protocol::grace;
use crate::http::client::{AnswerError, Limits, Security, Session, Url, refused};
use crate::http::tls::Trust;
use crate::http::unreachable::Peer;
use crate::text::escaped;

/// The service in an advice.
const SERVICE: Peer = Peer { name: "the service", command: "sctec serve-all" };
/// The port of the scheduler on this machine.
const PORT: &str = "5000";
/// The most bytes of an answer.
const ANSWER_MAX: usize = 64 * 1024;

/// Arguments of `health`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec health                                 the scheduler on this machine
  sctec health http://127.0.0.1:3000           the coordinator
  sctec health --ready || echo 'not now'       whether it can book now

Exit status: 0 well, 1 not well or no answer, 2 could not ask, for a reason that is on this machine: a name without \
an address, no free local port, too many open files, an authority that is not known, http:// where it is https://.")]
pub(super) struct HealthArgs {
    /// The service's entry point, scheduler or coordinator [default: port 5000 of this machine]
    #[arg(env = "SCTEC_URL", value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    url: Option<String>,
    /// Also believe the certificate in this file, by any name: that of a service on this machine. A URL without a scheme is then https://
    #[arg(long, env = "SCTEC_TLS_CERT", value_name = "FILE", value_hint = ValueHint::FilePath)]
    tls_cert: Option<OsString>,
    /// Options of the call.
    #[command(flatten)]
    caller: CallerArgs,
    /// Check readiness (/pronto), not only liveness (/saude)
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
    let own = given(args.tls_cert.as_ref()).map(Path::new);
    let scheme = if own.is_some() { "https" } else { "http" };
    let asked = in_full(args.url.as_deref().unwrap_or(PORT), scheme);
    let base = asked.trim_end_matches('/');
    entry_point(base)?;
    if args.timeout.is_zero() {
        bail!("{}", t!("--timeout must be longer than 0; without the option it is 3s"));
    }
    let url = Url::parse(&format!("{base}{}", if args.ready { "/pronto" } else { "/saude" }))?;
    let security = match own.filter(|_| url.is_secure()) {
        Some(own) => args.caller.security_of(
            Trust::also(own, given(args.caller.ca.as_ref()).map(Path::new))?,
            std::slice::from_ref(&asked),
        )?,
        None => args.caller.security(std::slice::from_ref(&asked))?,
    };
    let limits = Limits { connect: args.timeout, exchange: args.timeout, answer_bytes: ANSWER_MAX };
    let Health { well, said, warnings } = block_on(ask(limits, &security, &url, args.ready))??;
    if well {
        print(&format!("{url}: {said}\n"))?;
    } else {
        tell(format_args!("{url} {said}"));
    }
    // They do not change the state: they say what will get worse.
    for warning in warnings {
        tell(t!("warning: %{text}", text = warning));
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNEXPECTED) })
}

/// The health of a service, in words that are safe to print.
struct Health {
    well: bool,
    said: String,
    warnings: Vec<String>,
}

async fn ask(limits: Limits, security: &Security, url: &Url, ready: bool) -> anyhow::Result<Health> {
    let (status, body) = match Session::new(limits, security).get(url).await {
        Ok(answer) => answer,
        Err(error @ AnswerError::Request(_)) => {
            return Err(error).with_context(|| t!("cannot ask %{url}", url = url));
        }
        Err(error) => return no_answer(url, error),
    };
    if let Some(reason) = refused(status, &body) {
        bail!("{}", t!("%{url} answered %{status}: %{said}", url = url, status = status.as_u16(), said = reason));
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(health(status, &body, ready))
}

/// What is said of a service that did not answer.
fn no_answer(url: &Url, error: AnswerError) -> anyhow::Result<Health> {
    let cause = error.cause();
    let other = &t!("the argument URL");
    // A fault of this machine says nothing of the service: nobody should restart the service for it.
    if cause.is_here() {
        let advice = cause.advice(SERVICE, other);
        return Err(error).with_context(|| t!("cannot ask %{url}; %{advice}", url = url, advice = advice));
    }
    Ok(Health { well: false, said: asked::no_answer(&error, SERVICE, other), warnings: Vec::new() })
}

/// The health that an answer tells.
fn health(status: StatusCode, body: &Value, ready: bool) -> Health {
    let word = body["status"].as_str().unwrap_or_default();
    let well = status == StatusCode::OK && word == if ready { "pronto" } else { "vivo" };
    let mut said = match word {
        "vivo" => t!("alive").into_owned(),
        "pronto" => t!("ready").into_owned(),
        "indisponivel" => t!("not ready").into_owned(),
        // A later version's.
        other => escaped(other),
    };
    // Only /saude names the service.
    if let (Some(service), Some(version)) = (body["servico"].as_str(), body["versao"].as_str()) {
        said = format!("{said} ({} {})", escaped(service), escaped(version));
    }
    let grace_left = body[grace::LEFT].as_u64().map(Duration::from_millis);
    if let Some(left) = grace_left {
        said = format!("{said}; {}", advice::for_people(left));
    }
    let mut warnings: Vec<_> = asked::warnings(body).collect();
    if well {
        // A trail file that is behind, for example, does not stop bookings.
        warnings.extend(faulty_parts(body).map(|(_, said)| said));
        return Health { well, said, warnings };
    }
    let missing: Vec<String> = faulty_parts(body)
        // The sentence has said it already, in the language of the process.
        .filter(|(part, _)| grace_left.is_none() || !matches!(*part, "carencia" | "coordenador"))
        .map(|(_, said)| said)
        .collect();
    let said = if missing.is_empty() && grace_left.is_some() {
        t!("answered %{status}: %{state}", status = status.as_u16(), state = said)
    } else if missing.is_empty() {
        t!("answered %{status}, but this is not a service of sctec", status = status.as_u16())
    } else {
        t!("answered %{status}: %{state}; %{parts}", status = status.as_u16(), state = said, parts = missing.join("; "))
    };
    Health { well, said: said.into_owned(), warnings }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_well_of_a_service_that_is_ready_is_a_warning() {
        let told = |coordinator: &str| {
            let body = json!({
                "status": "pronto",
                "partes": {"banco": "ok", "coordenador": coordinator, "auditoria": "atrasada: 3"},
                "avisos": {"wal": "cresce"}
            });
            health(StatusCode::OK, &body, true)
        };
        for coordinator in ["ok", crate::scheduler::NOT_USED] {
            let Health { well, said, warnings } = told(coordinator);
            assert_eq!((well, said.as_str()), (true, "ready"));
            let expected = ["the write-ahead log of the database: \"cresce\"", "the audit trail: \"atrasada: 3\""];
            assert_eq!(warnings, expected);
        }
    }
}
