//! Prints matching records: as their own bytes, as CSV for spreadsheets, or as a table for people.
//!
//! A table on a terminal has the terminal's width. Elsewhere it has all its columns and whole instants: another program reads it,
//! or a file keeps it.

use std::io::{self, BufWriter, Write};

use comfy_table::{Cell, CellAlignment, Color, Table, presets};
use rust_i18n::t;

use super::args::AuditFormat;
use super::cell::cell;
use super::colours::{self, Colour};
use super::table::{self, COLUMNS, Layout, Row};
use crate::audit::fields::{Details, Record};
use crate::commands::output;
use crate::language::counted;

/// The most rows of one table. More rows become several tables, so that memory stays bounded.
const TABLE_ROWS: usize = 100_000;
/// Bytes of one write.
const WRITE_BYTES: usize = 64 * 1024;

/// New columns come last: a spreadsheet may refer to columns by their position.
const CSV_HEADER: [&str; 30] = [
    "seq",
    "timestamp_utc",
    "event_type",
    "agendamento_id",
    "cientista_id",
    "cientista_nome",
    "telescopio",
    "horario_inicio_utc",
    "horario_fim_utc",
    "token",
    "alvo",
    "motivo",
    "codigo",
    "instante_clique_utc",
    "req",
    "hash",
    "ocupado_por",
    "service",
    "prev",
    "versao",
    "modo",
    "endereco",
    "ativo_ha_ms",
    "pid",
    "autor",
    "ip",
    "recurso",
    "dono",
    "estado_anterior",
    "req_cliente",
];
/// How many columns a table has that is not on a terminal: the first ones of a [`Row`].
const TABLE_COLUMNS: usize = COLUMNS - 1;
/// The columns of numbers.
const TABLE_NUMBERS: [usize; 2] = [0, 3];

/// Prints records to `W` in one format.
pub struct Printer<W: Write> {
    format: Format<W>,
    count: u64,
    unread: u64,
}

enum Format<W: Write> {
    Jsonl(BufWriter<W>),
    Csv(Box<csv::Writer<W>>),
    Table {
        out: BufWriter<W>,
        rows: Vec<Row>,
    },
    /// A table whose rows are printed as they come.
    Rows {
        out: BufWriter<W>,
        layout: Layout,
        day: String,
    },
    Count(W),
}

impl<W: Write> Printer<W> {
    /// A printer to `out`. If `with_mark` is true, CSV begins with a byte order mark.
    ///
    /// # Errors
    /// As [`Printer::record`].
    pub fn new(format: AuditFormat, with_mark: bool, mut out: W) -> io::Result<Self> {
        let format = match format {
            AuditFormat::Jsonl => Format::Jsonl(BufWriter::with_capacity(WRITE_BYTES, out)),
            AuditFormat::Csv => {
                if with_mark {
                    out.write_all("\u{feff}".as_bytes())?;
                }
                let mut csv = csv::WriterBuilder::new().buffer_capacity(WRITE_BYTES).from_writer(out);
                csv.write_record(CSV_HEADER).map_err(csv_error)?;
                Format::Csv(Box::new(csv))
            }
            AuditFormat::Table => Format::Table { out: BufWriter::with_capacity(WRITE_BYTES, out), rows: Vec::new() },
        };
        Ok(Self { format, count: 0, unread: 0 })
    }

