//! `sctec locks` against a real coordinator: the operator's view of it.

use std::io::Read;
use std::process::{Output, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::common::election::is_elective;
use crate::common::{Background, Server, coordinator_command, http, nobody, run, sctec, signal, wait_until};

/// The most resources of one lock.
const RESOURCES_MAX: usize = 288;

struct Coordinator {
    server: Server,
    folder: tempfile::TempDir,
}

impl Coordinator {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::spawn(&mut coordinator_command(folder.path(), "127.0.0.1:0"), 1);
        Self { server, folder }
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.server.url());
        let answer = http("POST", &url, Some(("application/json", &body.to_string())));
        (answer.status, answer.json())
    }

    /// Locks for longer than any test takes.
    fn lock(&self, mut body: Value) -> Value {
        body["ttl_ms"] = json!(300_000);
        let (status, lease) = self.post("/lock", &body);
        assert_eq!(status, 200, "{lease}");
        lease
    }

    fn locks(&self, more: &[&str]) -> Output {
        run(&[&["locks", "--coordinator", &self.server.url()], more].concat())
    }

    fn estado(&self, resource: &str) -> Value {
        http("GET", &format!("{}/locks/{resource}", self.server.url()), None).json()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[track_caller]
fn shown(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn only_json(output: &Output) -> Value {
    let stdout = shown(output);
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    serde_json::from_str(stdout).unwrap()
}

/// The cells of the row whose resource is `name`.
#[track_caller]
fn row<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let rows = table.lines().filter(|line| line.starts_with('│'));
    let mut cells = rows.map(|row| row.split(['│', '┆']).map(str::trim).skip(1).take(6).collect::<Vec<_>>());
    cells.find(|cells| cells[0] == name).unwrap_or_else(|| panic!("no row {name} in {table}"))
}

#[track_caller]
fn assert_cannot_run(output: &Output, advice: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
    for words in advice {
        assert!(stderr.contains(words), "{words} in {stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// A `locks --watch` in the background, killed when dropped.
struct Watch(Background);

impl Watch {
    fn start(url: &str, more: &[&str]) -> Self {
        let mut command = sctec();
        command.args(["locks", "--watch", "--interval-ms", "20", "--url", url]).args(more);
        Self(Background::spawn(&mut command))
    }

    fn wait_for(&self, what: &str, condition: impl Fn(&[String], &[String]) -> bool) {
        wait_until(what, || condition(&self.0.out.lock().unwrap(), &self.0.err.lock().unwrap()));
    }

    /// Ends it as Ctrl-C does, but by SIGTERM: a shell starts background processes with SIGINT ignored.
    fn interrupt(mut self) {
        signal(self.0.child.id(), "TERM");
        self.0.status();
    }
}

#[test]
fn nothing_is_locked_at_first() {
    let coordinator = Coordinator::start();
    assert_eq!(shown(&coordinator.locks(&[])), "nothing is locked\n");
    assert_eq!(only_json(&coordinator.locks(&["--json"])), json!({"travas": []}));
}

#[test]
fn each_lock_has_its_state_its_owner_its_token_and_its_queue() {
    let coordinator = Coordinator::start();
    let held = coordinator.lock(json!({"recurso": "held", "dono": "writer-1"}));
    let retained = coordinator.lock(json!({"recurso": "retained"}));
    let released = coordinator.post("/unlock", &json!({"trava_id": retained["trava_id"], "retencao_ms": 60_000}));
    assert_eq!(released, (200, json!({"liberado": true})));
    // One request waits for a held resource and a free one: the free one is promised.
    let wait = json!({"recursos": ["held", "promised"], "dono": "writer-2", "ttl_ms": 300_000, "espera_ms": 60_000});
    thread::scope(|scope| {
        let waiter = scope.spawn(|| coordinator.post("/lock", &wait));
        wait_until("it waits", || coordinator.estado("promised")["fila"] == 1);

        let output = coordinator.locks(&[]);
        let table = shown(&output);
        let cells = row(table, "held");
        assert_eq!((&cells[1..3], cells[5]), (&["held", "writer-1"][..], "1"), "{table}");
        assert_eq!(cells[3], held["token"].to_string());
        assert!(cells[4].starts_with("4 min ") && cells[4].ends_with(" s"), "{table}");
        let cells = row(table, "retained");
        assert_eq!((cells[1], cells[5]), ("retained", "0"), "{table}");
        assert!(cells[4].ends_with(" s"), "{table}");
        let cells = row(table, "promised");
        assert_eq!((cells[1], cells[5]), ("promised", "1"), "{table}");
        assert_eq!(table.lines().last(), Some("1 locked, 1 retained, 1 promised, 2 waiting"));
        assert!(!table.contains('\x1b') && !table.contains(held["trava_id"].as_str().unwrap()), "{table}");

        let listed = only_json(&coordinator.locks(&["--json"]));
        let url = format!("{}/locks", coordinator.server.url());
        let (mine, theirs) = (&listed["travas"], &http("GET", &url, None).json()["travas"]);
        let members = |lock: &Value| lock.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(mine.as_array().unwrap().len(), 3);
        for (mine, theirs) in mine.as_array().unwrap().iter().zip(theirs.as_array().unwrap()) {
            assert_eq!((members(mine), &mine["recurso"]), (members(theirs), &theirs["recurso"]));
        }

        // The release of the held resource gives the waiter both.
        assert_eq!(coordinator.post("/unlock", &json!({"trava_id": held["trava_id"]})).0, 200);
        let (status, lease) = waiter.join().unwrap();
        assert_eq!((status, &lease["dono"]), (200, &json!("writer-2")), "{lease}");
    });
}

#[test]
fn a_prefix_is_taken_literally() {
    let coordinator = Coordinator::start();
    let names = ["a/1", "a/2 \"x\" & ç=%2F+", "b", "望遠鏡"];
    coordinator.lock(json!({ "recursos": names }));
    for (prefix, expected) in
        [("a/", &names[..2]), ("a/2 \"x\" & ç=%2F+", &names[1..2]), ("望", &names[3..]), ("%", &[]), ("a%2F", &[])]
    {
        let listed = only_json(&coordinator.locks(&["--json", "--prefix", prefix]));
        let found: Vec<&str> =
            listed["travas"].as_array().unwrap().iter().map(|lock| lock["recurso"].as_str().unwrap()).collect();
        assert_eq!(found, expected, "{prefix}");
    }
    // An empty prefix is most often a variable that is not set: it would list all locks.
    assert_cannot_run(&coordinator.locks(&["--prefix", ""]), &["--prefix"]);
    let output = coordinator.locks(&["--prefix", "a/2"]);
    assert_eq!(row(shown(&output), names[1])[1], "held");
    assert_eq!(shown(&coordinator.locks(&["--prefix", "%"])), "nothing is locked\n");
}

#[test]
fn all_pages_are_shown_and_no_more_than_asked_for() {
    let coordinator = Coordinator::start();
    // More locks than the largest page has.
    let count = 4 * RESOURCES_MAX;
    let names: Vec<String> = (0..count).map(|number| format!("r{number:05}")).collect();
    for some in names.chunks(RESOURCES_MAX) {
        coordinator.lock(json!({ "recursos": some }));
    }
    let listed = only_json(&coordinator.locks(&["--json"]));
    let found: Vec<&str> =
        listed["travas"].as_array().unwrap().iter().map(|lock| lock["recurso"].as_str().unwrap()).collect();
    assert_eq!(found, names);
    let output = coordinator.locks(&[]);
    assert_eq!(shown(&output).lines().last(), Some(format!("{count} locked, 0 retained, 0 waiting").as_str()));
    let output = coordinator.locks(&["--limit", "1001"]);
    let table = shown(&output);
    assert_eq!(row(table, "r01000")[1], "held");
    assert!(!table.contains("r01001"));
    let last = "1001 locked, 0 retained, 0 waiting; there are more than --limit shows";
    assert_eq!(table.lines().last(), Some(last));
}

#[test]
fn a_watch_shows_what_changes_and_outlives_its_coordinator() {
    let mut coordinator = Coordinator::start();
    let url = coordinator.server.url();
    let watch = Watch::start(&url, &[]);
    let said = |lines: &[String], text: &str| lines.iter().filter(|line| line.contains(text)).count();
    watch.wait_for("two empty looks", |out, _| said(out, "nothing is locked") >= 2);
    coordinator.lock(json!({"recurso": "X"}));
    watch.wait_for("two looks with X", |out, _| said(out, "1 locked, 0 retained, 0 waiting") >= 2);

    assert_eq!(coordinator.server.terminate(), Some(0));
    // An elected coordinator that stops may still say that it is not elected any more: that is one line more.
    let may_be_more = usize::from(is_elective());
    watch.wait_for("it says so", |_, err| {
        said(err, "cannot reach") == 1 && (1..=1 + may_be_more).contains(&said(err, "trying again"))
    });
    let before = said(&watch.0.out.lock().unwrap(), "nothing is locked");
    let command = &mut coordinator_command(coordinator.folder.path(), &url["http://".len()..]);
    coordinator.server = Server::spawn(command, 1);
    watch.wait_for("it shows again", |out, _| said(out, "nothing is locked") > before);
    // A coordinator that has begun, and is not elected yet, says so: that is another line.
    let told = said(&watch.0.err.lock().unwrap(), "sctec:");
    assert!((1..=1 + 2 * may_be_more).contains(&told), "{told}");
    assert!(watch.0.out.lock().unwrap().iter().all(|line| !line.contains('\x1b')));
    watch.interrupt();
}

#[test]
fn a_watch_as_json_is_one_object_per_look() {
    let coordinator = Coordinator::start();
    let watch = Watch::start(&coordinator.server.url(), &["--json", "--prefix", "X"]);
    watch.wait_for("two looks", |out, _| out.len() >= 2);
    coordinator.lock(json!({"recurso": "X"}));
    coordinator.lock(json!({"recurso": "Y"}));
    let parsed = |line: &String| serde_json::from_str::<Value>(line).unwrap();
    watch.wait_for("X is shown", |out, _| out.last().is_some_and(|line| parsed(line)["travas"][0]["recurso"] == "X"));
    for line in watch.0.out.lock().unwrap().iter() {
        assert!(parsed(line)["travas"].as_array().unwrap().len() <= 1, "{line}");
    }
}

#[test]
fn a_watch_ends_when_its_reader_has_gone() {
    let coordinator = Coordinator::start();
    let mut watch = sctec();
    watch.args(["locks", "--watch", "--interval-ms", "10", "--url", &coordinator.server.url()]);
    let mut watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(watch.stdout.take());
    let mut status = None;
    wait_until("the watch ends", || {
        status = watch.try_wait().unwrap();
        status.is_some()
    });
    let mut stderr = String::new();
    watch.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((status.unwrap().code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_release_takes_the_whole_lock_and_says_what_it_took() {
    let coordinator = Coordinator::start();
    let names = ["a/1 \"ç\"", "望遠鏡"];
    let lease = coordinator.lock(json!({"recursos": names, "dono": "writer \"1\""}));
    let output = coordinator.locks(&["--release", names[1], "--reason", "o dono sumiu"]);
    let said = shown(&output);
    for expected in [names[0], names[1], "was held", "writer \"1\"", &format!("token {}", lease["token"])] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    assert_eq!(shown(&coordinator.locks(&[])), "nothing is locked\n");
    let (status, late) = coordinator.post("/unlock", &json!({"trava_id": lease["trava_id"]}));
    assert_eq!((status, late), (200, json!({"liberado": false, "motivo": "forcado"})));

    for (more, stdout) in [(&[][..], "is free"), (&["--json"], "\"codigo\":\"sem_trava\"")] {
        let again = coordinator.locks(&[&["--release", names[0]], more].concat());
        assert_eq!(again.status.code(), Some(1), "{}", text(&again.stderr));
        assert!(text(&again.stdout).contains(stdout), "{}", text(&again.stdout));
    }
    coordinator.lock(json!({"recurso": "a/1"}));
    let released = only_json(&coordinator.locks(&["--json", "--release", "a/1"]));
    assert_eq!((&released["recursos"], &released["estado_anterior"]), (&json!(["a/1"]), &json!("travado")));
}

#[test]
fn a_retention_can_be_released_too() {
    let coordinator = Coordinator::start();
    let lease = coordinator.lock(json!({"recurso": "X"}));
    coordinator.post("/unlock", &json!({"trava_id": lease["trava_id"], "retencao_ms": 60_000}));
    assert!(shown(&coordinator.locks(&["--release", "X"])).contains("released X (was retained"));
    coordinator.lock(json!({"recurso": "X"}));
}

#[test]
fn a_reason_that_the_coordinator_refuses_releases_nothing() {
    let coordinator = Coordinator::start();
    coordinator.lock(json!({"recurso": "X"}));
    for reason in ["a\nb", &"x".repeat(501)] {
        assert_cannot_run(&coordinator.locks(&["--release", "X", "--reason", reason]), &["422", "--reason"]);
    }
    assert_eq!(coordinator.estado("X")["estado"], "travado");
}

#[test]
fn without_a_coordinator_the_advice_is_to_start_one() {
    let url = nobody();
    for more in [&[][..], &["--json"], &["--release", "X"]] {
        let output = run(&[&["locks", "--url", &url], more].concat());
        assert_cannot_run(&output, &[&url, "sctec serve-coordinator", "--coordinator"]);
    }
    assert_cannot_run(&run(&["locks", "--url", ""]), &["--coordinator"]);
    for wrong in ["127.0.0.1", "ftp://127.0.0.1:3000"] {
        assert_cannot_run(&run(&["locks", "--url", wrong]), &["http://127.0.0.1:3000"]);
        assert_cannot_run(&run(&["locks", "--watch", "--url", wrong]), &["http://127.0.0.1:3000"]);
    }
}

#[test]
fn a_scheduler_is_no_coordinator() {
    let scheduler = Server::start(&["serve-scheduler", "--listen", "127.0.0.1:0", "--no-lock"]);
    for more in [&[][..], &["--watch"], &["--release", "X"]] {
        let output = run(&[&["locks", "--url", &scheduler.url()], more].concat());
        assert_cannot_run(&output, &[&scheduler.url(), "is not a coordinator", "3000", "--coordinator"]);
    }
}

#[test]
fn of_several_addresses_the_first_that_answers_is_taken() {
    let coordinator = Coordinator::start();
    coordinator.lock(json!({"recurso": "X"}));
    let several = format!("{},{}", nobody(), coordinator.server.url());
    let output = sctec().arg("locks").env("SCTEC_COORDINATOR", several).output().unwrap();
    assert_eq!(row(shown(&output), "X")[1], "held");
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    for wrong in [
        &["--release", "X", "--watch"][..],
        &["--release", "X", "--prefix", "X"],
        &["--release", ""],
        &["--reason", "X"],
        &["--interval-ms", "100"],
        &["--limit", "0"],
    ] {
        assert_cannot_run(&run(&[&["locks"], wrong].concat()), &["--"]);
    }
}
