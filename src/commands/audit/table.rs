//! The table of records on a terminal: each record is one line, and no line is longer than the terminal.
//!
//! A narrow terminal gets the columns that matter and short times, a wide one more columns and whole instants. No value is broken
//! over several lines: one that is too long ends with `…`. JSON and CSV have all of it.

use std::borrow::Cow;
use std::io::{self, Write};

use rust_i18n::t;
use unicode_width::UnicodeWidthStr;

use super::colours;
use super::shorten::{Form, cut, short};
use crate::audit::fields::{Details, Record, text};
use crate::text::escaped;

/// From this width on, instants are shown whole.
const WIDE: usize = 120;
/// The room between two columns.
const GAP: usize = 2;

/// The columns, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    Seq,
    When,
    Event,
    Booking,
    Scientist,
    Telescope,
    Slot,
    Req,
    Author,
    Ip,
    Why,
}

/// The number of columns.
pub const COLUMNS: usize = 11;
const ALL: [Column; COLUMNS] = [
    Column::Seq,
    Column::When,
    Column::Event,
    Column::Booking,
    Column::Scientist,
    Column::Telescope,
    Column::Slot,
    Column::Req,
    Column::Author,
    Column::Ip,
    Column::Why,
];
/// The columns of every table.
const ALWAYS: [Column; 5] = [Column::When, Column::Event, Column::Booking, Column::Scientist, Column::Slot];
/// The columns of these that are about a booking.
const BOOKING: [Column; 3] = [Column::Booking, Column::Scientist, Column::Slot];
/// The columns that are shown if they fit, the most useful first.
const IF_THEY_FIT: [Column; 6] = [Column::Req, Column::Telescope, Column::Seq, Column::Why, Column::Ip, Column::Author];

/// The cells of a record, escaped, one for each column. Instants are whole.
pub type Row = [String; COLUMNS];

/// The columns that are shown, and how wide each is.
#[derive(Debug)]
pub struct Layout {
    columns: Vec<(Column, usize)>,
    when: Form,
    slot: Form,
    /// The day or year that the short instants leave out.
    title: String,
    /// Whether a cell that is wider than its column is cut.
    cuts: bool,
}

/// The row of a record.
pub fn row(record: &Record<'_>, details: &Details<'_>) -> Row {
    let shown = |field| escaped(&text(field));
    let scientist = format!("{} {}", shown(details.cientista_id), shown(details.cientista_nome));
    [
        shown(record.seq),
        shown(record.timestamp_utc),
        shown(record.event_type),
        shown(details.agendamento_id),
        scientist.trim().to_owned(),
        shown(details.telescopio),
        shown(details.horario_inicio_utc),
        shown(record.req),
        shown(record.autor),
        shown(record.ip),
        escaped(&details.why()),
    ]
}

impl Column {
    fn header(self, when: Form) -> Cow<'static, str> {
        match self {
            // The names of the records' own fields, by which one searches.
            Self::Seq => "seq".into(),
            Self::Req => "req".into(),
            Self::Author => "autor".into(),
            Self::Ip => "ip".into(),
            Self::When if when == Form::Whole => t!("when (UTC)"),
            Self::When => "UTC".into(),
            Self::Event => t!("event"),
            Self::Booking => t!("booking"),
            Self::Scientist => t!("scientist"),
            Self::Telescope => t!("telescope"),
            Self::Slot => t!("slot"),
            Self::Why => t!("reason"),
        }
    }

    /// Whether its cells are numbers, which stand to the right.
    fn is_number(self) -> bool {
        matches!(self, Self::Seq | Self::Booking)
    }

    /// The width up to which a column gets room before the next columns do; `None` for one that is never cut.
    fn comfortable(self) -> Option<usize> {
        match self {
            Self::Scientist => Some(17),
            Self::Req | Self::Why => Some(20),
            Self::Author | Self::Ip => Some(15),
            Self::Telescope => Some(16),
            Self::Seq | Self::When | Self::Event | Self::Booking | Self::Slot => None,
        }
    }

    /// The least width of the column, if the widest cell has `natural`.
    fn least(self, natural: usize) -> usize {
        match self {
            Self::Scientist => self.header(Form::Whole).width(),
            // An identifier that is cut cannot be searched for.
            Self::Req => natural.min(20),
            _ => natural,
        }
    }
}

