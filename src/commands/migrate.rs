//! `migrate`: the agenda of a data folder into a PostgreSQL database, with its trail.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use rust_i18n::t;
use serde_json::json;

use super::backup::{in_words, why_not_whole};
use super::outcome::{EXIT_UNEXPECTED, Outcome};
use super::output::{print, tell};
use super::restore::lock;
use super::runtime::block_on;
use super::store::StoreLogin;
use crate::audit::chain::ChainHead;
use crate::data_dir::DATABASE_FILE;
use crate::language::chain;
use crate::store::postgres::{self, Location, NotMoved};
use crate::store::sqlite::{Moving, NotMoving};
use crate::store::tables::{Cell, Table};

/// Arguments of `migrate`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec migrate --from sqlite:sctec-data --to postgres://sctec@db.example/sctec
  sctec serve-scheduler --store postgres://sctec@db.example/sctec
  sctec audit --verify --store postgres://sctec@db.example/sctec

Stop the schedulers of the folder first; the coordinator may run on. The database must have no agenda. All of the agenda moves in one \
transaction, or nothing of it: bookings, slots, waiting lists, the catalogue, and the audit trail, whose chain goes on unbroken. The folder \
stays as it is, and its trail's file fits the database: a scheduler may keep it as its data folder. Do not start a scheduler on the old \
agenda again: the two would then differ. Tokens (acesso.db) and the coordinator's counter (coordenador.json) do not move.

Exit status: 0 moved, 1 the agenda contradicts itself, and nothing was moved, 2 could not run.")]
pub(super) struct MigrateArgs {
    /// The agenda that moves: sqlite: and a data folder on which no scheduler runs
    #[arg(long, value_name = "sqlite:DIR", value_parser = folder)]
    from: PathBuf,
    /// The database to which it moves: postgres://USER@HOST:PORT/DATABASE. A password must not stand in it
    #[arg(long, value_name = "URL")]
    to: String,
    #[command(flatten)]
    login: StoreLogin,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The data folder that `sqlite:DIR` names.
fn folder(text: &str) -> Result<PathBuf, String> {
    match text.strip_prefix("sqlite:") {
        Some(folder) if !folder.is_empty() => Ok(PathBuf::from(folder)),
        _ => Err(t!("it must be sqlite: and a data folder, as in sqlite:sctec-data").into_owned()),
    }
}

/// The agenda of a data folder, held until it has moved.
struct Agenda(Moving);

impl postgres::Source for Agenda {
    fn identity(&self) -> &str {
        self.0.identity()
    }

    fn head(&self) -> ChainHead {
        self.0.contents().head.clone()
    }

    fn highest_token(&self) -> u64 {
        self.0.contents().highest_token
    }

    fn rows(&self, table: &Table, each: &mut dyn FnMut(&[Cell<'_>]) -> Result<(), String>) -> Result<(), String> {
        self.0.rows(table, each)
    }

    fn is_unchanged(&self) -> bool {
        self.0.is_unchanged()
    }
}

/// Moves the agenda, and says what has moved.
///
/// # Errors
/// When it could not be moved. The message says what to do.
pub fn run(args: &MigrateArgs) -> Outcome {
    let database = args.from.join(DATABASE_FILE);
    if !database.try_exists().with_context(|| t!("cannot read %{path}", path = database.display()))? {
        bail!(t!("there is no %{path}; --from names the scheduler's data folder", path = database.display()));
    }
    let location = args.login.location(&args.to).with_context(|| t!("--to names no database that can be used"))?;
    let _lock = lock(&args.from)?;
    let moving = match Moving::begin(&database) {
        Ok(moving) => moving,
        Err(why) => {
            tell(why_not(&database, &why));
            tell(t!("nothing was moved"));
            return Ok(ExitCode::from(EXIT_UNEXPECTED));
        }
    };
    let contents = moving.contents().clone();
    let moved = block_on(postgres::move_to(&location, Arc::new(Agenda(moving))))?;
    let rows = match moved {
        Ok(rows) => rows,
        Err(why) => return not_moved(&database, &location, why),
    };
    if args.json {
        let object = json!({
            "de": database.display().to_string(),
            "para": location.shown(),
            "linhas": rows,
            "agendamentos": contents.bookings,
            "registros": contents.records,
            "maior_token": contents.highest_token,
            "seq": contents.head.seq,
            "hash": contents.head.hash,
        });
        print(&format!("{object}\n"))?;
    } else {
        print(&format!("{}\n{}\n", location.shown(), in_words(&contents)))?;
        tell(t!(
            "start every scheduler with --store from now on: %{path} stays as it was, and what is booked in it is not in the database",
            path = database.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Says why an agenda did not move.
fn not_moved(database: &Path, location: &Location, why: NotMoved) -> Outcome {
    match why {
        NotMoved::NotEmpty => bail!(t!(
            "%{at} has an agenda already; nothing was moved: make a new database (CREATE DATABASE), or choose another one",
            at = location.shown()
        )),
        NotMoved::Broken(seq) => {
            tell(t!(
                "%{path}: the chain of the trail is broken at record %{seq}",
                path = database.display(),
                seq = seq
            ));
            tell(t!("nothing was moved"));
            Ok(ExitCode::from(EXIT_UNEXPECTED))
        }
        NotMoved::Source(reason) => {
            bail!(t!("%{path}: %{reason}; nothing was moved", path = database.display(), reason = reason))
        }
        NotMoved::Unknown(reason) => bail!(t!(
            "%{at}: %{reason}; whether the agenda has moved is not known: look with sctec audit --store before you start a scheduler",
            at = location.shown(),
            reason = reason
        )),
        error @ (NotMoved::Target(_) | NotMoved::Unwritable(_)) => {
            bail!(t!("%{reason}; nothing was moved", reason = chain(&error)))
        }
    }
}

fn why_not(database: &Path, why: &NotMoving) -> String {
    match why {
        NotMoving::Not(why) => why_not_whole(database, why),
        NotMoving::Older(found, known) => t!(
            "%{path} has the form of an older version (%{found}; this one has %{known}); start a scheduler of this version on it, and stop it \
             again, so that it is brought up to date",
            path = database.display(),
            found = found,
            known = known
        )
        .into_owned(),
    }
}
