//! Prints the findings of a verification. No line is wider than the terminal, but for a word that is, such as a long path.

use std::io::{self, Write};
use std::path::PathBuf;

use rust_i18n::t;

use super::colours::Colour;
use crate::audit::verify::{Anchor, Fault, Held, Report, Verdict, Wrong};
use crate::commands::output;
use crate::language::counted;
use crate::store::Deep;
use crate::store::postgres::Outside;
use crate::text::{escaped, wrapped};

/// The database that the files were compared with.
pub enum Database {
    /// They were compared with this one.
    At(PathBuf),
    /// They were compared with this one, which is no file.
    Store(Outside),
    /// There is no database beside the files.
    NotThere(PathBuf),
    /// Files were named on the command line: their database is not known.
    NotAsked,
}

/// The most files that are listed. Of more files, the first ones and the last one are listed.
const FILES_LISTED: usize = 20;
/// The room of a label at the beginning of a line.
const LABEL: usize = 10;
/// What stands before a finding, and before the further lines of it.
const BULLET: [&str; 2] = ["- ", "  "];

/// Prints the report.
///
/// # Errors
/// When the output cannot be written.
pub fn print(out: &mut impl Write, report: &Report, database: &Database) -> io::Result<()> {
    if report.files.is_empty() {
        labelled(out, &t!("files"), &t!("none"))?;
    }
    print_files(out, report)?;
    let is_tampered = report.verdict == Verdict::Tampered;
    let records = if let Some((first, last)) = &report.span {
        let n = report.records;
        let n = if is_tampered { t!("%{n} that are as they were written", n = n) } else { n.to_string().into() };
        t!("%{n}, from %{first} to %{last}", n = n, first = first, last = last)
    } else {
        t!("none")
    };
    labelled(out, &t!("records"), &records)?;
    if let Some((seq, hash)) = &report.head {
        let head = if is_tampered {
            t!("record %{seq}, the last one whose bytes give its hash", seq = seq)
        } else {
            t!("record %{seq}, with the hash", seq = seq)
        };
        labelled(out, &t!("head"), &head)?;
        labelled(out, "", hash)?;
    }
    let compared = match database {
        Database::At(path) => path.display().to_string().into(),
        Database::Store(outside) => outside.name().into(),
        Database::NotThere(path) => t!("none: there is no %{name}", name = path.display()),
        Database::NotAsked => t!("not used; without file names, the data folder is compared with its database"),
    };
    labelled(out, &t!("database"), &compared)?;
    for (anchor, held) in &report.anchors {
        labelled(out, "", &anchor_line(anchor, *held, report))?;
    }
    match report.elsewhere {
        0 => {}
        last => {
            let text = counted(
                last,
                t!("record 1 is in a file that is not here; the files here continue from it"),
                t!(
                    "records 1 to %{last} are in files that are not here; the files here continue from them",
                    last = last
                ),
            );
            labelled(out, &t!("elsewhere"), &text)?;
        }
    }
    match report.verdict {
        Verdict::Whole => print_whole(out, report),
        Verdict::Incomplete => print_incomplete(out, report),
        Verdict::Tampered => print_tampered(out, report, matches!(database, Database::At(_) | Database::Store(_))),
    }
}

/// Prints what a verification without `--deep` did not check.
///
/// # Errors
/// When the output cannot be written.
pub fn print_not_deep(out: &mut impl Write, report: &Report, database: &Database) -> io::Result<()> {
    if report.verdict != Verdict::Whole || !matches!(database, Database::At(_) | Database::Store(_)) {
        return Ok(());
    }
    paragraph(out, &t!("The bookings in the database were not checked: --deep checks them."))
}

