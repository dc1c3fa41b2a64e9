//! `restore`: a backup in the place of a data folder's agenda. The agenda that was there is kept, whole, in a folder of its own.
//!
//! The copy is made beside the agenda, checked, brought up to date and given its record. Only then are names changed, in an order in
//! which the folder has one whole agenda after each step, so a crash at any moment does no harm ([`standing`]).

mod staged;
mod standing;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::Args;
use rust_i18n::t;
use serde_json::json;

use self::staged::Staged;
use self::standing::Standing;
use super::backup::{in_words, why_not_whole};
use super::outcome::{EXIT_UNEXPECTED, Outcome};
use super::output::{print, tell};
use crate::audit::TRAIL_FILE;
use crate::audit::export::ExporterLock;
use crate::audit::record::Restoration;
use crate::data_dir::{self, DATABASE_FILE};
use crate::files::FileId;
use crate::language::counted;
use crate::store::sqlite::{self, Contents, NotWhole, Replaced};
use crate::time::Clock;

/// Arguments of `restore`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec restore /backups/sctec-20261126T210000Z.db --data-dir new-folder
  sctec restore /backups/sctec-20261126T210000Z.db --replace
  sctec audit --verify --deep                      the restored agenda and its trail
  sctec audit --data-dir sctec-data/KEPT --since INSTANT --event AGENDAMENTO_CRIADO

Stop the schedulers of the folder first; the coordinator may run on. With --replace the agenda that is there is moved, with its trail, \
into a folder of its own inside the data folder, and nothing is deleted. What was booked or cancelled after the backup is not in the \
restored agenda: its scientists have to be told. The trail gets the record AGENDA_RESTAURADA. Tokens (acesso.db) and the coordinator's \
counter (coordenador.json) stay as they are.

