//! The real executable, on free ports and a folder of its own.

pub mod listener;
pub mod network;
pub mod peer;
pub mod pending;
pub mod podman;
pub mod trail;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The executable, deaf to the environment's own settings.
pub fn sctec() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sctec"));
    deaf(&mut command);
    command
}

/// Makes a command deaf to the environment's own settings.
pub fn deaf(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SCTEC_")) {
        command.env_remove(name);
    }
    command
}

/// Runs the executable to its end.
pub fn run(args: &[&str]) -> Output {
    sctec().args(args).output().expect("the executable starts")
}

/// Asks `condition` until it holds, and fails the test if it never does.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One running `sctec serve-…`, killed when dropped.
pub struct Server {
    /// Where it runs, and so where its data is unless it was told otherwise.
    _folder: TempDir,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts it and waits until every service in it listens.
    pub fn start(args: &[&str]) -> Self {
        Self::spawn(sctec().args(args), if args[0] == "serve-all" { 2 } else { 1 })
    }

    /// Starts `command` and waits until `services` of it listen.
    pub fn spawn(command: &mut Command, services: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child =
            command.current_dir(folder.path()).stdout(Stdio::piped()).spawn().expect("the executable starts");
        let stdout = child.stdout.take().expect("it is piped");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                sink.lock().unwrap().push(line);
            }
        });
        let mut server = Self { _folder: folder, child, lines };
        wait_until("the services listen", || {
            assert_eq!(server.child.try_wait().unwrap(), None, "the server ended: {:?}", server.lines());
            server.lines().iter().filter(|line| line.contains("escutando em http://")).count() >= services
        });
        server
    }

    /// Starts `command`, whose output nobody reads, and waits until `log` says that it listens.
    pub fn spawn_unread(command: &mut Command, log: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = command.current_dir(folder.path()).stdout(Stdio::null()).spawn().expect("the executable starts");
        let mut server = Self { _folder: folder, child, lines: Arc::default() };
        wait_until("the service listens", || {
            assert_eq!(server.child.try_wait().unwrap(), None, "the server ended");
            let text = std::fs::read_to_string(log).unwrap_or_default();
            // The last line may be half written.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            *server.lines.lock().unwrap() = whole.lines().map(str::to_owned).collect();
            whole.contains("escutando em http://")
        });
        server
    }

    /// What it printed so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The URL of its only service.
    pub fn url(&self) -> String {
        self.url_of("")
    }

    /// The URL of one of its services.
    pub fn url_of(&self, service: &str) -> String {
        let lines = self.lines();
        let line = lines.iter().find(|line| line.contains(service) && line.contains("escutando em http://")).unwrap();
        let address = line.split("http://").nth(1).unwrap();
        // In JSON a quotation mark follows.
        let end = address.find(|c: char| !matches!(c, '0'..='9' | '.' | ':')).unwrap_or(address.len());
        format!("http://{}", &address[..end])
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no goodbye.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit status.
    pub fn terminate(&mut self) -> Option<i32> {
        signal(self.child.id(), "TERM");
        let mut status = None;
        wait_until("the server ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by name.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// SIGSTOP, and waits until every thread has stopped: on a busy machine one may still answer meanwhile.
pub fn pause(pid: u32) {
    signal(pid, "STOP");
    let has_stopped = |stat: String| stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'));
    wait_until("it has stopped", || {
        let mut tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tasks.all(|task| std::fs::read_to_string(task.unwrap().path().join("stat")).is_ok_and(has_stopped))
    });
}

/// A coordinator by itself.
pub struct Locks {
    pub server: Server,
    pub folder: TempDir,
    args: Vec<String>,
    address: String,
}

impl Locks {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more arguments, then and when it is started again.
    pub fn start_with(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = "127.0.0.1:0".to_owned();
        let server = Server::spawn(coordinator_command(folder.path(), &address).args(args), 1);
        Self { server, folder, args: args.iter().map(|&arg| arg.to_owned()).collect(), address }
    }

    /// One that was started in some other way.
    pub fn of(server: Server, folder: TempDir) -> Self {
        Self { server, folder, args: Vec::new(), address: "127.0.0.1:0".to_owned() }
    }

    /// Lets it keep the address it has when it is started again, and says which.
    pub fn keep_address(&mut self) -> String {
        self.server.url()["http://".len()..].clone_into(&mut self.address);
        self.address.clone()
    }

    /// Starts it again with other arguments, for this once.
    pub fn restart_with(&mut self, args: &[&str]) {
        self.server = Server::spawn(coordinator_command(self.folder.path(), &self.address).args(args), 1);
    }

    pub fn restart(&mut self) {
        self.server = Server::spawn(coordinator_command(self.folder.path(), &self.address).args(&self.args), 1);
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url())
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = http("POST", &self.url(path), Some(("application/json", &body.to_string())));
        (answer.status, answer.json())
    }

    pub fn lock(&self, body: &Value) -> (u16, Value) {
        self.post("/lock", body)
    }

    pub fn unlock(&self, body: &Value) -> (u16, Value) {
        self.post("/unlock", body)
    }

    /// Its log as it is now.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("coordenador.log")).unwrap_or_default()
    }
}

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
        let body = json!({ "cientista_id": scientist, "horario_inicio_utc": start });
        self.book_with(&body)
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
}

/// How many rows `sql` counts.
pub fn count(database: &Path, sql: &str) -> usize {
    let count: i64 = rusqlite::Connection::open(database).unwrap().query_row(sql, (), |row| row.get(0)).unwrap();
    usize::try_from(count).unwrap()
}

pub fn coordinator_command(data_dir: &Path, listen: &str) -> Command {
    let mut command = sctec();
    command.args(["serve-coordinator", "--listen", listen, "--data-dir"]).arg(data_dir);
    command
}

pub fn scheduler_command(data_dir: &Path, coordinator: &str) -> Command {
    let mut command = sctec();
    command.args(["serve-scheduler", "--listen", "127.0.0.1:0", "--coordinator", coordinator, "--data-dir"]);
    command.arg(data_dir);
    command
}

/// A whole answer.
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// One request; `body` is its type and text.
pub fn http(method: &str, url: &str, body: Option<(&str, &str)>) -> Answer {
    http_with(method, url, body, &[])
}

/// One request of JSON that may find nobody there.
pub fn try_http(method: &str, url: &str, body: Option<&str>) -> Result<Answer, String> {
    request(method, url, body.map(|body| ("application/json", body)), &[])
}

/// One request with headers of its own.
pub fn http_with(method: &str, url: &str, body: Option<(&str, &str)>, headers: &[(&str, &str)]) -> Answer {
    request(method, url, body, headers).unwrap_or_else(|error| panic!("{method} {url}: {error}"))
}

fn request(method: &str, url: &str, body: Option<(&str, &str)>, headers: &[(&str, &str)]) -> Result<Answer, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .proxy(None)
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = match body {
        Some((content_type, text)) => {
            agent.run(request.header("Content-Type", content_type).body(text.to_owned()).unwrap())
        }
        None => agent.run(request.body(()).unwrap()),
    };
    let mut answer = answer.map_err(|error| error.to_string())?;
    let gzip = answer.headers().get("content-encoding").is_some_and(|coding| coding == "gzip");
    let mut bytes = answer.body_mut().as_reader();
    let mut text = String::new();
    let read = if gzip { GzDecoder::new(bytes).read_to_string(&mut text) } else { bytes.read_to_string(&mut text) };
    read.map_err(|error| error.to_string())?;
    let headers =
        answer.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
    Ok(Answer { status: answer.status().as_u16(), headers: headers.collect(), body: text })
}
