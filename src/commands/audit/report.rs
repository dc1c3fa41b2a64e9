//! Prints the findings of a verification.

use std::io::{self, Write};
use std::path::PathBuf;

use super::colours::Colour;
use crate::audit::verify::{Anchor, Fault, Held, Report, Verdict};
use crate::commands::output;
use crate::store::sqlite::Deep;
use crate::text::escaped;

/// The database that the files were compared with.
pub enum Database {
    /// They were compared with this one.
    At(PathBuf),
    /// There is no database beside the files.
    NotThere(PathBuf),
    /// Files were named on the command line: their database is not known.
    NotAsked,
}

/// The most files that are listed. Of more files, the first ones and the last one are listed.
const FILES_LISTED: usize = 20;

/// Prints the report.
///
/// # Errors
/// When the output cannot be written.
pub fn print(out: &mut impl Write, report: &Report, database: &Database) -> io::Result<()> {
    if report.files.is_empty() {
        writeln!(out, "files     none")?;
    }
    print_files(out, report)?;
    match &report.span {
        Some((first, last)) => writeln!(out, "records   {}, from {first} to {last}", report.records)?,
        None => writeln!(out, "records   none")?,
    }
    if let Some((seq, hash)) = &report.head {
        writeln!(out, "head      record {seq}, hash {hash}")?;
    }
    match database {
        Database::At(path) => writeln!(out, "database  {}", path.display())?,
        Database::NotThere(path) => writeln!(out, "database  none: there is no {}", path.display())?,
        Database::NotAsked => {
            writeln!(out, "database  not used; without file names, the data folder is compared with its database")?;
        }
    }
    for (anchor, held) in &report.anchors {
        writeln!(out, "          {}", anchor_line(anchor, *held, report))?;
    }
    match report.elsewhere {
        0 => {}
        1 => writeln!(out, "elsewhere record 1 is in a file that is not here; the files here continue from it")?,
        last => writeln!(
            out,
            "elsewhere records 1 to {last} are in files that are not here; the files here continue from them"
        )?,
    }
    match report.verdict {
        Verdict::Whole => print_whole(out, report),
        Verdict::Incomplete => print_incomplete(out, report),
        Verdict::Tampered => print_tampered(out, report),
    }
}

/// Prints the findings of the check of the database itself.
///
/// # Errors
/// When the output cannot be written.
pub fn print_deep(out: &mut impl Write, found: &Deep) -> io::Result<()> {
    let Deep { bookings, claims, records, faults, fault_count } = found;
    writeln!(out, "\ndatabase  {bookings} bookings, {claims} claimed slots, {records} records")?;
    if faults.is_empty() {
        return writeln!(
            out,
            "{}: its pages, bookings, slots and records say the same",
            verdict(Colour::Green, "AGREES")
        );
    }
    writeln!(out, "{}: it was damaged, or somebody changed it", verdict(Colour::Red, "CONTRADICTS ITSELF"))?;
    for fault in faults {
        writeln!(out, "- {}", escaped(fault))?;
    }
    let more = fault_count - faults.len() as u64;
    if more > 0 {
        writeln!(out, "- and {more} more")?;
    }
    writeln!(out, "Keep the database as it is, and restore a copy that agrees.")
}

/// A verdict, coloured on a terminal.
fn verdict(colour: Colour, word: &str) -> String {
    colour.paint(word, output::colour())
}

fn print_files(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let width = report.files.iter().map(|file| file.name.chars().count()).max().unwrap_or_default();
    let left_out = report.files.len().saturating_sub(FILES_LISTED);
    for (index, file) in report.files.iter().enumerate() {
        if left_out > 0 && (FILES_LISTED - 1..FILES_LISTED - 1 + left_out).contains(&index) {
            if index == FILES_LISTED - 1 {
                writeln!(out, "          … and {left_out} more …")?;
            }
            continue;
        }
        let records = match file.records {
            Some((first, last)) => format!("records {first} to {last}"),
            None => "no records".to_owned(),
        };
        let label = if index == 0 { "files" } else { "" };
        writeln!(out, "{label:<9} {:<width$}  {records}, {} bytes", escaped(&file.name), file.bytes)?;
    }
    Ok(())
}

