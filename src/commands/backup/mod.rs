//! `backup`: the agenda of a data folder in one new file, made while the services run, and checked before it gets its name.

mod part;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use indicatif::ProgressBar;
use rust_i18n::t;
use serde_json::json;

use self::part::Part;
pub use self::part::rename_to_new;
use super::outcome::{EXIT_UNEXPECTED, Outcome};
use super::output::{print, tell};
use super::progress::{progress_bar, spinner};
use crate::audit::TRAIL_FILE;
use crate::audit::export::is_written;
use crate::data_dir::DATABASE_FILE;
use crate::language::{counted, translation};
use crate::store::sqlite::{self, Contents, NotWhole, OpenError};
use crate::time::Clock;

/// How often the progress of the copy is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Arguments of `backup`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec backup /backups                            a new file in that folder, named by the time
  sctec backup agenda-before-upgrade.db
  sctec backup /backups --json >> heads.jsonl      what the backup has, and its head for audit --verify --head
  sctec restore /backups/sctec-20261126T210000Z.db

The backup is one SQLite file with the agenda and all audit records, as they were at one instant. Services on the folder go on. The \
trail's files are not in it, because 'sctec restore' writes them anew from the records; nor are the tokens (acesso.db), the \
coordinator's counter (coordenador.json) and the logs.

The file gets its name when all of it is written and checked. What an interrupted backup leaves ends with .incompleta.

Exit status: 0 made and checked, 1 the agenda contradicts itself, so there is no backup, 2 could not run.")]
pub(super) struct BackupArgs {
    /// A new file, or a folder in which a new file is made
    #[arg(value_name = "FILE|DIR")]
    to: PathBuf,
    /// The scheduler's data folder
    #[arg(long, env = "SCTEC_DATA_DIR", default_value = "sctec-data", value_name = "DIR")]
    data_dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Makes a backup, checks it and says what it has.
///
/// # Errors
/// When it could not be made. The message says what to do.
pub fn run(args: &BackupArgs) -> Outcome {
    let database = args.data_dir.join(DATABASE_FILE);
    if !database.try_exists().with_context(|| t!("cannot read %{path}", path = database.display()))? {
        bail!(t!("there is no %{path}; --data-dir names the scheduler's data folder", path = database.display()));
    }
    let target = target(&args.to)?;
    let part = Part::begin(&target)?;
    copy(&database, &args.data_dir.join(TRAIL_FILE), &part)?;
    let bytes = part.sync()?;
    let checking = spinner(bytes, t!("checking the backup").into_owned());
    let examined = sqlite::examine(part.path());
    checking.finish_and_clear();
    let contents = match examined {
        Ok(contents) => contents,
        Err(NotWhole::Contradicts(faults, count)) => {
            for fault in &faults {
                tell(fault);
            }
            tell(t!(
                "%{path} contradicts itself (%{n} times), so no backup was made; see 'sctec audit --verify --deep', and keep the last good \
                 backup",
                path = database.display(),
                n = count
            ));
            return Ok(ExitCode::from(EXIT_UNEXPECTED));
        }
        Err(other) => bail!("{}", why_not_whole(&database, &other)),
    };
    part.publish(&target)?;
    report(args, &target, bytes, &contents)?;
    Ok(ExitCode::SUCCESS)
}

/// The new file.
fn target(to: &Path) -> anyhow::Result<PathBuf> {
    let now = Clock::system().now().seconds().to_string().replace(['-', ':'], "");
    if to.is_dir() {
        let names = (1..).map(|n| if n == 1 { format!("sctec-{now}.db") } else { format!("sctec-{now}-{n}.db") });
        let mut files = names.map(|name| to.join(name));
        // One of endlessly many names is free.
        return Ok(files.find(|file| std::fs::symlink_metadata(file).is_err()).unwrap_or_default());
    }
    let target = to.to_owned();
    if target.file_name().is_none() || to.as_os_str().as_encoded_bytes().ends_with(b"/") {
        bail!(t!("there is no folder %{path}", path = to.display()));
    }
    if std::fs::symlink_metadata(&target).is_ok() {
        bail!(t!("%{path} exists; a backup is written to a new file, so choose another name", path = target.display()));
    }
    Ok(target)
}

/// Copies the database, and shows how far it is.
fn copy(database: &Path, trail: &Path, part: &Part) -> anyhow::Result<()> {
    let (bar, path) = (&OnceLock::<ProgressBar>::new(), part.path());
    let to = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let to = to.to_str().ok_or_else(|| {
        anyhow!(t!("SQLite writes only to paths in UTF-8, and %{path} is not", path = path.display()))
    })?;
    let (done, ends) = mpsc::channel::<()>();
    let copied = std::thread::scope(|scope| {
        scope.spawn(move || {
            while ends.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                if let (Some(bar), Ok(found)) = (bar.get(), std::fs::metadata(path)) {
                    bar.set_position(found.len());
                }
            }
        });
        let copied = sqlite::copy(
            database,
            (to, part.file()),
            || is_written(trail),
            |most| {
                bar.get_or_init(|| progress_bar(most));
            },
        );
        drop(done);
        copied
    });
    if let Some(bar) = bar.get() {
        bar.finish_and_clear();
    }
    copied.with_context(|| {
        t!("cannot copy %{from} to %{to}; nothing is left of it", from = database.display(), to = path.display())
    })
}

fn report(args: &BackupArgs, target: &Path, bytes: u64, contents: &Contents) -> anyhow::Result<()> {
    let Contents { schema, bookings, records, head, highest_token, .. } = contents;
    let text = if args.json {
        let object = json!({
            "arquivo": target.display().to_string(),
            "bytes": bytes,
            "esquema": schema,
            "agendamentos": bookings,
            "registros": records,
            "maior_token": highest_token,
            "seq": head.seq,
            "hash": head.hash,
        });
        format!("{object}\n")
    } else {
        format!("{}\n{}\n", target.display(), in_words(contents))
    };
    print(&text).map(drop)
}

/// What a backup has, in words.
pub fn in_words(contents: &Contents) -> String {
    let Contents { bookings, records, head, .. } = contents;
    let bookings = counted(*bookings, t!("1 booking"), t!("%{n} bookings", n = bookings));
    let records = counted(*records, t!("1 record"), t!("%{n} records", n = records));
    let checked = t!("checked: %{bookings}, %{records}", bookings = bookings, records = records);
    let head = t!("head of the trail: record %{seq}, with the hash", seq = head.seq).into_owned() + " " + &head.hash;
    format!("{checked}\n{head}")
}

/// Why a file cannot be taken for an agenda.
pub fn why_not_whole(path: &Path, why: &NotWhole) -> String {
    let path = path.display();
    match why {
        NotWhole::Other(OpenError::Foreign { expected, .. }) => {
            let expected = translation(expected).unwrap_or_else(|| (*expected).into());
            t!("%{path} is not %{expected}", path = path, expected = expected).into_owned()
        }
        NotWhole::Other(error) => error.to_string(),
        NotWhole::HasLog => t!(
            "%{path} has a write-ahead log beside it (%{path}-wal), so the file alone is not all; make a backup with 'sctec backup'",
            path = path
        )
        .into_owned(),
        NotWhole::Contradicts(faults, count) => {
            let first = faults.first().map_or("", String::as_str);
            t!("%{path} is damaged or was altered (%{n} times): %{first}", path = path, n = count, first = first).into_owned()
        }
        NotWhole::Unreadable(reason) => {
            t!("%{path} cannot be read as an agenda: %{reason}", path = path, reason = reason).into_owned()
        }
    }
}