    /// A printer of a table whose end does not come: each row is printed at once.
    ///
    /// # Errors
    /// As [`Printer::record`].
    pub fn rows(out: W) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(WRITE_BYTES, out);
        let layout = Layout::ahead(output::table_width().map(usize::from));
        layout.write_header(&mut out)?;
        Ok(Self { format: Format::Rows { out, layout, day: String::new() }, count: 0, unread: 0 })
    }

    /// A printer that only counts.
    pub fn counting(out: W) -> Self {
        Self { format: Format::Count(out), count: 0, unread: 0 }
    }

    /// Takes a record and its line. The output may stay in a buffer until [`Printer::flush`], and a table's row until
    /// [`Printer::print_table`].
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn record(&mut self, line: &[u8], record: &Record<'_>) -> io::Result<()> {
        self.count += 1;
        match &mut self.format {
            Format::Jsonl(out) => {
                out.write_all(line)?;
                out.write_all(b"\n")
            }
            Format::Csv(csv) => write_csv(csv, record, &details(record, &mut self.unread)).map_err(csv_error),
            Format::Table { rows, .. } => {
                rows.push(table::row(record, &details(record, &mut self.unread)));
                Ok(())
            }
            Format::Rows { out, layout, day } => {
                let row = table::row(record, &details(record, &mut self.unread));
                if let Some(other) = layout.day_of(&row).filter(|other| *other != day) {
                    writeln!(out, "{other} (UTC)")?;
                    other.clone_into(day);
                }
                layout.write(out, &row, output::colour())
            }
            Format::Count(_) => Ok(()),
        }
    }

    /// Takes the lines of `count` records at once, without the last line break, if the format needs nothing else of them. If it does,
    /// the result is false, and each is to be given with [`Printer::record`].
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn lines(&mut self, lines: &[u8], count: u64) -> io::Result<bool> {
        match &mut self.format {
            Format::Jsonl(out) => {
                out.write_all(lines)?;
                out.write_all(b"\n")?;
            }
            Format::Count(_) => {}
            Format::Csv(_) | Format::Table { .. } | Format::Rows { .. } => return Ok(false),
        }
        self.count += count;
        Ok(true)
    }

    /// The number of records whose details could not be read.
    pub fn unread(&self) -> u64 {
        self.unread
    }

    /// The number of records that matched.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether the table has its most rows, so that [`Printer::print_table`] must be called.
    pub fn table_is_full(&self) -> bool {
        matches!(&self.format, Format::Table { rows, .. } if rows.len() >= TABLE_ROWS)
    }

    /// Prints the rows gathered so far as one table.
    ///
    /// # Errors
    /// As [`Printer::record`].
    pub fn print_table(&mut self) -> io::Result<()> {
        match &mut self.format {
            Format::Table { out, rows } if !rows.is_empty() => write_table(out, std::mem::take(rows)),
            _ => Ok(()),
        }
    }

    /// Writes the buffered output, so that its reader gets it now.
    ///
    /// # Errors
    /// As [`Printer::record`].
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.format {
            Format::Jsonl(out) | Format::Table { out, .. } | Format::Rows { out, .. } => out.flush(),
            Format::Csv(csv) => csv.flush(),
            Format::Count(out) => out.flush(),
        }
    }

    /// Prints the remaining rows, and for a table and `--count` the number of records.
    ///
    /// # Errors
    /// As [`Printer::record`].
    pub fn finish(mut self) -> io::Result<()> {
        self.print_table()?;
        match &mut self.format {
            Format::Table { out, .. } => {
                writeln!(out, "{}", counted(self.count, t!("1 record"), t!("%{n} records", n = self.count)))?;
            }
            Format::Count(out) => writeln!(out, "{}", self.count)?,
            Format::Jsonl(_) | Format::Csv(_) | Format::Rows { .. } => {}
        }
        self.flush()
    }
}

/// The conversion of the csv crate would hide the kind of the IO error.
fn csv_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn details<'a>(record: &Record<'a>, unread: &mut u64) -> Details<'a> {
    record.details().unwrap_or_else(|_| {
        *unread += 1;
        Details::default()
    })
}

fn write_csv<W: Write>(csv: &mut csv::Writer<W>, record: &Record<'_>, details: &Details<'_>) -> csv::Result<()> {
    let fields: [_; CSV_HEADER.len()] = [
        record.seq,
        record.timestamp_utc,
        record.event_type,
        details.agendamento_id,
        details.cientista_id,
        details.cientista_nome,
        details.telescopio,
        details.horario_inicio_utc,
        details.horario_fim_utc,
        details.token,
        details.alvo,
        details.motivo,
        details.codigo,
        details.instante_clique_utc,
        record.req,
        record.hash,
        details.ocupado_por,
        record.service,
        record.prev,
        details.versao,
        details.modo,
        details.endereco,
        details.ativo_ha_ms,
        details.pid,
        record.autor,
        record.ip,
        details.recurso,
        details.dono,
        details.estado_anterior,
        record.req_cliente,
    ];
    for field in fields {
        csv.write_field(cell(field).as_bytes())?;
    }
    csv.write_record(None::<&[u8]>)
}

fn comfy(colour: Colour) -> Color {
    match colour {
        Colour::Red => Color::DarkRed,
        Colour::Green => Color::DarkGreen,
        Colour::Yellow => Color::DarkYellow,
        Colour::Cyan => Color::DarkCyan,
    }
}

fn write_table(out: &mut impl Write, rows: Vec<Row>) -> io::Result<()> {
    if let Some(width) = output::table_width() {
        let layout = Layout::of(&rows, usize::from(width));
        layout.write_header(out)?;
        let colour = output::colour();
        return rows.iter().try_for_each(|row| layout.write(out, row, colour));
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(table::whole_header().into_iter().take(TABLE_COLUMNS));
    if output::colour() {
        table.enforce_styling();
    }
    for row in rows {
        table.add_row(row.into_iter().take(TABLE_COLUMNS).map(|text| match colours::of_event(&text) {
            Some(colour) => Cell::new(text).fg(comfy(colour)),
            None => Cell::new(text),
        }));
    }
    for number in TABLE_NUMBERS {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for line in table.lines() {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