/// Prints the findings of the check of the database itself.
///
/// # Errors
/// When the output cannot be written.
pub fn print_deep(out: &mut impl Write, found: &Deep) -> io::Result<()> {
    let &Deep { pages, bookings, claims, shared, records, ref faults, fault_count } = found;
    let read = [
        counted(bookings, t!("1 booking"), t!("%{n} bookings", n = bookings)),
        counted(claims, t!("1 claimed slot"), t!("%{n} claimed slots", n = claims)),
        counted(records, t!("1 record"), t!("%{n} records", n = records)),
    ];
    writeln!(out)?;
    labelled(out, &t!("database"), &read.join(", "))?;
    if shared > 0 {
        let text = counted(
            shared,
            t!("1 slot has more than one booking, because the race runs without locks"),
            t!("%{n} slots have more than one booking, because the race runs without locks", n = shared),
        );
        labelled(out, "", &text)?;
    }
    if faults.is_empty() {
        let what = if pages {
            t!("its pages, bookings, slots and records say the same")
        } else {
            t!("its bookings, slots and records say the same; pg_amcheck checks the pages of its files")
        };
        return verdict(out, Colour::Green, &t!("AGREES"), &what);
    }
    verdict(out, Colour::Red, &t!("CONTRADICTS ITSELF"), &t!("it was damaged, or somebody changed it"))?;
    for fault in faults {
        bullet(out, &escaped(fault))?;
    }
    print_more(out, fault_count - faults.len() as u64)?;
    paragraph(out, &t!("Keep the database as it is, and restore a copy that agrees."))
}

/// A line that begins with a label, or continues one.
fn labelled(out: &mut impl Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{}", fitted(text, &format!("{label:<LABEL$}"), &" ".repeat(LABEL)))
}

fn bullet(out: &mut impl Write, text: &str) -> io::Result<()> {
    let [first, others] = BULLET;
    writeln!(out, "{}", fitted(text, first, others))
}

fn paragraph(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "{}", fitted(text, "", ""))
}

/// A verdict, coloured on a terminal, and what it means.
fn verdict(out: &mut impl Write, colour: Colour, word: &str, means: &str) -> io::Result<()> {
    let text = fitted(&format!("{word}: {means}"), "", "");
    let rest = text.strip_prefix(word).unwrap_or_default();
    writeln!(out, "{}{rest}", colour.paint(word, output::colour()))
}

/// The text over as many lines as it needs on the terminal, or one line elsewhere.
fn fitted(text: &str, first: &str, others: &str) -> String {
    match output::table_width() {
        Some(width) => wrapped(text, usize::from(width), first, others),
        None => format!("{first}{text}"),
    }
}

fn print_more(out: &mut impl Write, more: u64) -> io::Result<()> {
    if more > 0 { bullet(out, &t!("and %{n} more", n = more)) } else { Ok(()) }
}

fn print_files(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let width = report.files.iter().map(|file| file.name.chars().count()).max().unwrap_or_default();
    let left_out = report.files.len().saturating_sub(FILES_LISTED);
    for (index, file) in report.files.iter().enumerate() {
        if left_out > 0 && (FILES_LISTED - 1..FILES_LISTED - 1 + left_out).contains(&index) {
            if index == FILES_LISTED - 1 {
                labelled(out, "", &t!("… and %{n} more …", n = left_out))?;
            }
            continue;
        }
        let bytes = file.bytes;
        let holds = if let Some((first, last)) = file.records {
            t!("records %{first} to %{last}, %{bytes} bytes", first = first, last = last, bytes = bytes)
        } else {
            t!("no records, %{bytes} bytes", bytes = bytes)
        };
        let label = if index == 0 { t!("files") } else { "".into() };
        labelled(out, &label, &format!("{:<width$}  {holds}", escaped(&file.name)))?;
    }
    Ok(())
}

fn anchor_line(anchor: &Anchor, held: Held, report: &Report) -> String {
    let (seq, reached) = (anchor.seq, report.reached);
    let what = if seq == 0 { t!("the beginning") } else { t!("record %{seq}", seq = seq) };
    let from = escaped(&anchor.from);
    let why_not = match held {
        Held::Yes => return t!("%{what}: matches %{from}", what = what, from = from).into_owned(),
        Held::No => {
            let hash = &anchor.hash;
            return t!(
                "%{what}: DIFFERS from %{from}; the hash there is %{hash}",
                what = what,
                from = from,
                hash = hash
            )
            .into_owned();
        }
        Held::NotReached if seq == 0 => t!("no record follows it here"),
        Held::NotReached if seq <= reached => t!("its record here is damaged"),
        Held::NotReached => t!("not here; the files end with record %{seq}", seq = reached),
        Held::NotSeen => t!("not in these files"),
    };
    t!("%{what} of %{from}: %{why}", what = what, from = from, why = why_not).into_owned()
}

