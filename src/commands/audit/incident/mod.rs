//! `--req ID`: all that the trail and both services' logs have of one request, in the order of time.
//!
//! The files are read as streams and merged, so that logs of any size need little memory. What is not there is named: the rest is
//! shown, and the exit status says that it is not all.

mod files;
mod line;
mod merge;
mod show;
mod source;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use rust_i18n::t;

use self::files::{Kind, Series};
use self::merge::Merge;
use self::show::Show;
use self::source::{Begin, Found, Source};
use super::args::AuditArgs;
use super::inputs::Input;
use super::reading::tell_passed_over;
use crate::audit::filter::Wanted;
use crate::audit::record::SERVICE;
use crate::commands::outcome::{EXIT_UNEXPECTED, Outcome};
use crate::commands::output::{CANNOT_WRITE, is_broken_pipe, tell};
use crate::coordinator::SERVICE as COORDINATOR;
use crate::http::request_id::RequestId;
use crate::time::Timestamp;

/// Prints the lines of the wanted request.
///
/// # Errors
/// When the identifier is not one, there is no file, or a file or the output fails.
pub fn run(args: &AuditArgs, wanted: &Wanted) -> Outcome {
    let id = identifier(wanted.request.as_deref().unwrap_or_default())?;
    let series = files::all(args)?;
    if series.is_empty() {
        let folders = args.data_dir.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
        bail!(t!(
            "there is no log and no audit trail in %{folders}; name the data folder with --data-dir, or a log with --log",
            folders = folders
        ));
    }
    let paths: Vec<PathBuf> =
        series.iter().flat_map(|series| &series.inputs).filter_map(Input::path).map(Path::to_owned).collect();
    let stdout = io::stdout().lock();
    let mut show = if args.json {
        Show::json(stdout, &id)
    } else {
        Show::text(stdout, &id, &paths.iter().map(PathBuf::as_path).collect::<Vec<_>>())
    };
    let told = tell_all(&mut show, series, &id, (args, wanted));
    // Lines that were found before an error are printed too.
    let printed = show.finish().context(CANNOT_WRITE);
    match told.and_then(|complete| printed.map(|()| complete)) {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::from(EXIT_UNEXPECTED)),
        // A closed pipe of the output is a normal end.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
    }
}

/// A request's identifier, as the answer's `X-Request-Id`, the log or a problem's `instance` has it.
fn identifier(text: &str) -> anyhow::Result<RequestId> {
    let id = text.trim();
    let id = id.strip_prefix("urn:sctec:req:").or_else(|| id.strip_prefix("req=")).unwrap_or(id);
    RequestId::parse(id).ok_or_else(|| {
        anyhow!(t!(
            "--req %{text} is not the identifier of a request, which has 1 to 64 letters, digits, \".\", \"_\" and \"-\"; copy it \
             from X-Request-Id, from req= in a log, or from instance in a problem's answer",
            text = format!("{text:?}")
        ))
    })
}

/// Prints the lines. Returns whether all of the files were there.
fn tell_all<W: Write>(
    show: &mut Show<W>,
    series: Vec<Series>,
    id: &str,
    (args, wanted): (&AuditArgs, &Wanted),
) -> anyhow::Result<bool> {
    let mut lines = Merge::new(series.into_iter().map(|series| Source::new(series, id)).collect())?;
    let (mut first, mut is_known) = (None, false);
    while let Some(found) = lines.next()? {
        if is_within(&found, wanted) {
            is_known = true;
            first = first.or(found.entry.at);
            show.line(&found).context(CANNOT_WRITE)?;
        }
    }
    if !is_known {
        let searched = lines.sources().iter().filter_map(|source| source.begins.as_ref()).map(searched);
        let searched = searched.collect::<Vec<_>>().join(", ");
        let searched = if searched.is_empty() { t!("files without a line that has a time") } else { searched.into() };
        tell(t!(
            "nothing was found about request %{id} in %{searched}; check its identifier, which stands in the answer's X-Request-Id, after req= in a \
             log, and in instance of a problem's answer",
            id = id,
            searched = searched
        ));
    }
    let too_long: u64 = lines.sources().iter().map(|source| source.too_long).sum();
    tell_passed_over(0, too_long, 0);
    let unread = too_long > 0 || lines.sources().iter().any(|source| source.incomplete);
    Ok(tell_missing(args, lines.sources(), first) && !unread)
}

/// The first file of a source, and how far back it goes.
fn searched(begin: &Begin) -> String {
    match Timestamp::from_micros(begin.at) {
        Some(at) => t!("%{name} (since %{at})", name = begin.origin, at = at.seconds()).into_owned(),
        None => begin.origin.to_string(),
    }
}

fn is_within(found: &Found, wanted: &Wanted) -> bool {
    let at = found.entry.at.unwrap_or(found.key);
    wanted.since.map(Timestamp::as_micros).is_none_or(|since| at >= since)
        && wanted.until.map(Timestamp::as_micros).is_none_or(|until| at < until)
}

/// Names what is not there. Returns whether all is there. `first` is the instant of the request's first line.
fn tell_missing(args: &AuditArgs, sources: &[Source], first: Option<i64>) -> bool {
    let has = |has: fn(&Source) -> bool| sources.iter().any(has);
    let has_log = has(|source| source.kind != Kind::Trail && source.has_scheduler);
    let has_coordinator = has(|source| source.has_coordinator);
    let has_trail = has(|source| matches!(source.kind, Kind::Trail | Kind::Named) && source.has_scheduler);
    // The race has no coordinator.
    let mut has_coordinator = has_coordinator || args.race;
    if !has_trail {
        if let Some(trail) = files::trail_of_race(args) {
            has_coordinator = true;
            tell(t!(
                "the only audit trail here is %{name}, of the race without locks; add --race",
                name = trail.display()
            ));
        } else {
            tell(t!("no audit trail was found; add the data folder of %{service} with --data-dir", service = SERVICE));
        }
    }
    for (service, has) in [(SERVICE, has_log), (COORDINATOR, has_coordinator)] {
        if !has {
            tell(t!(
                "no log of %{service} was found; add its data folder with --data-dir, or its log with --log (- is standard input)",
                service = service
            ));
        }
    }
    let mut whole = has_trail && has_log && has_coordinator;
    let logs = sources.iter().filter(|source| matches!(source.kind, Kind::Scheduler | Kind::Coordinator));
    for begin in logs.filter_map(|source| source.begins.as_ref()) {
        if let (Some(first), Some(at)) = (first, Timestamp::from_micros(begin.at))
            && first < begin.at
        {
            // A log that was never rotated begins with the start of its service.
            whole &= begin.is_start;
            tell(t!(
                "%{name} begins at %{at}, and this request began before; if there are copies of older logs, add them with --log",
                name = begin.origin,
                at = at.seconds()
            ));
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_taken_as_it_is_met() {
        for text in ["6b1f-2a", " 6b1f-2a ", "req=6b1f-2a", "urn:sctec:req:6b1f-2a"] {
            assert_eq!(&*identifier(text).unwrap(), "6b1f-2a", "{text}");
        }
        for wrong in ["", "-", "a b", "req=", &"x".repeat(65)] {
            assert!(identifier(wrong).is_err(), "{wrong}");
        }
    }
}
