//! Checks, while the service works, that every page can be read.
//!
//! Reading all of a large database takes minutes, and a start must not wait for that. So a start reads only both ends of
//! every tree of pages. After a stop that left no mark (`stopped`), a thread reads all pages. It reads some thousand entries
//! at a time, each time in a new transaction: a long transaction would keep the write-ahead log from being folded back.
//! After each read the thread pauses for as long as the read took.
//!
//! Only the structure is checked. Whether the rows agree with each other is checked by `deep`.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params_from_iter};
use slog::{Logger, error, info};

use super::connect;
use super::damage::Damage;
use super::stopped::InUse;

/// Entries read at a time.
const AT_ONCE: usize = 2000;
/// The pause after an attempt that found the database busy.
const BUSY_PAUSE: Duration = Duration::from_millis(500);

/// One tree of pages: a table or an index, and the columns by which its entries are ordered.
struct Tree {
    from: &'static str,
    keys: &'static [&'static str],
    condition: &'static str,
}

const fn tree(from: &'static str, keys: &'static [&'static str]) -> Tree {
    Tree { from, keys, condition: "TRUE" }
}

const TREES: [Tree; 28] = [
    tree("telescopios NOT INDEXED", &["id"]),
    tree("cientistas NOT INDEXED", &["id"]),
    tree("trilha NOT INDEXED", &["id"]),
    tree("resumo NOT INDEXED", &["id"]),
    tree("agendamentos NOT INDEXED", &["id"]),
    tree(
        "agendamentos INDEXED BY agendamentos_por_cientista",
        &["cientista_id", "telescopio_id", "status", "inicio_us", "id"],
    ),
    tree("agendamentos INDEXED BY agendamentos_por_telescopio", &["telescopio_id", "status", "inicio_us", "id"]),
    Tree {
        from: "agendamentos INDEXED BY agendamentos_por_proposta",
        keys: &["proposta_id", "telescopio_id", "status", "inicio_us", "fim_us", "id"],
        condition: "proposta_id IS NOT NULL",
    },
    tree("propostas NOT INDEXED", &["id"]),
    tree("manutencoes NOT INDEXED", &["id"]),
    Tree {
        from: "manutencoes INDEXED BY manutencoes_por_telescopio",
        keys: &["telescopio_id", "ultimo_fim_us", "id"],
        condition: "removida_us IS NULL",
    },
    Tree {
        from: "manutencoes INDEXED BY manutencoes_retiradas",
        keys: &["telescopio_id", "removida_us", "id"],
        condition: "removida_us IS NOT NULL",
    },
    tree("respostas NOT INDEXED", &["id"]),
    tree("respostas INDEXED BY respostas_por_chave", &["chave"]),
    tree("respostas INDEXED BY respostas_por_autor", &["autor", "ordem"]),
    tree("respostas INDEXED BY respostas_por_idade", &["guardada_us", "id"]),
    tree("horarios", &["telescopio_id", "inicio_us"]),
    tree("chaves_de_hora NOT INDEXED", &["id"]),
    tree("chaves_de_hora INDEXED BY chaves_de_hora_por_publica", &["publica"]),
    tree("esperas NOT INDEXED", &["id"]),
    Tree {
        from: "esperas INDEXED BY esperas_abertas",
        keys: &["telescopio_id", "inicio_us", "cientista_id"],
        condition: "status = 'AGUARDANDO'",
    },
    Tree {
        from: "esperas INDEXED BY esperas_atendidas",
        keys: &["agendamento_id"],
        condition: "agendamento_id IS NOT NULL",
    },
    tree("esperas INDEXED BY esperas_por_cientista", &["cientista_id", "id"]),
    tree("esperas INDEXED BY esperas_por_telescopio", &["telescopio_id", "id"]),
    tree("esperas INDEXED BY esperas_por_status", &["status", "id"]),
    tree("auditoria NOT INDEXED", &["seq"]),
    // The records without a booking, then the records with one.
    Tree { from: BY_BOOKING, keys: &["seq"], condition: "agendamento_id IS NULL" },
    Tree { from: BY_BOOKING, keys: &["agendamento_id", "seq"], condition: "agendamento_id IS NOT NULL" },
];
const BY_BOOKING: &str = "auditoria INDEXED BY auditoria_por_agendamento";

impl Tree {
    /// The statement that finds the entry [`AT_ONCE`] places after the one in the parameters, or after the beginning.
    fn next(&self, goes_on: bool) -> String {
        let Self { from, keys, condition } = self;
        let keys_text = keys.join(", ");
        let parameters: Vec<String> = (1..=keys.len()).map(|nth| format!("?{nth}")).collect();
        let after = if goes_on { format!("({keys_text}) > ({})", parameters.join(", ")) } else { "TRUE".to_owned() };
        let offset = AT_ONCE - 1;
        format!(
            "SELECT {keys_text} FROM {from} WHERE {condition} AND {after} ORDER BY {keys_text} LIMIT 1 OFFSET {offset}"
        )
    }

    /// The statement that finds the first entry, or the last.
    fn end(&self, order: &str) -> String {
        let Self { from, keys, condition } = self;
        let by: Vec<String> = keys.iter().map(|key| format!("{key} {order}")).collect();
        format!("SELECT {} FROM {from} WHERE {condition} ORDER BY {} LIMIT 1", keys.join(", "), by.join(", "))
    }

    /// Reads on after the entry `after`; returns the last entry that it reached, or `None` at the end.
    fn read(&self, connection: &Connection, after: Option<&[Value]>) -> rusqlite::Result<Option<Vec<Value>>> {
        let mut statement = connection.prepare_cached(&self.next(after.is_some()))?;
        let place = |row: &rusqlite::Row<'_>| (0..self.keys.len()).map(|nth| row.get(nth)).collect();
        statement.query_row(params_from_iter(after.unwrap_or_default()), place).optional()
    }
}

/// Reads both ends of every tree. This is fast for a database of any size.
pub fn look_at_ends(connection: &Connection) -> rusqlite::Result<()> {
    for tree in &TREES {
        for order in ["ASC", "DESC"] {
            connection.query_row(&tree.end(order), (), |_| Ok(())).optional()?;
        }
    }
    Ok(())
}

/// The thread that reads all pages. Dropping it stops the thread.
pub struct Check {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    progress: Progress,
}

/// The thread's progress until its end.
///
/// A std lock around a small value: held to read or to replace it.
type Progress = Arc<Mutex<Option<String>>>;

impl Check {
    /// No check of all pages is needed.
    pub fn none() -> Self {
        Self { stop: None, thread: None, progress: Progress::default() }
    }

    /// Starts the thread.
    pub fn start(path: &Path, in_use: InUse, damage: Damage, log: &Logger) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let progress = Progress::default();
        let walk = Walk {
            connection: None,
            path: path.to_owned(),
            damage,
            stopped,
            progress: Arc::clone(&progress),
            log: log.clone(),
            in_use,
        };
        let thread = std::thread::Builder::new().name("pages".to_owned()).spawn(move || walk.run())?;
        Ok(Self { stop: Some(stop), thread: Some(thread), progress })
    }

    /// The progress, until the thread is at its end.
    pub fn progress(&self) -> Option<String> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic was printed by the thread itself.
            let _ = thread.join();
        }
    }
}

