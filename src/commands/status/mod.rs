//! `status`: all services of an installation at once: which of them answer, which coordinator is elected, and how far the trail is.

mod ask;
mod view;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use rust_i18n::t;

use self::ask::{Found, ask};
use super::address::{entry_point, url_parser};
use super::caller::CallerArgs;
use super::outcome::{EXIT_CANNOT_RUN, EXIT_UNEXPECTED, Outcome};
use super::output::{colour, print, table_width};
use super::runtime::block_on;
use super::values::parse_duration;

/// Arguments of `status`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec status
  sctec status --url http://10.0.0.1:5000,http://10.0.0.2:5000 --coordinator http://10.0.0.4:3000,http://10.0.0.5:3000
  sctec status --json | jq '.elected, .faults'

The head of the trail and its lag need a token with the role auditor, where the service asks for tokens.

Exit status: 0 all is well, 1 a service does not answer or is not ready, or not exactly one coordinator gives locks, \
2 no such fault was seen, but a service could not be asked, for a reason that is on this machine: a name without an address, \
no free local port, an authority that is not known, http:// where it is https://.")]
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
        for url in &urls {
            entry_point(url)?;
        }
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
    Ok(ExitCode::from(exit_status(&found, &faults)))
}

/// 1 says more than 2: a fault that was seen is told also if a service could not be asked.
fn exit_status(found: &Found, faults: &[String]) -> u8 {
    let unknown = found.services().filter(|service| service.reached.is_unknown()).count();
    match faults.len() {
        0 => 0,
        // Each of these has one fault.
        told if told == unknown => EXIT_CANNOT_RUN,
        _ => EXIT_UNEXPECTED,
    }
}

/// What is not as it should be, in words.
fn faults(found: &Found) -> Vec<String> {
    let mut faults = Vec::new();
    for service in found.services() {
        if let Some(why) = service.reached.why() {
            faults.push(t!("%{url} %{why}", url = service.url, why = why).into_owned());
        }
        // That a reserve gives no locks is as it should be.
        if let Some(state) = service.state().filter(|state| !state.ready && !state.is_reserve()) {
            faults.push(t!("%{url} is not ready: %{why}", url = service.url, why = state.not_ok()).into_owned());
        }
    }
    let givers = found.coordinators.iter().filter(|service| service.gives_locks()).count();
    if givers > 1 {
        let several =
            t!("%{n} coordinators give locks: start them with the same --election, or stop all but one", n = givers);
        faults.push(several.into_owned());
    }
    let reserves = found.coordinators.iter().filter(|service| service.is_reserve()).count();
    // One that could not be asked may be the elected one.
    let all_are_known = found.coordinators.iter().all(|service| !service.reached.is_unknown());
    if givers == 0 && reserves > 0 && all_are_known {
        faults.push(t!("no coordinator is elected among these").into_owned());
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ask::{Reached, Service};
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
    #[test]
    fn a_fault_that_was_seen_counts_more_than_a_service_that_could_not_be_asked() {
        let unasked =
            || Service { url: "http://c".to_owned(), reached: Reached::NotAsked("cannot be asked".to_owned()) };
        let refused = || Service { url: "http://d".to_owned(), reached: Reached::Refused("answered 401".to_owned()) };
        let alone = |url| coordinator(url, true, None);
        let reserve = || coordinator("http://a", false, Some("reserva"));
        let silent = || Service { url: "http://e".to_owned(), reached: Reached::Silent("did not answer".to_owned()) };
        for (coordinators, status, told) in [
            (vec![alone("http://a")], 0, 0),
            (vec![alone("http://a"), unasked()], EXIT_CANNOT_RUN, 1),
            (vec![alone("http://a"), refused(), unasked()], EXIT_CANNOT_RUN, 2),
            (vec![alone("http://a"), alone("http://b"), unasked()], EXIT_UNEXPECTED, 2),
            (vec![silent(), unasked()], EXIT_UNEXPECTED, 2),
            // The elected one may be the one that is not known.
            (vec![reserve(), unasked()], EXIT_CANNOT_RUN, 1),
            (vec![reserve(), refused()], EXIT_CANNOT_RUN, 1),
            (vec![reserve(), silent()], EXIT_UNEXPECTED, 2),
        ] {
            let found = Found { schedulers: Vec::new(), coordinators };
            let faults = faults(&found);
            assert_eq!((exit_status(&found, &faults), faults.len()), (status, told), "{faults:?}");
        }
    }
}
