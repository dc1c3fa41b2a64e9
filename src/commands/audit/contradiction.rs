//! Options of `audit` that contradict each other. Each message says what would be right.

use std::borrow::Cow;

use rust_i18n::t;

use super::args::{AuditArgs, AuditFormat};

/// The first contradiction; `None` if there is none.
pub fn of(args: &AuditArgs) -> Option<Cow<'static, str>> {
    of_verify(args).or_else(|| of_contest(args)).or_else(|| of_search(args))
}

fn of_verify(args: &AuditArgs) -> Option<Cow<'static, str>> {
    let given = searching(args).into_iter().find_map(|(name, given)| given.then_some(name)).filter(|_| args.verify)?;
    Some(t!("--verify checks the whole trail and searches nothing; leave out %{option}, or --verify", option = given))
}

fn of_contest(args: &AuditArgs) -> Option<Cow<'static, str>> {
    let given = searching(args).into_iter().find_map(|(name, given)| given.then_some(name));
    let given = given.filter(|_| args.contest.is_some())?;
    Some(t!("--contest shows one contest and searches nothing else; leave out %{option}, or --contest", option = given))
}

/// The options of a search, and whether each is given.
fn searching(args: &AuditArgs) -> [(&'static str, bool); 16] {
    [
        ("--event", args.event.is_some()),
        ("--scientist", args.scientist.is_some()),
        ("--booking", args.booking.is_some()),
        ("--slot", args.slot.is_some()),
        ("--telescope", args.telescope.is_some()),
        ("--req", args.req.is_some()),
        ("--author", args.author.is_some()),
        ("--ip", args.ip.is_some()),
        ("--since", args.since.is_some()),
        ("--until", args.until.is_some()),
        ("--format", args.format.is_some()),
        ("--bom", args.bom),
        ("--count", args.count),
        ("--follow", args.follow),
        ("--last", args.last.is_some()),
        ("--reverse", args.reverse),
    ]
}

fn of_search(args: &AuditArgs) -> Option<Cow<'static, str>> {
    let csv = args.format == Some(AuditFormat::Csv);
    of_request(args).or_else(|| {
        Some(match args {
            _ if !args.verify && args.store.is_given() && !args.files.is_empty() => t!(
                "--store reads the records from the database, and a file was named too; leave out one of them, or compare them with --verify"
            ),
            _ if args.follow && args.reverse => t!(
                "--follow prints new records as they come, so it cannot print the newest first; leave out --reverse, or leave out \
                 --follow to see the existing records"
            ),
            _ if args.follow && args.count => t!("--follow never ends, so it has no count; leave out --follow or --count"),
            _ if args.count && args.last.is_some() => {
                t!("--count prints how many records match; leave out --last or --count")
            }
            _ if args.count && args.reverse => {
                t!("--count prints no records, so they have no order; leave out --reverse or --count")
            }
            _ if args.count && args.format.is_some() => t!("--count prints one number; leave out --format or --count"),
            _ if args.bom && !csv => t!("--bom is for spreadsheets; use it with --format csv"),
            _ => return None,
        })
    })
}

/// Options that only the story of one request has.
fn of_request(args: &AuditArgs) -> Option<Cow<'static, str>> {
    if args.tells_a_request() {
        return None;
    }
    if args.json {
        return Some(t!(
            "--json is for showing one request; use it with --req ID and no other search option, or print records with --format \
             jsonl"
        ));
    }
    if !args.log.is_empty() {
        return Some(t!(
            "--log is for showing one request; use it with --req ID and no other search option, or name the file without --log to \
             search its records"
        ));
    }
    (args.data_dir.len() > 1).then(|| {
        t!(
            "a search reads one data folder, and --data-dir was given several times; give it once, or use --req ID and no other \
             search option to show one request from several folders"
        )
    })
}
