//! `status`: all services of an installation at once: which of them answer, which coordinator is elected, and how far the trail is.

mod ask;
mod view;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use rust_i18n::t;

use self::ask::{Found, Reached, ask};
use super::address::url_parser;
use super::caller::CallerArgs;
use super::outcome::{EXIT_CANNOT_RUN, EXIT_UNEXPECTED, Outcome};
use super::output::{colour, print, table_width};
use super::runtime::block_on;
use super::values::parse_duration;
use crate::http::client::Url;

/// Arguments of `status`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec status
  sctec status --url http://10.0.0.1:5000,http://10.0.0.2:5000 --coordinator http://10.0.0.4:3000,http://10.0.0.5:3000
  sctec status --json | jq '.elected, .faults'

The head of the trail and its lag need a token with the role auditor, where the service asks for tokens.

Exit status: 0 all is well, 1 a service does not answer or is not ready, or not exactly one coordinator gives locks, 2 could not ask one of them, for a reason that is on this machine.")]
pub(super) struct StatusArgs {
    /// The schedulers. Comma-separate several
    #[arg(
        long,
        env = "SCTEC_URL",
        default_value = "http://127.0.0.1:5000",
        value_name = "URL",
        value_delimiter = ',',
        value_parser = url_parser()
    )]
    url: Vec<String>,
    /// The coordinators. Comma-separate several
    #[arg(
        long,
        env = "SCTEC_COORDINATOR",
        default_value = "http://127.0.0.1:3000",
        value_name = "URL",
        value_delimiter = ',',
        value_parser = url_parser()
    )]
    coordinator: Vec<String>,
    /// Options of the call.
    #[command(flatten)]
    caller: CallerArgs,
    /// How long to wait for the answers (as 500ms, 3s)
    #[arg(long, default_value = "3s", value_name = "DURATION", value_parser = parse_duration)]
    timeout: Duration,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Asks all services, and says how they are.
///
/// # Errors
/// When it could not ask.
pub fn run(args: &StatusArgs) -> Outcome {
    if args.timeout.is_zero() {
        bail!("{}", t!("--timeout must be longer than 0; without the option it is 3s"));
    }
    let named = |urls: &[String]| -> anyhow::Result<Vec<String>> {
        let urls = urls.iter().map(|url| url.trim().trim_end_matches('/').to_owned()).filter(|url| !url.is_empty());
        let urls: Vec<_> = urls.collect();
        urls.iter().try_for_each(|url| Url::parse(url).map(drop))?;
        Ok(urls)
    };
    let (schedulers, coordinators) = (named(&args.url)?, named(&args.coordinator)?);
    let security = args.caller.security(&[schedulers.clone(), coordinators.clone()].concat())?;
    let found = block_on(ask(&schedulers, &coordinators, &security, args.timeout))?;
    let faults = faults(&found);
    print(&if args.json {
        view::json(&found, &faults)
    } else {
        view::table(&found, &faults, colour(), table_width())
    })?;
    Ok(if !found.all_were_asked() {
        ExitCode::from(EXIT_CANNOT_RUN)
    } else if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_UNEXPECTED)
    })
}

/// What is not as it should be, in words.
fn faults(found: &Found) -> Vec<String> {
    let mut faults = Vec::new();
    for service in found.schedulers.iter().chain(&found.coordinators) {
        match &service.reached {
            Reached::Not { why, .. } => faults.push(t!("%{url} %{why}", url = service.url, why = why).into_owned()),
            // That a reserve gives no locks is as it should be.
            Reached::Yes(state) if !state.ready && !state.is_reserve() => {
                faults.push(t!("%{url} is not ready: %{why}", url = service.url, why = state.not_ok()).into_owned());
            }
            Reached::Yes(_) => {}
        }
    }
    let givers = found.coordinators.iter().filter(|service| service.gives_locks()).count();
    if givers > 1 {
        let several =
            t!("%{n} coordinators give locks: start them with the same --election, or stop all but one", n = givers);
        faults.push(several.into_owned());
    }
    let reserves = found.coordinators.iter().filter(|service| service.is_reserve()).count();
    if givers == 0 && reserves > 0 {
        faults.push(t!("no coordinator is elected among these").into_owned());
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ask::Service;
    use super::*;

    fn coordinator(url: &str, ready: bool, role: Option<&str>) -> Service {
        let election = role.map(|role| json!({"papel": role, "eleito": "http://b", "mandato": 7}));
        let part = if ready { "ok" } else { "não eleito" };
        let answer = json!({"partes": {"tokens": "ok", "eleicao": part}, "eleicao": election});
        Service::read(url, ready, &json!({"versao": "1", "ativo_ha_ms": 1}), &answer)
    }

    #[test]
    fn exactly_one_coordinator_should_give_locks() {
        let faults = |coordinators| faults(&Found { schedulers: Vec::new(), coordinators });
        assert!(faults(vec![coordinator("http://a", true, None)]).is_empty());
        let elected = || coordinator("http://b", true, Some("eleito"));
        let reserve = || coordinator("http://a", false, Some("reserva"));
        assert!(faults(vec![reserve(), elected()]).is_empty());
        assert_eq!(faults(vec![reserve(), reserve()]), ["no coordinator is elected among these"]);
        let two = faults(vec![coordinator("http://a", true, None), elected()]);
        assert!(two.len() == 1 && two[0].starts_with("2 coordinators give locks"), "{two:?}");
        let suspended = faults(vec![coordinator("http://b", false, Some("eleito")), reserve()]);
        assert!(suspended[0].contains("http://b is not ready: the election: \"não eleito\""), "{suspended:?}");
    }
}
