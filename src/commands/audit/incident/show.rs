//! Prints the lines of a request: for people, each with its time and its file, or as JSON objects.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use rust_i18n::t;
use serde_json::Value;
use textwrap::{Options, WordSeparator, WordSplitter};
use unicode_width::UnicodeWidthStr;

use super::line::{Log, What};
use super::source::Found;
use crate::commands::audit::colours::{self, Colour};
use crate::commands::output;
use crate::language::counted;
use crate::text::{escaped, push_value};
use crate::time::Timestamp;

/// The least room for what a line says; the file's name gets less where the terminal is narrow.
const ROOM_MIN: usize = 30;

/// Stands after the instant of a record that is told after its saving.
const MARK: char = '~';

/// Prints lines to `W`.
pub struct Show<W: Write> {
    out: BufWriter<W>,
    id: String,
    form: Form,
    /// How many lines each file has had.
    counts: BTreeMap<String, u64>,
    day: String,
    /// The latest instant so far.
    latest: Option<i64>,
    /// Whether a line with an earlier instant than the line before it was marked.
    marked: bool,
}

enum Form {
    Json,
    /// With the width of a file's name, and whether the name has its folder.
    Text {
        width: Option<usize>,
        origin: usize,
        with_folder: bool,
        colour: bool,
    },
}

impl<W: Write> Show<W> {
    /// JSON, one object a line.
    pub fn json(out: W, id: &str) -> Self {
        Self::new(out, id, Form::Json)
    }

    /// For people. A line is broken between words on a terminal, and stays one line elsewhere. `paths` are those of all files: if
    /// two have the same name, their folders are shown.
    pub fn text(out: W, id: &str, paths: &[&Path]) -> Self {
        let mut names: Vec<_> = paths.iter().map(|path| path.file_name()).collect();
        names.sort();
        let with_folder = names.windows(2).any(|two| two[0] == two[1]);
        let widths = paths.iter().map(|path| shown_name(&path.display().to_string(), with_folder).width());
        let origin = widths.max().unwrap_or_default();
        let width = output::table_width().map(usize::from);
        Self::new(out, id, Form::Text { width, origin, with_folder, colour: output::colour() })
    }

    fn new(out: W, id: &str, form: Form) -> Self {
        let (id, counts, day) = (id.to_owned(), BTreeMap::new(), String::new());
        Self { out: BufWriter::new(out), id, form, counts, day, latest: None, marked: false }
    }

