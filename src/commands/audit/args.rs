//! The arguments of `audit`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use rust_i18n::t;

use crate::audit::{RACE_TRAIL_FILE, TRAIL_FILE};
use crate::commands::store::StoreArgs;
use crate::data_dir::{DATABASE_FILE, RACE_DATABASE_FILE};
use crate::store::DatabaseKind;

/// The largest `--last`: its records are kept in memory.
const LAST_MAX: usize = 100_000;

/// Arguments of `audit`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec audit --event AGENDAMENTO_CANCELADO
  sctec audit -n 20                              the last 20 records
  sctec audit --since -1h --reverse              the last hour, newest first
  sctec audit --since yesterday --until today --scientist 7 --format csv
  sctec audit sctec-data/app.log --booking 123 --format jsonl | jq .details
  sctec audit -f --telescope Hubble-Acad         all records, then each new one
  sctec audit -f -n 0                            only new records
  cat audit.jsonl | sctec audit - --count
  sctec audit --req 6b1f-2a                      one request: its records and log lines, in order of time
  sctec audit --req 6b1f-2a --format jsonl       only its records
  journalctl -o cat -u sctec-coordenador | sctec audit --req 6b1f-2a --log -
  sctec audit --contest 123                      who was in the contest that booking 123 has won, decided anew
  sctec audit --verify                           compare the trail with its database
  sctec audit --verify --deep                    also check the database itself
  sctec audit --verify --store postgres://sctec@db.example/sctec
  curl -sf http://127.0.0.1:5000/auditoria/cabeca >> heads.jsonl     keep this file on another machine
  sctec audit --verify --head heads.jsonl        also detect records removed or rewritten since then

Filters combine: a record must match all of them.

INSTANT is a span before now (-1h, -30min, -1h30min, -2d, \"2h ago\"), now, today, yesterday, tomorrow, a day (2026-11-25: its beginning), \
a day and a time (2026-11-25T10:00), a time of today (10:00), or RFC 3339 with a zone (2026-11-25T10:00:00-03:00). Days and times \
without a zone are UTC, as all that sctec shows.

On a terminal, the table shows the columns that fit. On less than 120 columns, times are short, and a title shows the day or \
year that they leave out. NO_COLOR turns colours off.

With --store the records are read from that database, and --verify compares the files with it: those of the data folder, where its \
scheduler writes a copy of the whole trail, or the FILEs that are named.

Files compressed with gzip are read too. A closed file of the data folder may be compressed in place, as \
audit-000000001707.jsonl.gz.

Exit status: 0 done (also when no record matched, and when the output's pipe was closed), 1 done, but records are missing, \
a line of the data folder's trail is not a record, or a file cannot be read (standard error says which); 2 could not run.
With --contest: 0 decided anew, the winner is the same; 1 it is not, not all of it can be decided anew, or there is no such contest; \
2 could not run.
With --verify: 0 the trail is whole, 1 could not run, 2 tampered (with --deep also: the database contradicts itself), 3 incomplete: the \
last line is cut short, or records are missing at the beginning or at the end. Nothing is written to the data folder.
--follow runs until Ctrl-C (130) or until its output's pipe is closed (0).")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct AuditArgs {
    /// Files to read, in this order: files of a trail, or app.log; - is standard input [default: the data folder's whole trail]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The data folder to read if no FILE is named. To show a request (--req), it may be given several times: one folder for each
    /// service
    #[arg(long, env = "SCTEC_DATA_DIR", default_value = "sctec-data", value_name = "DIR")]
    pub data_dir: Vec<PathBuf>,
    /// To show a request (--req): read this log or trail too, of any service; - is standard input. May be given several times
    #[arg(long, value_name = "FILE")]
    pub log: Vec<PathBuf>,
    #[command(flatten)]
    pub store: StoreArgs,
    /// Read the trail of the race demonstration, which has its own file and database in the data folder
    #[arg(long, conflicts_with = "files")]
    pub race: bool,
    /// Only this `event_type`, for example `AGENDAMENTO_CRIADO`, in capital letters or not
    #[arg(long, value_name = "EVENT", value_parser = NonEmptyStringValueParser::new())]
    pub event: Option<String>,
    /// Only this `cientista_id`
    #[arg(long, value_name = "ID")]
    pub scientist: Option<i64>,
    /// Only this `agendamento_id`
    #[arg(long, value_name = "ID")]
    pub booking: Option<i64>,
    /// Only bookings of this slot: any instant inside it
    #[arg(long, value_name = "INSTANT", allow_hyphen_values = true)]
    pub slot: Option<String>,
    /// Only this `telescopio`
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub telescope: Option<String>,
    /// Show everything about this request: its audit records and the log lines of both services, in order of time. ID is the
    /// identifier that the service gave the request, or the one that its client chose. With a FILE, --format, --bom, --count,
    /// --last, --reverse, --follow or a filter other than --since and --until: only its audit records
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub req: Option<String>,
    /// Only what this principal asked for (autor), for example anonimo
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub author: Option<String>,
    /// Only what was asked for from this address
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub ip: Option<IpAddr>,
    /// Only records made at this instant or later, as -1h, yesterday or 2026-11-25T10:00 (UTC)
    #[arg(long, value_name = "INSTANT", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Only records made before this instant
    #[arg(long, value_name = "INSTANT", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// Output format [default: table on a terminal, else jsonl]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<AuditFormat>,
    /// With --format csv: begin with a byte order mark, so that Excel reads the text as UTF-8
    #[arg(long)]
    pub bom: bool,
    /// To show a request (--req) as JSON: one object for each line
    #[arg(long)]
    pub json: bool,
    /// Print only the number of records that match
    #[arg(long)]
    pub count: bool,
    /// Print new records too, as they are written, until Ctrl-C. Follows rotation, and waits for a trail that does not exist yet
    #[arg(long, short)]
    pub follow: bool,
    /// Print only the last N of the matching records; with --follow, the last N of the existing ones, then each new one
    #[arg(long, short = 'n', alias = "tail", value_name = "N", value_parser = records)]
    pub last: Option<usize>,
    /// Print the newest record first
    #[arg(long, short)]
    pub reverse: bool,
    /// Show the contest that this booking (`agendamento_id`) has won, and decide it anew from its record: each stamp, and the winner
    #[arg(long, value_name = "ID", conflicts_with = "verify")]
    pub contest: Option<i64>,
    /// Verify that the trail is whole and unchanged, and report the faults
    #[arg(long)]
    pub verify: bool,
    /// With --verify: check the database itself too: its pages, its references, and each booking against its slots and its
    /// records. Reads the whole database
    #[arg(long, requires = "verify", conflicts_with = "files")]
    pub deep: bool,
    /// With --verify: a file of chain heads that were saved earlier from GET /auditoria/cabeca. Fail unless the trail contains
    /// exactly these records. - is standard input
    #[arg(long, value_name = "FILE", requires = "verify")]
    pub head: Option<PathBuf>,
}

/// Output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuditFormat {
    /// For people
    Table,
    /// The bytes of the records, one record per line
    Jsonl,
    /// For spreadsheets
    Csv,
}