impl Layout {
    /// The layout for these rows on a terminal of that width.
    pub fn of(rows: &[Row], width: usize) -> Self {
        let whens = || rows.iter().map(|row| row[Column::When as usize].as_str());
        let slots = || rows.iter().map(|row| row[Column::Slot as usize].as_str());
        let (day, when_year, slot_year) = (common(whens(), 10), common(whens(), 4), common(slots(), 4));
        let (when, slot) = match (day, when_year) {
            _ if width >= WIDE => (Form::Whole, Form::Dated),
            (Some(_), _) => (Form::OfOneDay, Form::OfOneYear),
            (_, Some(_)) => (Form::OfOneYear, Form::OfOneYear),
            _ => (Form::Dated, Form::OfOneYear),
        };
        let slot = if slot_year.is_none() { Form::Dated } else { slot };
        let left_out = match when {
            Form::OfOneDay => day,
            Form::OfOneYear => when_year,
            Form::Whole | Form::Dated => None,
        };
        let events = left_out.map(|period| t!("events of %{period}", period = period));
        let slots = slot_year.filter(|_| slot == Form::OfOneYear).map(|year| t!("slots in %{year}", year = year));
        let title = events.into_iter().chain(slots).collect::<Vec<_>>().join("; ");
        let natural = ALL.map(|column| {
            let cells = rows.iter().map(|row| shown(column, &row[column as usize], when, slot).width());
            match cells.max().unwrap_or_default() {
                0 => 0,
                widest => widest.max(column.header(when).width()),
            }
        });
        Self { columns: fit(&natural, width), when, slot, title, cuts: true }
    }

    /// A layout for rows that are not known yet, of a followed trail. `None` is an output without a width.
    pub fn ahead(width: Option<usize>) -> Self {
        let room = width.unwrap_or(usize::MAX);
        let when = if room >= WIDE { Form::Whole } else { Form::OfOneDay };
        let natural = ALL.map(|column| match column {
            Column::Seq | Column::Booking => 7,
            Column::When if when == Form::Whole => "2026-11-25T23:04:12.123456Z".len(),
            Column::When => "23:04:12".len(),
            Column::Event => "AGENDAMENTO_CANCELADO".len(),
            Column::Slot => "2026-12-01 03:00".len(),
            Column::Req => 9,
            Column::Author | Column::Ip => 15,
            Column::Scientist | Column::Telescope | Column::Why => 16,
        });
        Self { columns: fit(&natural, room), when, slot: Form::Dated, title: String::new(), cuts: width.is_some() }
    }

    /// Writes the title, if the instants are short, and the header.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn write_header(&self, out: &mut impl Write) -> io::Result<()> {
        if !self.title.is_empty() {
            writeln!(out, "{} (UTC)", self.title)?;
        }
        let header = ALL.map(|column| column.header(self.when).into_owned());
        self.write_line(out, &header, false)?;
        let width = self.columns.iter().map(|(_, width)| width + GAP).sum::<usize>().saturating_sub(GAP);
        writeln!(out, "{}", "─".repeat(width))
    }

    /// Writes a row; `colour` its event or not.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn write(&self, out: &mut impl Write, row: &Row, colour: bool) -> io::Result<()> {
        let cells = ALL.map(|column| shown(column, &row[column as usize], self.when, self.slot));
        self.write_line(out, &cells, colour)
    }

    /// The day of a row, if its cell leaves the day out.
    pub fn day_of<'a>(&self, row: &'a Row) -> Option<&'a str> {
        let day = || row[Column::When as usize].get(..10);
        (self.when == Form::OfOneDay).then(day).flatten()
    }

    fn write_line(&self, out: &mut impl Write, cells: &Row, colour: bool) -> io::Result<()> {
        let cell = |&(column, width): &(Column, usize)| {
            let cell = &cells[column as usize];
            let cell = if self.cuts { cut(cell, width) } else { cell.clone() };
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            let event = if column == Column::Event { colours::of_event(&cell) } else { None };
            match event {
                Some(event) => format!("{}{padding}", event.paint(&cell, colour)),
                None if column.is_number() => format!("{padding}{cell}"),
                None => format!("{cell}{padding}"),
            }
        };
        let line = self.columns.iter().map(cell).collect::<Vec<_>>().join(&" ".repeat(GAP));
        writeln!(out, "{}", line.trim_end())
    }
}