    /// Prints a line.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn line(&mut self, found: &Found) -> io::Result<()> {
        match &self.form {
            Form::Json => {
                let (origin, number) = (Value::from(&*found.origin), found.number);
                let object = found.entry.json.trim_end().strip_suffix('}').unwrap_or_default();
                let line = format!("{object},\"origem\":{origin},\"linha\":{number}}}");
                writeln!(self.out, "{}", escaped(&line))
            }
            Form::Text { width, origin, with_folder, colour } => {
                let (width, origin, with_folder, colour) = (*width, *origin, *with_folder, *colour);
                let name = shown_name(&found.origin, with_folder);
                *self.counts.entry(name.clone()).or_default() += 1;
                let at = found.entry.at.and_then(Timestamp::from_micros).map(|at| at.micros().to_string());
                let at = at.unwrap_or_else(|| "?".to_owned());
                let (begin, text) = self.says(&found.entry.what);
                let begin_width = begin.width();
                let coloured = colour_of(&found.entry.what).map(|shade| shade.paint(&begin, colour));
                let begin = coloured.unwrap_or(begin);
                let Some(width) = width else {
                    return writeln!(self.out, "{at}  {name:<origin$}  {begin}{text}");
                };
                let (day, time) = at.split_once('T').unwrap_or(("", &at));
                if day != self.day {
                    writeln!(self.out, "{day} (UTC)")?;
                    day.clone_into(&mut self.day);
                }
                let is_earlier = matches!(found.entry.what, What::Record(_)) && found.entry.at < self.latest;
                self.latest = self.latest.max(found.entry.at);
                self.marked |= is_earlier;
                let mark = if is_earlier { MARK } else { ' ' };
                let time = time.trim_end_matches('Z');
                let indent = time.len() + 2 + origin + 2;
                let mut lines = wrap(&text, width.saturating_sub(indent).max(ROOM_MIN), begin_width).into_iter();
                let first = lines.next().unwrap_or_default();
                writeln!(self.out, "{time}{mark} {name:<origin$}  {begin}{first}")?;
                lines.try_for_each(|line| writeln!(self.out, "{:indent$}{line}", ""))
            }
        }
    }

    /// Prints how many lines there were.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        if let Form::Text { width, .. } = self.form {
            let of_files = self.counts.iter().map(|(name, count)| t!("%{n} in %{name}", n = count, name = name));
            let of_files = of_files.collect::<Vec<_>>().join(", ");
            let colon = if of_files.is_empty() { "" } else { ": " };
            let (n, id) = (self.counts.values().sum::<u64>(), &self.id);
            let lines =
                counted(n, t!("1 line of request %{id}", id = id), t!("%{n} lines of request %{id}", n = n, id = id));
            let text = format!("{lines}{colon}{of_files}");
            let note = self.marked.then(|| {
                t!(
                    "%{mark} the instant of the record's transaction, a little before the line of its saving",
                    mark = MARK
                )
            });
            for line in [Some(text.into()), note].into_iter().flatten() {
                wrap(&line, width.unwrap_or(usize::MAX), 0).iter().try_for_each(|line| writeln!(self.out, "{line}"))?;
            }
        }
        self.out.flush()
    }

    /// What the line says: a beginning that may have a colour, and the rest.
    fn says(&self, what: &What) -> (String, String) {
        match what {
            What::Record(record) => {
                let event = record.get("event_type").and_then(Value::as_str).unwrap_or_default();
                let mut text = String::new();
                let details = record.get("details").and_then(Value::as_object).into_iter().flatten();
                let others = |name| record.get_key_value(name);
                let names =
                    ["req", "req_cliente"].into_iter().filter_map(others).filter(|(_, value)| !self.is_id(value));
                let pairs = details.chain(others("seq")).chain(names).chain(others("autor")).chain(others("ip"));
                pairs.filter(|(_, value)| !value.is_null()).for_each(|(name, value)| push_pair(&mut text, name, value));
                (escaped(event), text)
            }
            What::Log(Log { level, message, pairs, .. }) => {
                let begin = if level == "INFO" { String::new() } else { format!("{}: ", escaped(level)) };
                let mut text = escaped(message);
                let names = |name: &str| matches!(name, "req" | "req_cliente");
                for (name, value) in pairs.iter().filter(|(name, value)| !(names(name) && self.is_id(value))) {
                    push_pair(&mut text, name, value);
                }
                (begin, text)
            }
        }
    }

    /// Whether this is the identifier that is told about. The lines need not repeat it.
    fn is_id(&self, value: &Value) -> bool {
        *value == *self.id
    }
}

fn push_pair(text: &mut String, name: &str, value: &Value) {
    text.push(' ');
    text.push_str(&escaped(name));
    text.push('=');
    match value {
        Value::String(value) => push_value(text, &format_args!("{value}")),
        other => push_value(text, &format_args!("{other}")),
    }
}

/// A file's name, escaped.
fn shown_name(origin: &str, with_folder: bool) -> String {
    let name = Path::new(origin).file_name().filter(|_| !with_folder);
    escaped(&name.map_or_else(|| origin.to_owned(), |name| name.to_string_lossy().into_owned()))
}

fn colour_of(what: &What) -> Option<Colour> {
    match what {
        What::Record(record) => colours::of_event(record.get("event_type").and_then(Value::as_str)?),
        What::Log(log) => match &*log.level {
            "WARNING" => Some(Colour::Yellow),
            "ERROR" | "CRITICAL" => Some(Colour::Red),
            _ => None,
        },
    }
}

/// Breaks a text between words into lines of that width; `used` columns of the first line are taken. A word that is longer than a
/// line is broken too.
fn wrap(text: &str, width: usize, used: usize) -> Vec<String> {
    let taken = " ".repeat(used);
    let options = Options::new(width)
        .initial_indent(&taken)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    let lines = textwrap::wrap(text, options).into_iter();
    lines
        .enumerate()
        .map(|(place, line)| if place == 0 { line[used.min(line.len())..].to_owned() } else { line.into_owned() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_broken_between_words_and_a_long_word_where_it_has_to_be() {
        assert_eq!(wrap("um dois três", 20, 0), ["um dois três"]);
        assert_eq!(wrap("um dois três", 7, 0), ["um dois", "três"]);
        assert_eq!(wrap("um dois três", 7, 3), ["um", "dois", "três"]);
        assert_eq!(wrap("um Hubble-Acad_2025 x", 8, 0), ["um", "Hubble-A", "cad_2025", "x"]);
        assert_eq!(wrap("望遠鏡 🔭", 4, 0), ["望遠", "鏡", "🔭"]);
        assert_eq!(wrap(" a=1", 4, 4), ["", "a=1"]);
        assert_eq!(wrap("", 4, 0), [""]);
    }
}