impl AuditArgs {
    /// The data folder. There are several only if [`AuditArgs::tells_a_request`].
    pub fn folder(&self) -> &Path {
        // clap gives at least the default.
        self.data_dir.first().map_or(Path::new(""), PathBuf::as_path)
    }

    /// Whether the logs and the trail are to tell of one request, and not only its records.
    pub fn tells_a_request(&self) -> bool {
        let has_filter = self.event.is_some()
            || self.scientist.is_some()
            || self.booking.is_some()
            || self.slot.is_some()
            || self.telescope.is_some()
            || self.author.is_some()
            || self.ip.is_some();
        let prints_records = self.format.is_some() || self.bom || self.count || self.last.is_some() || self.reverse;
        let prints_records = prints_records || self.store.is_given();
        self.req.is_some() && self.files.is_empty() && !has_filter && !prints_records && !self.follow && !self.verify
    }

    /// The current file of the data folder's trail.
    pub fn trail(&self) -> PathBuf {
        self.trail_in(self.folder())
    }

    /// The current file of a folder's trail.
    pub fn trail_in(&self, folder: &Path) -> PathBuf {
        folder.join(if self.race { RACE_TRAIL_FILE } else { TRAIL_FILE })
    }

    /// Which agenda's trail it is.
    pub fn kind(&self) -> DatabaseKind {
        if self.race { DatabaseKind::Race } else { DatabaseKind::Agenda }
    }

    /// The data folder's database.
    pub fn database(&self) -> PathBuf {
        self.folder().join(if self.race { RACE_DATABASE_FILE } else { DATABASE_FILE })
    }
}

/// An address of either version, in the form that records have.
fn address(text: &str) -> Result<IpAddr, String> {
    let ip =
        text.parse::<IpAddr>().map_err(|_| t!("should be an IP address without a port, as 192.0.2.10").into_owned());
    ip.map(|ip| ip.to_canonical())
}

/// A number of records.
fn records(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number <= LAST_MAX);
    number.ok_or_else(|| t!("should be a number of records from 0 to %{most}", most = LAST_MAX).into_owned())
}