/// The header of a table with whole instants.
pub fn whole_header() -> Row {
    ALL.map(|column| column.header(Form::Whole).into_owned())
}

/// No column is narrower than this: the widest header.
fn least() -> usize {
    ALL.map(|column| column.header(Form::Whole).width()).into_iter().max().unwrap_or_default()
}

/// Chooses the columns, and gives each its width. A column of width 0 has no values.
fn fit(widths: &[usize; COLUMNS], width: usize) -> Vec<(Column, usize)> {
    let least = least();
    let natural = |column: Column| if widths[column as usize] == 0 { least } else { widths[column as usize] };
    // Records of locks or of the service leave the columns of a booking empty: their reason gets that room.
    let has_booking =
        BOOKING.iter().any(|column| widths[*column as usize] > 0) || widths.iter().all(|width| *width == 0);
    let roomy = |column, most: usize| if has_booking || column != Column::Why { most } else { 2 * most };
    let comfortable =
        |column: Column| natural(column).min(column.comfortable().map_or(usize::MAX, |most| roomy(column, most)));
    let always = ALWAYS.into_iter().filter(|column| has_booking || !BOOKING.contains(column));
    let mut chosen = always.map(|column| (column, column.least(natural(column)))).collect::<Vec<_>>();
    let left = |chosen: &[(Column, usize)]| {
        let used: usize = chosen.iter().map(|(_, width)| width + GAP).sum();
        (width.saturating_add(GAP)).saturating_sub(used)
    };
    for column in IF_THEY_FIT.into_iter().filter(|column| widths[*column as usize] > 0) {
        let least = if column == Column::Req { column.least(natural(column)) } else { comfortable(column) };
        if least + GAP <= left(&chosen) {
            chosen.push((column, least));
        }
        grow(&mut chosen, &left, &comfortable);
    }
    grow(&mut chosen, &left, &natural);
    // Values that no service writes may be wider than the columns that are always shown.
    while chosen.iter().map(|(_, width)| width + GAP).sum::<usize>() > width.saturating_add(GAP) {
        let widest = chosen.iter_mut().max_by_key(|(_, width)| *width);
        let Some((_, widest)) = widest.filter(|(_, width)| *width > least) else { break };
        *widest -= 1;
    }
    chosen.sort_unstable();
    chosen
}

/// Gives the room that is left to the columns, up to what each wants.
fn grow(
    chosen: &mut [(Column, usize)],
    left: &impl Fn(&[(Column, usize)]) -> usize,
    wanted: &impl Fn(Column) -> usize,
) {
    for place in 0..chosen.len() {
        let (column, width) = chosen[place];
        chosen[place].1 = width + left(chosen).min(wanted(column).saturating_sub(width));
    }
}

/// What all texts begin with, if the first `length` bytes of all of them are the same. Empty texts do not count.
fn common<'a>(texts: impl Iterator<Item = &'a str>, length: usize) -> Option<&'a str> {
    let mut beginnings = texts.filter(|text| !text.is_empty()).map(|text| text.get(..length));
    let first = beginnings.next()??;
    beginnings.all(|other| other == Some(first)).then_some(first)
}

