//! The real executable as a test's counterpart: started on a free port, found by what it prints, killed on drop.

// Each file in `tests/` is a crate of its own and uses its own part of this.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// How long a server may take to say where it listens.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// What stands before the URL in the line that says so: `INFO:INSTANT:SERVICE:escutando em http://ADDRESS`.
const LISTENING: &str = ":escutando em ";

/// The executable, without the `SCTEC_…` variables and proxies of whoever runs the tests.
pub fn sctec() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sctec"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SCTEC_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the executable to its end.
pub fn run(args: &[&str]) -> Output {
    sctec().args(args).output().unwrap()
}

/// A running server; dropping it kills it.
pub struct Server {
    child: Child,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
    /// Service and URL of each listener, in the order they were announced.
    listeners: Vec<(String, String)>,
    /// The data folder, where the arguments named none.
    data_dir: Option<TempDir>,
}

/// Lines that a thread reads and a test looks at.
#[derive(Default)]
struct Lines {
    state: Mutex<LinesState>,
    changed: Condvar,
}

#[derive(Default)]
struct LinesState {
    lines: Vec<String>,
    ended: bool,
}

impl Server {
    /// Starts `sctec ARGS` and waits until it listens, at both addresses if `ARGS` starts with `serve-all`. Ports
    /// should be 0. Without `--data-dir` it gets a folder of its own.
    pub fn start(args: &[&str]) -> Self {
        let mut command = sctec();
        command.args(args);
        let data_dir = (!args.iter().any(|arg| arg.starts_with("--data-dir"))).then(|| {
            let dir = TempDir::new().unwrap();
            command.arg("--data-dir").arg(dir.path());
            dir
        });
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        // From here on a panic drops the server, and so kills the child.
        let mut server = Self { child, stdout, stderr, listeners: Vec::new(), data_dir };
        let expected = if args.first() == Some(&"serve-all") { 2 } else { 1 };
        server.stdout.wait(START_TIMEOUT, |lines| lines.iter().filter_map(|line| listener(line)).count() >= expected);
        server.listeners = server.lines().iter().filter_map(|line| listener(line)).collect();
        assert!(
            server.listeners.len() >= expected,
            "sctec {args:?} does not listen; stdout: {:#?}, stderr: {:#?}",
            server.lines(),
            server.stderr.all()
        );
        server
    }

    /// The scheduler's URL, or of a coordinator alone, its URL. No slash at the end.
    pub fn url(&self) -> &str {
        let scheduler = self.listeners.iter().find(|(service, _)| service == "servico-agendamento");
        &scheduler.unwrap_or(&self.listeners[0]).1
    }

    /// The URL of a service, as `servico-coordenador`.
    pub fn url_of(&self, service: &str) -> &str {
        let found = self.listeners.iter().find(|(name, _)| name == service);
        &found.unwrap_or_else(|| panic!("no {service} in {:?}", self.listeners)).1
    }

    /// The folder that the server was given, unless the arguments named one.
    pub fn data_dir(&self) -> Option<&std::path::Path> {
        self.data_dir.as_ref().map(TempDir::path)
    }

    /// What the server has printed on stdout so far.
    pub fn lines(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// Waits until a line contains `text`, and gives the first such line.
    pub fn wait_for_line(&self, text: &str, timeout: Duration) -> Option<String> {
        self.stdout.wait(timeout, |lines| lines.iter().any(|line| line.contains(text)));
        self.lines().into_iter().find(|line| line.contains(text))
    }

    /// The process id, to send signals to.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process, to wait for its end.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lines {
    /// Reads `source` to its end in a thread, so that the writer never waits for the test.
    fn of(source: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let filled = Arc::clone(&lines);
        thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                filled.state.lock().unwrap().lines.push(String::from_utf8_lossy(&line).into_owned());
                filled.changed.notify_all();
            }
            filled.state.lock().unwrap().ended = true;
            filled.changed.notify_all();
        });
        lines
    }

    /// Waits until the lines are as wanted, there will be no more, or the time is over.
    fn wait(&self, timeout: Duration, wanted: impl Fn(&[String]) -> bool) {
        let state = self.state.lock().unwrap();
        let waiting = |state: &mut LinesState| !state.ended && !wanted(&state.lines);
        drop(self.changed.wait_timeout_while(state, timeout, waiting).unwrap());
    }

    fn all(&self) -> Vec<String> {
        self.state.lock().unwrap().lines.clone()
    }
}

/// The service and its URL, if `line` says that one listens. Other text may follow the URL.
fn listener(line: &str) -> Option<(String, String)> {
    let (head, tail) = line.split_once(LISTENING)?;
    let (_, service) = head.rsplit_once(':')?;
    let url = tail.split_whitespace().next().filter(|url| url.starts_with("http://"))?;
    Some((service.to_owned(), url.to_owned()))
}
