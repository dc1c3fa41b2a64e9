//! Where the schedulers of a test run have their agenda: in SQLite, or with `SCTEC_TEST_STORE=postgres` in PostgreSQL. There each data
//! folder has a database of its own, which every scheduler on that folder uses.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

use rusqlite::fallible_iterator::FallibleIterator;

use super::postgres::Database;

/// The variable that names the database to a scheduler.
const STORE: &str = "SCTEC_STORE";

/// Whether the agenda is in PostgreSQL.
pub fn is_postgres() -> bool {
    static CHOSEN: LazyLock<bool> = LazyLock::new(|| match std::env::var("SCTEC_TEST_STORE").as_deref() {
        Err(_) | Ok("" | "sqlite") => false,
        Ok("postgres") => true,
        Ok(other) => panic!("SCTEC_TEST_STORE is {other}: give sqlite or postgres"),
    });
    *CHOSEN
}

/// Ends a test that is about SQLite alone where the agenda is in PostgreSQL. The reason stands in the list of these tests, which
/// `git grep -A1 of_sqlite!` makes.
#[allow(unused_macros, reason = "a bench has this file too, and is about any storage")]
macro_rules! of_sqlite {
    ($reason:literal) => {
        if crate::common::storage::is_postgres() {
            eprintln!("skipped: {}", $reason);
            return;
        }
    };
}
#[allow(unused_imports, reason = "a bench has this file too, and is about any storage")]
pub(crate) use of_sqlite;

/// Where the agenda of a data folder is in PostgreSQL.
pub fn url(data_dir: &Path) -> String {
    with(data_dir, Database::url)
}

/// Has a command that serves a scheduler keep its agenda where this run has it.
pub fn choose(command: &mut Command, data_dir: &Path) {
    if is_postgres() {
        command.env(STORE, url(data_dir));
    }
}

/// The same for a command that runs in `folder`, unless it was told already.
pub fn choose_in(command: &mut Command, folder: &Path) {
    let args: Vec<OsString> = command.get_args().map(OsStr::to_owned).collect();
    let is_told = args.iter().any(|arg| arg == "--store");
    let serves = !is_told && args.iter().any(|arg| arg == "serve-scheduler" || arg == "serve-all");
    if serves && command.get_envs().all(|(name, _)| name != STORE) {
        let given = args.iter().position(|arg| arg == "--data-dir").and_then(|nth| args.get(nth + 1));
        let data_dir = given.map_or_else(|| Path::new("sctec-data"), Path::new);
        choose(command, &folder.join(data_dir));
    }
}

/// Runs statements in the agenda of a data folder. The answer is the rows of the last one; NULL is `None`. `kind` is the name of the file
/// that SQLite has for the agenda.
pub fn rows(data_dir: &Path, kind: &str, statements: &str) -> Vec<Vec<Option<String>>> {
    if is_postgres() {
        let schema = if kind == "corrida.db" { "corrida" } else { "sctec" };
        with(data_dir, |database| database.rows(&format!("SET search_path = {schema};\n{statements}"))).unwrap()
    } else {
        of_file(&data_dir.join(kind), statements)
    }
}

/// The same in a file of SQLite.
pub fn of_file(file: &Path, statements: &str) -> Vec<Vec<Option<String>>> {
    let database = rusqlite::Connection::open(file).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    let mut batch = rusqlite::Batch::new(&database, statements);
    let mut found = Vec::new();
    while let Some(mut statement) = batch.next().unwrap() {
        let columns = statement.column_count();
        let mut rows = statement.query(()).unwrap();
        found.clear();
        while let Some(row) = rows.next().unwrap() {
            let cell = |nth| match row.get(nth).unwrap() {
                rusqlite::types::Value::Null => None,
                rusqlite::types::Value::Integer(number) => Some(number.to_string()),
                rusqlite::types::Value::Real(number) => Some(number.to_string()),
                rusqlite::types::Value::Text(text) => Some(text),
                rusqlite::types::Value::Blob(bytes) => panic!("bytes are not read as text: {bytes:?}"),
            };
            found.push((0..columns).map(cell).collect());
        }
    }
    found
}

/// The databases by their data folders.
static DATABASES: LazyLock<Mutex<HashMap<PathBuf, Folder>>> = LazyLock::new(Mutex::default);

/// Uses the database of a data folder, which is made when it is first asked for.
fn with<T>(data_dir: &Path, run: impl FnOnce(&Database) -> T) -> T {
    let mut databases = DATABASES.lock().unwrap_or_else(PoisonError::into_inner);
    // Those of tests that have ended: their folders are gone.
    databases.retain(|path, folder| {
        let is_there = path.exists();
        let was_there = std::mem::replace(&mut folder.was_there, is_there);
        is_there || !was_there
    });
    let new = || Folder { database: Database::create(), was_there: false };
    run(&databases.entry(data_dir.to_owned()).or_insert_with(new).database)
}

/// Has a tool use the database of the data folder that its arguments name, if a scheduler has one for that folder.
pub fn choose_for_tool(command: &mut Command) {
    let args: Vec<OsString> = command.get_args().map(OsStr::to_owned).collect();
    let has = |wanted: &str| args.iter().any(|arg| arg == wanted);
    let folder = args.iter().position(|arg| arg == "--data-dir").and_then(|nth| args.get(nth + 1)).map(PathBuf::from);
    let uses = has("token") || has("audit") && has("--verify");
    if let Some(folder) = folder.filter(|_| is_postgres() && uses && !has("--store")) {
        let is_known = DATABASES.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&folder);
        if is_known {
            choose(command, &folder);
        }
    }
}

/// What is known of a data folder.
struct Folder {
    database: Database,
    /// Whether it was there when it was last looked at. A service makes its folder if it is missing.
    was_there: bool,
}