/// A cell in the form in which it is shown.
fn shown(column: Column, cell: &str, when: Form, slot: Form) -> String {
    match column {
        Column::When => short(cell, when, ""),
        // A slot begins at a whole minute.
        Column::Slot => short(cell, slot, ":00"),
        _ => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(at: &str, event: &str, slot: &str) -> Row {
        ["7", at, event, "123", "7 Marie Curie", "Hubble-Acad", slot, "6b1f-2a", "anonimo", "192.0.2.10", ""]
            .map(str::to_owned)
    }

    fn written(rows: &[Row], width: usize) -> Vec<String> {
        let layout = Layout::of(rows, width);
        let mut out = Vec::new();
        layout.write_header(&mut out).unwrap();
        for row in rows {
            layout.write(&mut out, row, false).unwrap();
        }
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn records_of_one_day_have_the_time_and_the_title_has_the_day() {
        let rows = [
            row("2026-11-25T23:04:12.123456Z", "AGENDAMENTO_CRIADO", "2026-12-01T03:00:00Z"),
            row("2026-11-25T23:05:12.123456Z", "AGENDAMENTO_CANCELADO", "2026-12-01T03:00:00Z"),
        ];
        assert_eq!(
            written(&rows, 80),
            [
                "events of 2026-11-25; slots in 2026 (UTC)",
                "UTC       event                  booking  scientist      slot         req",
                "─────────────────────────────────────────────────────────────────────────────",
                "23:04:12  AGENDAMENTO_CRIADO         123  7 Marie Curie  12-01 03:00  6b1f-2a",
                "23:05:12  AGENDAMENTO_CANCELADO      123  7 Marie Curie  12-01 03:00  6b1f-2a",
            ]
        );
    }

    #[test]
    fn a_short_instant_leaves_out_only_what_all_rows_have_in_common() {
        let row = |at, slot| row(at, "AGENDAMENTO_CRIADO", slot);
        let days = [
            row("2026-11-25T23:04:12.1Z", "2026-12-01T03:00:00Z"),
            row("2026-11-26T23:04:12.1Z", "2027-12-01T03:00:00Z"),
        ];
        let lines = written(&days, 80);
        assert_eq!(lines[0], "events of 2026 (UTC)");
        assert!(lines[3].contains("11-25 23:04:12") && lines[4].contains("2027-12-01 03:00"), "{lines:#?}");
        let years = [row("2025-11-25T23:04:12.1Z", ""), row("2026-11-26T23:04:12.1Z", "2026-12-01T03:00:00Z")];
        let lines = written(&years, 80);
        assert!(
            lines[0].starts_with("slots in 2026 (UTC)") && lines[3].starts_with("2025-11-25 23:04:12"),
            "{lines:#?}"
        );
        let wide = written(&days, 120);
        assert!(wide[0].contains("when (UTC)") && wide[2].contains("2026-11-25T23:04:12.1Z"), "{wide:#?}");
        assert!(wide[0].contains("telescope") && !lines[1].contains("telescope"), "{wide:#?}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_each_header_is_whole() {
        let mut long = row("2026-11-25T23:04:12.123456Z", "AGENDAMENTO_CANCELADO", "2026-12-01T03:00:00Z");
        long[Column::Scientist as usize] = "1234 望遠鏡 🔭 Maria da Conceição Tavares de Almeida".to_owned();
        long[Column::Telescope as usize] = "Observatório Nacional de Astrofísica".to_owned();
        long[Column::Req as usize] = "x".repeat(64);
        long[Column::Event as usize] = "X".repeat(100);
        long[Column::Booking as usize] = "9".repeat(100);
        long[Column::Why as usize] = "nuvens ".repeat(60);
        let other = row("2025-01-02T03:04:05.123456Z", "SERVICO_INICIADO", "");
        for width in 80..300 {
            for rows in [&[long.clone()][..], &[long.clone(), other.clone()], std::slice::from_ref(&other), &[]] {
                let lines = written(rows, width);
                assert!(lines.iter().all(|line| line.width() <= width), "{width} {lines:#?}");
                let header: Vec<&str> =
                    lines.iter().find(|line| line.contains("scientist")).unwrap().split("  ").collect();
                let known = |word: &&str| {
                    let word = word.trim();
                    word.is_empty()
                        || ALL
                            .iter()
                            .any(|column| [Form::Whole, Form::Dated].iter().any(|form| column.header(*form) == word))
                };
                assert!(header.iter().all(known), "{header:?}");
            }
            let mut out = Vec::new();
            let layout = Layout::ahead(Some(width));
            layout.write_header(&mut out).unwrap();
            layout.write(&mut out, &long, false).unwrap();
            let lines = String::from_utf8(out).unwrap();
            assert!(lines.lines().all(|line| line.width() <= width), "{width} {lines}");
        }
    }
}