Exit status: 0 restored, 1 the file is no whole backup, and nothing was changed, 2 could not run.")]
pub(super) struct RestoreArgs {
    /// The backup, as 'sctec backup' made it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The scheduler's data folder; it is made if it is not there
    #[arg(long, env = "SCTEC_DATA_DIR", default_value = "sctec-data", value_name = "DIR")]
    data_dir: PathBuf,
    /// Keep the agenda that is there in a folder of its own, and put the backup in its place
    #[arg(long)]
    replace: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A restoration that was done.
struct Done {
    /// What the restored agenda has.
    contents: Contents,
    /// What the backup had.
    backup: Contents,
    /// The folder with the agenda that was there.
    kept: Option<PathBuf>,
    /// That agenda, if it could be read.
    replaced: Option<Replaced>,
}

/// Restores a backup, and says what the operator has to know.
///
/// # Errors
/// When it could not be restored. The message says what to do.
pub fn run(args: &RestoreArgs) -> Outcome {
    match restore(args)? {
        Ok(done) => {
            print(&if args.json { as_json(args, &done) } else { as_text(args, &done) })?;
            if !args.json {
                tell_the_rest(args, &done);
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(why) => {
            tell(why_not_whole(&args.file, &why));
            tell(t!("nothing was restored, and %{path} is as it was", path = args.data_dir.display()));
            Ok(ExitCode::from(EXIT_UNEXPECTED))
        }
    }
}

/// Restores, unless the file is no whole backup.
fn restore(args: &RestoreArgs) -> anyhow::Result<Result<Done, NotWhole>> {
    let (file, folder) = (&args.file, &args.data_dir);
    must_be_a_file(file, folder)?;
    if let Err(why) = sqlite::glance(file) {
        return Ok(Err(why));
    }
    data_dir::prepare(folder)?;
    let _lock = lock(folder)?;
    let standing = Standing::find(folder)?;
    standing.may_be_replaced(args.replace)?;
    let mut staged = Staged::copy(file, folder)?;
    let backup = match staged.examine() {
        Ok(contents) => contents,
        Err(why) => return Ok(Err(why)),
    };
    // A damaged agenda cannot be compared, and is restored because it is damaged.
    let replaced = standing.database().and_then(|path| sqlite::replaced(path, &backup.head).ok());
    let kept = standing.place_to_keep(Clock::system().now());
    let name_of = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let restoration = Restoration {
        version: env!("CARGO_PKG_VERSION"),
        backup: name_of(file),
        replaced: replaced.as_ref().map(|replaced| replaced.head.clone()),
        kept_in: kept.as_deref().map(name_of),
    };
    staged.complete(&restoration, Clock::system().now())?;
    let contents = match staged.examine() {
        Ok(contents) => contents,
        Err(why) => return Ok(Err(why)),
    };
    staged.write_trail()?;
    standing.change(kept.as_deref(), &staged)?;
    Ok(Ok(Done { contents, backup, kept, replaced }))
}

fn must_be_a_file(file: &Path, folder: &Path) -> anyhow::Result<()> {
    let found = std::fs::metadata(file)
        .map_err(|error| anyhow::Error::new(error).context(t!("cannot read %{name}", name = file.display())))?;
    if !found.is_file() {
        bail!(t!("%{path} is not a file; name a backup that 'sctec backup' made", path = file.display()));
    }
    if FileId::at(&folder.join(DATABASE_FILE)).is_ok_and(|agenda| agenda == FileId::from(&found)) {
        bail!(t!(
            "%{path} is the agenda of %{folder} itself, not a backup of it",
            path = file.display(),
            folder = folder.display()
        ));
    }
    Ok(())
}

/// Keeps schedulers away while it is held.
///
/// # Errors
/// When one runs, or the file cannot be locked.
pub fn lock(folder: &Path) -> anyhow::Result<ExporterLock> {
    let taken = ExporterLock::try_take(&folder.join(TRAIL_FILE)).map_err(|reason| anyhow!(reason))?;
    taken.ok_or_else(|| anyhow!(t!("a scheduler runs on %{path}; stop it first", path = folder.display())))
}

fn as_json(args: &RestoreArgs, done: &Done) -> String {
    let Done { contents, backup, kept, replaced } = done;
    let since = replaced.as_ref().and_then(|replaced| replaced.since);
    let object = json!({
        "banco": args.data_dir.join(DATABASE_FILE).display().to_string(),
        "copia": args.file.display().to_string(),
        "copia_seq": backup.head.seq,
        "copia_hash": backup.head.hash,
        "copia_ate_utc": backup.last_at,
        "esquema": contents.schema,
        "agendamentos": contents.bookings,
        "registros": contents.records,
        "maior_token": contents.highest_token,
        "seq": contents.head.seq,
        "hash": contents.head.hash,
        "guardada_em": kept.as_ref().map(|path| path.display().to_string()),
        "substituida_seq": replaced.as_ref().map(|replaced| replaced.head.seq),
        "substituida_hash": replaced.as_ref().map(|replaced| &replaced.head.hash),
        "agendamentos_perdidos": since.map(|since| since.booked),
        "mudancas_perdidas": since.map(|since| since.changed),
        "cancelamentos_perdidos": since.map(|since| since.cancelled),
    });
    format!("{object}\n")
}

fn as_text(args: &RestoreArgs, done: &Done) -> String {
    let database = args.data_dir.join(DATABASE_FILE);
    let mut text = format!("{}\n{}\n", database.display(), in_words(&done.contents));
    if let Some(kept) = &done.kept {
        text += &t!("kept, with its trail: %{path}", path = kept.display());
        text.push('\n');
    }
    text
}

/// What the operator has to know.
fn tell_the_rest(args: &RestoreArgs, done: &Done) {
    let until = done.backup.last_at.as_deref().unwrap_or("-");
    if let Some(kept) = &done.kept {
        let kept = kept.display();
        match done.replaced.as_ref().map(|replaced| replaced.since) {
            Some(Some(since)) => {
                let booked = counted(since.booked, t!("1 booking"), t!("%{n} bookings", n = since.booked));
                let changed = counted(since.changed, t!("1 change"), t!("%{n} changes", n = since.changed));
                let cancelled =
                    counted(since.cancelled, t!("1 cancellation"), t!("%{n} cancellations", n = since.cancelled));
                tell(t!(
                    "after the backup, and so no longer in the agenda: %{booked}, %{changed}, %{cancelled}",
                    booked = booked,
                    changed = changed,
                    cancelled = cancelled
                ));
                if since.booked + since.changed + since.cancelled > 0 {
                    tell(t!(
                        "to list them: sctec audit --data-dir %{kept} --since %{until}",
                        kept = kept,
                        until = until
                    ));
                }
            }
            Some(None) => tell(t!(
                "the backup is not an earlier state of the agenda that was here: compare them in %{kept}",
                kept = kept
            )),
            None => tell(t!(
                "the agenda that was here cannot be read; what it had after %{until} is not in the backup",
                until = until
            )),
        }
    }
    tell(t!(
        "heads of the trail that were noted after %{until} belong to the agenda before; 'sctec audit --verify --data-dir %{folder}' checks the \
         new one, and the scheduler can be started",
        until = until,
        folder = args.data_dir.display()
    ));
}