struct Walk {
    /// Closed before `in_use` is dropped.
    connection: Option<Connection>,
    path: std::path::PathBuf,
    damage: Damage,
    stopped: mpsc::Receiver<()>,
    progress: Progress,
    log: Logger,
    in_use: InUse,
}

/// The thread was told to stop.
struct Stopped;

impl Walk {
    fn run(mut self) {
        let begun = Instant::now();
        match self.walk() {
            Err(Stopped) => {}
            Ok(Ok(())) => {
                self.tell(None);
                self.in_use.is_sound();
                info!(self.log, "Páginas do banco conferidas"; "ms" => begun.elapsed().as_millis());
            }
            Ok(Err(error)) => {
                self.damage.look_at(&error);
                self.tell(Some(format!("não foi possível conferir as páginas do banco: {error}")));
                error!(self.log, "Conferência das páginas do banco: {}", error);
            }
        }
    }

    fn walk(&mut self) -> Result<rusqlite::Result<()>, Stopped> {
        let connection = match connect::open_for_reading(&self.path) {
            Ok(connection) => self.connection.insert(connection),
            Err(error) => return Ok(Err(error)),
        };
        // SQLite then checks each page that it reads more strictly.
        if let Err(error) = connection.pragma_update(None, "cell_size_check", "ON") {
            return Ok(Err(error));
        }
        for (nth, tree) in TREES.iter().enumerate() {
            let part = format!("parte {} de {}", nth + 1, TREES.len());
            self.tell(Some(format!("conferindo as páginas do banco depois de uma parada sem aviso: {part}")));
            let mut place: Option<Vec<Value>> = None;
            loop {
                let begun = Instant::now();
                let read = self.connection.as_ref().map(|connection| tree.read(connection, place.as_deref()));
                let pause = match read {
                    None | Some(Ok(None)) => break,
                    Some(Ok(next)) => {
                        place = next;
                        begun.elapsed()
                    }
                    Some(Err(error)) if is_busy(&error) => BUSY_PAUSE,
                    Some(Err(error)) => return Ok(Err(error)),
                };
                self.rest(pause)?;
            }
            self.rest(Duration::ZERO)?;
        }
        Ok(Ok(()))
    }

