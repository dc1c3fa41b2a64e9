//! Both services on one folder, for tests of bookings.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use super::asked::Asked;
use super::executable::{coordinator_command, scheduler_command};
use super::requests::{Answer, http, http_with};
use super::server::Server;
use super::storage;
use super::wait::wait_until;

/// A coordinator and a scheduler, each a process of its own, on one folder.
pub struct Services {
    pub scheduler: Server,
    pub coordinator: Server,
    folder: TempDir,
}

impl Services {
    /// Starts both; `args` are the scheduler's.
    pub fn start(args: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), args)
    }

    /// The same on a folder that is there.
    pub fn start_in(folder: TempDir, args: &[&str]) -> Self {
        let coordinator = Server::spawn(&mut coordinator_command(folder.path(), "127.0.0.1:0"), 1);
        let scheduler = Server::spawn(scheduler_command(folder.path(), &coordinator.url()).args(args), 1);
        Self { scheduler, coordinator, folder }
    }

    /// Both, started by someone else.
    pub fn of(scheduler: Server, coordinator: Server, folder: TempDir) -> Self {
        Self { scheduler, coordinator, folder }
    }

    /// Stops both cleanly and gives the folder back.
    pub fn stop(mut self) -> TempDir {
        assert_eq!(self.scheduler.terminate(), Some(0));
        assert_eq!(self.coordinator.terminate(), Some(0));
        self.folder
    }

    /// Starts the scheduler again, on another port.
    pub fn restart_scheduler(&mut self, args: &[&str]) {
        self.scheduler = Server::spawn(scheduler_command(self.folder.path(), &self.coordinator.url()).args(args), 1);
    }

    /// One more scheduler, on the same folder and coordinator.
    pub fn another_scheduler(&self, args: &[&str]) -> Server {
        Server::spawn(scheduler_command(self.folder.path(), &self.coordinator.url()).args(args), 1)
    }

    /// Starts the coordinator again, on the port it had, without a grace.
    pub fn restart_coordinator(&mut self) {
        let address = self.coordinator.url()["http://".len()..].to_owned();
        let mut command = coordinator_command(self.folder.path(), &address);
        self.coordinator = Server::spawn(command.args(["--grace", "0"]), 1);
    }

    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    pub fn agenda(&self, path: &str) -> String {
        format!("{}{path}", self.scheduler.url())
    }

    pub fn agenda_address(&self) -> String {
        self.scheduler.url()["http://".len()..].to_owned()
    }

    pub fn locks(&self, path: &str) -> String {
        format!("{}{path}", self.coordinator.url())
    }

    /// Books one slot of the default telescope.
    pub fn book(&self, scientist: i64, start: &str) -> (u16, Value) {
        self.book_as(&Asked::by(scientist, start))
    }

    /// Books what is asked for.
    pub fn book_as(&self, asked: &Asked) -> (u16, Value) {
        self.book_with(asked.body())
    }

    /// Books with all that `body` says.
    pub fn book_with(&self, body: &Value) -> (u16, Value) {
        let answer = http("POST", &self.agenda("/agendamentos"), Some(("application/json", &body.to_string())));
        (answer.status, answer.json())
    }

    /// The link `rel` of an answer, done as it says.
    pub fn follow(&self, answer: &Value, rel: &str) -> Answer {
        let link = &answer["_links"][rel];
        let href = link["href"].as_str().unwrap_or_else(|| panic!("no link {rel} in {answer}"));
        http(link["method"].as_str().unwrap_or("GET"), &self.agenda(href), None)
    }

    /// All the bookings that a query lists, page by page.
    pub fn list(&self, query: &str) -> Vec<Value> {
        let mut page = http("GET", &self.agenda(&format!("/agendamentos{query}")), None).json();
        let mut all = page["agendamentos"].as_array().expect("a list").clone();
        while page["_links"]["proxima"].is_object() {
            page = self.follow(&page, "proxima").json();
            all.extend(page["agendamentos"].as_array().unwrap().iter().cloned());
        }
        all
    }

    /// The lines of a log that contain `text`, once the log has caught up with what was answered.
    pub fn log_lines(&self, file: &str, text: &str) -> Vec<String> {
        // A line is written before or soon after its answer: one more request's line means all earlier ones are there.
        let id = format!("marca-{:?}", Instant::now()).replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let id = &id[id.len().saturating_sub(60)..];
        let probe = if file == "app.log" {
            http_with("GET", &self.agenda("/time"), None, &[("X-Request-Id", id)])
        } else {
            http_with(
                "POST",
                &self.locks("/unlock"),
                Some(("application/json", r#"{"recurso":"marca"}"#)),
                &[("X-Request-Id", id)],
            )
        };
        assert_eq!(probe.status, 200);
        self.wait_for_log(file, |lines| lines.iter().any(|line| line.contains(id)));
        self.read_log(file).into_iter().filter(|line| line.contains(text)).collect()
    }

    /// Waits until the log's lines satisfy `condition`.
    pub fn wait_for_log(&self, file: &str, condition: impl Fn(&[String]) -> bool) {
        wait_until(&format!("{file} says so"), || condition(&self.read_log(file)));
    }

    pub fn read_log(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How many rows `sql` counts in the database.
    pub fn count(&self, sql: &str) -> usize {
        count(&self.folder.path().join("sctec.db"), sql)
    }

    /// Runs statements in the database, as somebody does with SQL. They are ones that every database takes.
    pub fn sql(&self, statements: &str) {
        storage::rows(self.folder.path(), "sctec.db", statements);
    }
}

/// How many rows `sql` counts. The database is named by the file that SQLite has for it.
pub fn count(database: &Path, sql: &str) -> usize {
    let (folder, file) = (database.parent().unwrap(), database.file_name().and_then(OsStr::to_str).unwrap());
    let rows = storage::rows(folder, file, sql);
    rows[0][0].as_ref().expect("a number").parse().unwrap()
}

/// Takes the telescopes' rules, and what came after them, out of a database, as one of an older version has it. `version` is its
/// `user_version`.
pub fn without_rules(database: &rusqlite::Connection, version: i64) {
    database
        .execute_batch("DROP INDEX agendamentos_por_proposta; ALTER TABLE agendamentos DROP COLUMN proposta_id")
        .unwrap();
    database
        .execute_batch("DROP TABLE esperas; DROP TABLE propostas; DROP TABLE manutencoes; DROP TABLE respostas; DROP TABLE chaves_de_hora")
        .unwrap();
    for (table, column) in [("telescopios", "ativo"), ("cientistas", "ativo"), ("resumo", "catalogo")] {
        for trigger in ["criar", "mudar", "apagar"] {
            database.execute_batch(&format!("DROP TRIGGER IF EXISTS {table}_ao_{trigger}")).unwrap();
        }
        database.execute_batch(&format!("ALTER TABLE {table} DROP COLUMN {column}")).unwrap();
    }
    for column in [
        "duracao_max_min",
        "antecedencia_min_min",
        "cancelamento_min_min",
        "horizonte_dias",
        "abre_as_min",
        "cota_ativas",
        "cota_dia_min",
        "horas",
        "exige_proposta",
        "disputa",
    ] {
        database.execute_batch(&format!("ALTER TABLE telescopios DROP COLUMN {column}")).unwrap();
    }
    for column in ["versao", "alterado_us", "carimbo_us", "disputado"] {
        database.execute_batch(&format!("ALTER TABLE agendamentos DROP COLUMN {column}")).unwrap();
    }
    database.execute_batch("ALTER TABLE horarios DROP COLUMN abre_us").unwrap();
    without_bookings_of_records(database);
    database.pragma_update(None, "user_version", version).unwrap();
}

/// Takes the column of the bookings of the trail's records, and its index, out of a database.
pub fn without_bookings_of_records(database: &rusqlite::Connection) {
    database
        .execute_batch("DROP INDEX auditoria_por_agendamento; ALTER TABLE auditoria DROP COLUMN agendamento_id")
        .unwrap();
}
