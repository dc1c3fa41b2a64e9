//! Options of `audit` that contradict each other. Each message says what would be right.

use super::args::{AuditArgs, AuditFormat};

/// The first contradiction; `None` if there is none.
pub fn of(args: &AuditArgs) -> Option<String> {
    of_verify(args).or_else(|| of_search(args).map(str::to_owned))
}

fn of_verify(args: &AuditArgs) -> Option<String> {
    let given = searching(args).into_iter().find_map(|(name, given)| given.then_some(name)).filter(|_| args.verify)?;
    Some(format!("--verify checks the whole trail and searches nothing; leave out {given}, or --verify"))
}

/// The options of a search, and whether each is given.
fn searching(args: &AuditArgs) -> [(&'static str, bool); 14] {
    [
        ("--event", args.event.is_some()),
        ("--scientist", args.scientist.is_some()),
        ("--booking", args.booking.is_some()),
        ("--slot", args.slot.is_some()),
        ("--telescope", args.telescope.is_some()),
        ("--req", args.req.is_some()),
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

fn of_search(args: &AuditArgs) -> Option<&'static str> {
    let csv = args.format == Some(AuditFormat::Csv);
    let records = !args.tells_a_request();
    let contradictions = [
        (
            args.json && records,
            "--json prints what the trail and the logs have of one request; use it with --req ID alone, or print records with \
             --format jsonl",
        ),
        (
            !args.log.is_empty() && records,
            "--log adds a log to what is told of one request; use it with --req ID alone, or name the file without --log to search \
             its records",
        ),
        (args.data_dir.len() > 1 && records, "only --req ID alone reads several data folders; give one --data-dir"),
        (
            args.follow && args.reverse,
            "--follow prints new records as they come, so it cannot print the newest first; leave out --reverse, or leave out \
             --follow to see the existing records",
        ),
        (args.follow && args.count, "--follow never ends, so it has no count; leave out --follow or --count"),
        (args.count && args.last.is_some(), "--count prints how many records match; leave out --last or --count"),
        (
            args.count && args.reverse,
            "--count prints no records, so they have no order; leave out --reverse or --count",
        ),
        (args.count && args.format.is_some(), "--count prints one number; leave out --format or --count"),
        (args.bom && !csv, "--bom is for spreadsheets; use it with --format csv"),
    ];
    contradictions.into_iter().find_map(|(contradicts, message)| contradicts.then_some(message))
}