    fn rest(&self, pause: Duration) -> Result<(), Stopped> {
        match self.stopped.recv_timeout(pause) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(Stopped),
        }
    }

    fn tell(&self, progress: Option<String>) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

#[cfg(test)]
mod tests {
    use slog::{Discard, o};

    use super::*;
    use crate::store::sqlite::open_error::DatabaseKind;
    use crate::store::sqlite::schema;

    #[test]
    fn every_tree_is_walked_through_in_the_order_of_its_index() {
        let folder = tempfile::tempdir().unwrap();
        let (connection, _) = schema::open_for_writing(&folder.path().join("sctec.db"), DatabaseKind::Agenda).unwrap();
        let mut trees: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_master WHERE type IN ('table', 'index') AND name NOT LIKE 'sqlite_%'")
            .unwrap()
            .query_map((), |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for tree in &TREES {
            trees.retain(|name| *name != tree.from.split(' ').next_back().unwrap() && !tree.from.starts_with(&**name));
            for goes_on in [false, true] {
                let sql = format!("EXPLAIN QUERY PLAN {}", tree.next(goes_on));
                let mut statement = connection.prepare(&sql).unwrap();
                let unbound: Vec<Option<i64>> = vec![None; statement.parameter_count()];
                let plan = statement.query_map(params_from_iter(unbound), |row| row.get::<_, String>(3)).unwrap();
                let plan: Vec<String> = plan.map(Result::unwrap).collect();
                assert!(plan.iter().all(|step| !step.contains("TEMP B-TREE")), "{plan:?}");
                assert!(!goes_on || plan.iter().all(|step| step.starts_with("SEARCH")), "{plan:?}");
            }
        }
        assert!(trees.is_empty(), "no walk reads {trees:?}");
    }

    #[test]
    fn a_page_that_cannot_be_read_is_found_and_a_sound_database_is_marked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sctec.db");
        let (connection, _) = schema::open_for_writing(&path, DatabaseKind::Agenda).unwrap();
        connection
            .execute_batch(
                "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000)
                 INSERT INTO auditoria (seq, linha) SELECT n, json_object('details', json_object('agendamento_id', n)) FROM n;
                 PRAGMA wal_checkpoint(TRUNCATE)",
            )
            .unwrap();
        drop(connection);
        let log = Logger::root(Discard, o!());
        let walk = |damage: &Damage| {
            let (in_use, clean) = InUse::begin(&path, damage.clone());
            let mut check = Check::start(&path, in_use, damage.clone(), &log).unwrap();
            check.thread.take().unwrap().join().unwrap();
            (clean, check.progress())
        };
        let damage = Damage::default();
        assert_eq!(walk(&damage), (false, None));
        assert!(walk(&damage).0, "it was marked");
        assert!(!damage.is_found());

        // A page in the middle of a tree, which a start does not read.
        let connection = Connection::open(&path).unwrap();
        let sql =
            "SELECT pageno FROM dbstat WHERE name = 'auditoria' AND pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET 20";
        let page: u32 = connection.query_row(sql, (), |row| row.get(0)).unwrap();
        drop(connection);
        let page = page as usize;
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[(page - 1) * 4096..page * 4096].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        look_at_ends(&connect::open_for_reading(&path).unwrap()).unwrap();
        let (clean, progress) = walk(&damage);
        assert!(!clean && progress.is_some() && damage.is_found());
        assert!(!walk(&Damage::default()).0, "it was not marked");
    }
}