fn anchor_line(anchor: &Anchor, held: Held, report: &Report) -> String {
    let reached = report.head.as_ref().map_or(0, |(seq, _)| *seq);
    let seq = anchor.seq;
    let what = if seq == 0 { "the beginning".to_owned() } else { format!("record {seq}") };
    let from = escaped(&anchor.from);
    let why_not = match held {
        Held::Yes => return format!("{what}: matches {from}"),
        Held::No => return format!("{what}: DIFFERS from {from}; the hash there is {}", anchor.hash),
        Held::NotReached if seq == 0 => "no record follows it here".to_owned(),
        Held::NotReached if seq <= reached => "its record here is damaged".to_owned(),
        Held::NotReached => format!("not here; the files end with record {reached}"),
        Held::NotSeen => "not in these files".to_owned(),
    };
    format!("{what} of {from}: {why_not}")
}

fn print_whole(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.records == 0 {
        writeln!(out, "\n{}: there are no records", verdict(Colour::Green, "WHOLE"))?;
    } else {
        writeln!(
            out,
            "\n{}: every record is as it was written and follows the one before",
            verdict(Colour::Green, "WHOLE")
        )?;
    }
    if report.anchors.iter().any(|(anchor, held)| anchor.seq > 0 && *held == Held::Yes) {
        return Ok(());
    }
    writeln!(out, "To detect removed or rewritten records too, pass a head that was saved on another machine: --head")
}

fn print_incomplete(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(
        out,
        "\n{}: every record here is as it was written, but not all records are here",
        verdict(Colour::Yellow, "INCOMPLETE")
    )?;
    if let Some(torn) = report.torn {
        let file = report.files.last().map_or("", |file| file.name.as_str());
        writeln!(
            out,
            "- {}: the last line, from byte {} on, was not written to its end ({} bytes): a crash leaves that. The service \
             removes it when it starts, and writes the record again.",
            escaped(file),
            torn.offset,
            torn.bytes
        )?;
    }
    if report.missing_before > 0 {
        writeln!(
            out,
            "- records 1 to {0} stood in earlier files, or were cut off: name those first, or give the head of record {0} \
             with --head.",
            report.missing_before
        )?;
    }
    let reached = report.head.as_ref().map_or(0, |(seq, _)| *seq);
    for (anchor, _) in report.anchors.iter().filter(|(anchor, held)| *held == Held::NotReached && anchor.seq > 0) {
        let what = match anchor.seq - reached {
            1 => format!("record {} is", anchor.seq),
            _ => format!("records {} to {} are", reached + 1, anchor.seq),
        };
        writeln!(
            out,
            "- {what} known to {}, and not here. The service adds what its database has within seconds, or when it \
             starts; if it does not, see GET /pronto. A copy has to be made again.",
            escaped(&anchor.from)
        )?;
    }
    Ok(())
}

fn print_tampered(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let first = report.faults.first().map_or(0, |fault| fault.seq);
    writeln!(out, "\n{}: the first bad record is {first}", verdict(Colour::Red, "TAMPERED"))?;
    for Fault { file, line, offset, wrong, .. } in &report.faults {
        let name = report.files.get(*file).map_or("", |file| file.name.as_str());
        writeln!(out, "- {}, line {line}, byte {offset}: {wrong}", escaped(name))?;
    }
    let more = report.fault_count.saturating_sub(report.faults.len() as u64);
    if more > 0 {
        writeln!(out, "- and {more} more")?;
    }
    writeln!(
        out,
        "Keep the files as they are: they are evidence. The original records are in the database \
         (GET /auditoria?cursor={}&limite=1) and in any copy that verifies.",
        first.saturating_sub(1)
    )
}