fn print_whole(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let means = if report.records == 0 {
        t!("there are no records")
    } else {
        t!("every record is as it was written and follows the one before")
    };
    writeln!(out)?;
    verdict(out, Colour::Green, &t!("WHOLE"), &means)?;
    if report.anchors.iter().any(|(anchor, held)| anchor.seq > 0 && *held == Held::Yes) {
        return Ok(());
    }
    paragraph(
        out,
        &t!(
            "To detect removed or rewritten records too, save a head (GET /auditoria/cabeca) on another machine, and pass it with \
             --head."
        ),
    )
}

fn print_incomplete(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(out)?;
    let means = t!("every record here is as it was written, but not all records are here");
    verdict(out, Colour::Yellow, &t!("INCOMPLETE"), &means)?;
    if let Some(torn) = report.torn {
        let file = report.files.last().map_or("", |file| file.name.as_str());
        let text = t!(
            "%{name}: the last line, from byte %{offset} on, was not written to its end (%{bytes} bytes), as after a crash. The \
             service removes this line when it starts, and writes the record again.",
            name = escaped(file),
            offset = torn.offset,
            bytes = torn.bytes
        );
        bullet(out, &text)?;
    }
    if report.missing_before > 0 {
        let last = report.missing_before;
        let text = counted(
            last,
            t!(
                "record 1 is not here: it stood in an earlier file, or was cut off. Name that file first, or give the head of \
                 record 1 with --head."
            ),
            t!(
                "records 1 to %{last} are not here: they stood in earlier files, or were cut off. Name those files first, or give \
                 the head of record %{last} with --head.",
                last = last
            ),
        );
        bullet(out, &text)?;
    }
    for (anchor, _) in report.anchors.iter().filter(|(anchor, held)| *held == Held::NotReached && anchor.seq > 0) {
        bullet(out, &not_here(anchor, report.reached))?;
    }
    Ok(())
}

/// What to do about the records up to an anchor that are not in the files, which end with record `reached`.
fn not_here(anchor: &Anchor, reached: u64) -> String {
    let (from, last) = (escaped(&anchor.from), anchor.seq);
    counted(
        last - reached,
        t!(
            "%{from} has record %{last}, and the files do not. A service that runs adds it within seconds, one that was stopped \
             when it starts; if not, see GET /pronto. If these files are a copy, copy them again.",
            from = from,
            last = last
        ),
        t!(
            "%{from} has records up to %{last}, and the files have no record after %{reached}. A service that runs adds them \
             within seconds, one that was stopped when it starts; if not, see GET /pronto. If these files are a copy, copy them \
             again.",
            from = from,
            last = last,
            reached = reached
        ),
    )
    .into_owned()
}

fn print_tampered(out: &mut impl Write, report: &Report, has_database: bool) -> io::Result<()> {
    let first = report.faults.first().map_or(0, |fault| fault.seq);
    writeln!(out)?;
    let means = match report.faults.first().map(|fault| &fault.wrong) {
        // A chain that was computed anew agrees with itself.
        Some(Wrong::NotAsNoted { seq, from, .. }) if *seq > 0 => t!(
            "record %{seq} differs from %{from}; the change is in it or in a record before it",
            seq = seq,
            from = escaped(from)
        ),
        _ => t!("the first bad record is %{seq}", seq = first),
    };
    verdict(out, Colour::Red, &t!("TAMPERED"), &means)?;
    for Fault { file, line, offset, wrong, .. } in &report.faults {
        let name = report.files.get(*file).map_or("", |file| file.name.as_str());
        let text = t!(
            "%{name}, line %{line}, byte %{offset}: %{wrong}",
            name = escaped(name),
            line = line,
            offset = offset,
            wrong = wrong
        );
        bullet(out, &text)?;
    }
    print_more(out, report.fault_count.saturating_sub(report.faults.len() as u64))?;
    let cursor = first.saturating_sub(1);
    let text = if has_database {
        t!(
            "Keep the files as they are: they are evidence. The original records are in the database (GET \
             /auditoria?cursor=%{cursor}&limite=1) and in any copy that is whole.",
            cursor = cursor
        )
    } else {
        t!(
            "Keep the files as they are: they are evidence. The original records may be in the service's database (GET \
             /auditoria?cursor=%{cursor}&limite=1), or in a copy that is whole.",
            cursor = cursor
        )
    };
    paragraph(out, &text)
}
