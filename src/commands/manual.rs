//! `manual`: the manual pages, made from the command line's own definition.
//!
//! What `--help` shows after the options becomes sections of their own, because a page would otherwise run the lines of an
//! example together.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use rust_i18n::t;

use super::outcome::Outcome;
use super::output::print;
use super::translate::help::in_language;

/// Arguments of `manual`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec manual ~/.local/share/man/man1         then: man sctec-audit
  sctec manual . && man ./sctec.1")]
pub struct ManualArgs {
    /// Folder that the pages are written to; made if missing
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// Writes the pages of `program` and its subcommands, and prints their paths.
#[cfg_attr(
    not(test),
    expect(clippy::disallowed_methods, reason = "manual pages are for every user of the machine, as the umask says")
)]
pub fn run(args: &ManualArgs, program: Command) -> Outcome {
    let dir = args.dir.display();
    fs::create_dir_all(&args.dir).with_context(|| t!("cannot make the folder %{dir}", dir = dir))?;
    let mut program = in_language(program.disable_help_subcommand(true));
    // Gives each command its full name and the options that all have.
    program.build();
    let subcommands = program.get_subcommands().map(|subcommand| {
        let name = format!("{}-{}", program.get_name(), subcommand.get_name());
        // A page's name is what its `Command` is called, and synopses come from `bin_name`.
        subcommand.clone().display_name(name)
    });
    let mut said = String::new();
    for command in std::iter::once(program.clone()).chain(subcommands) {
        let path = args.dir.join(format!("{}.1", command.get_display_name().unwrap_or("sctec")));
        let written = page(command).and_then(|text| fs::write(&path, text));
        written.with_context(|| t!("cannot write %{path}", path = path.display()))?;
        // Writing to a String cannot fail.
        let _ = writeln!(said, "{}", path.display());
    }
    print(&said)?;
    Ok(ExitCode::SUCCESS)
}

/// One page.
fn page(command: Command) -> io::Result<Vec<u8>> {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let has_subcommands = command.has_subcommands();
    // No date: the same version gives the same pages.
    let source = concat!("sctec ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command).date("").source(source).manual("SCTEC");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if has_subcommands {
        man.render_subcommands_section(&mut text)?;
    }
    text.write_all(sections(&after).render().as_bytes())?;
    Ok(with_headings(&String::from_utf8_lossy(&text)).into_bytes())
}

/// A page with the headings that `clap_mangen` writes in the language of the process.
fn with_headings(page: &str) -> String {
    let headings = [
        ("NAME", t!("NAME")),
        ("SYNOPSIS", t!("SYNOPSIS")),
        ("DESCRIPTION", t!("DESCRIPTION")),
        ("OPTIONS", t!("OPTIONS")),
        ("SUBCOMMANDS", t!("SUBCOMMANDS")),
    ];
    let line = |line: &str| {
        let heading = headings.iter().find(|(english, _)| line.strip_prefix(".SH ") == Some(english));
        heading.map_or_else(|| line.to_owned() + "\n", |(_, heading)| format!(".SH {heading}\n"))
    };
    page.lines().map(line).collect()
}

/// The paragraphs after the options, each under the heading that it begins with.
fn sections(after: &str) -> Roff {
    let mut roff = Roff::new();
    let mut notes = false;
    for paragraph in after.split("\n\n") {
        if let Some(examples) = paragraph.strip_prefix(&*t!("Examples:")).and_then(|rest| rest.strip_prefix('\n')) {
            roff.control("SH", [&*t!("EXAMPLES")]).control("nf", []);
            for line in examples.lines() {
                roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
            }
            roff.control("fi", []);
        } else if let Some(status) = paragraph.strip_prefix(&*t!("Exit status:")).map(str::trim_start) {
            roff.control("SH", [&*t!("EXIT STATUS")]).text([roman(status)]);
        } else if !paragraph.is_empty() {
            if notes {
                roff.control("PP", []);
            } else {
                roff.control("SH", [&*t!("NOTES")]);
            }
            roff.text([roman(paragraph)]);
            notes = true;
        }
    }
    roff
}
