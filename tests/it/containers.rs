//! Deliverable 5: the image, and the composition of both services, run with podman.
//!
//! The tests need podman, podman-compose and the image: `podman build -t sctec .`

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::podman::{self, IMAGE, Project, image, podman, podman_says};
use crate::common::{Asked, contest, http, run, signal, stamp, wait_until};

const ONE_OF_EACH: &[&str] = &["compose.yml"];
const WITH_COORDINATOR: &[&str] = &["compose.yml", "compose.coordinator.yml"];
const TWO_SCHEDULERS: &[&str] = &["compose.yml", "compose.scale.yml"];
/// A load from one machine is not to be refused for its rate.
const NO_RATE: &[(&str, &str)] = &[("SCTEC_RATE", "0")];
const SCHEDULER: &str = "servico-agendamento";
const SECOND: &str = "servico-agendamento-2";
const COORDINATOR: &str = "servico-coordenador";

/// A stress run against `url`: its exit status and its report.
fn stress(url: &str, args: &[&str]) -> (Option<i32>, Value) {
    let output = run(&[&["stress", "--json", "--url", url], args].concat());
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code(), report)
}

fn slot(index: usize) -> String {
    let (hour, minute) = (index / 12, index % 12 * 5);
    format!("2040-{:02}-{:02}T{:02}:{minute:02}:00Z", hour / 24 / 28 + 1, hour / 24 % 28 + 1, hour % 24)
}

/// The ids of the active bookings, each with its slot.
fn standing(url: &str) -> BTreeMap<i64, String> {
    let mut all = BTreeMap::new();
    let mut path = "/agendamentos?status=AGENDADO&limite=500".to_owned();
    loop {
        let page = http("GET", &format!("{url}{path}"), None).json();
        for booking in page["agendamentos"].as_array().unwrap() {
            let start = booking["horario_inicio_utc"].as_str().unwrap().to_owned();
            all.insert(booking["id"].as_i64().unwrap(), start);
        }
        match page["_links"]["proxima"]["href"].as_str() {
            Some(next) => next.clone_into(&mut path),
            None => return all,
        }
    }
}

/// Books slot after slot at each of `urls` until it is stopped. It collects the acknowledged bookings and counts the answers.
struct Load<'a> {
    urls: &'a [String],
    next: AtomicUsize,
    stop: AtomicBool,
}

impl<'a> Load<'a> {
    fn new(urls: &'a [String]) -> Self {
        Self { urls, next: AtomicUsize::new(0), stop: AtomicBool::new(false) }
    }

    /// One client. It requests each slot at all URLs, one after the other; only one request may get it.
    fn book(&self) -> (Vec<i64>, BTreeMap<u16, usize>) {
        let (mut booked, mut answers) = (Vec::new(), BTreeMap::new());
        while !self.stop.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let asked = Asked::by(1, &slot(index));
            for url in self.urls {
                // 0 is no answer, while a scheduler is being killed.
                let answer = asked.try_at(url);
                let status = answer.as_ref().map_or(0, |answer| answer.status);
                *answers.entry(status).or_default() += 1;
                if status == 201 {
                    booked.push(answer.unwrap().json()["id"].as_i64().unwrap());
                }
            }
            // This only slows the load down, so that the containers have time to restart.
            thread::sleep(Duration::from_millis(2));
        }
        (booked, answers)
    }

    /// Runs `meanwhile` while four clients book. Returns the acknowledged bookings and the number of each answer.
    fn during(&self, meanwhile: impl FnOnce()) -> (Vec<i64>, BTreeMap<u16, usize>) {
        thread::scope(|scope| {
            let bookers: Vec<_> = (0..4).map(|_| scope.spawn(|| self.book())).collect();
            let stopped = StopOnDrop(&self.stop);
            meanwhile();
            drop(stopped);
            let (mut booked, mut answers) = (Vec::new(), BTreeMap::new());
            for booker in bookers {
                let (theirs, counts) = booker.join().unwrap();
                booked.extend(theirs);
                for (status, count) in counts {
                    *answers.entry(status).or_default() += count;
                }
            }
            (booked, answers)
        })
    }
}

/// Stops a load even if `meanwhile` panics.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Checks that every acknowledged booking is active and that no slot has two.
#[track_caller]
fn nothing_lost_nothing_doubled(url: &str, acknowledged: &[i64]) {
    let standing = standing(url);
    let missing: Vec<_> = acknowledged.iter().filter(|id| !standing.contains_key(id)).collect();
    assert!(missing.is_empty(), "acknowledged and gone: {missing:?}");
    let slots: BTreeSet<&String> = standing.values().collect();
    assert_eq!(slots.len(), standing.len(), "a slot has two bookings");
}

/// How long the service's process runs after SIGTERM.
fn terminate(project: &Project, service: &str) -> Duration {
    let pid = project.pid(service);
    let begun = Instant::now();
    signal(pid, "TERM");
    wait_until("it ends", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
    begun.elapsed()
}

#[test]
#[ignore = "needs podman"]
fn the_image_is_the_executable_and_two_empty_folders() {
    let image = image();
    let megabytes = image["Size"].as_f64().unwrap() / 1e6;
    let config = &image["Config"];
    println!("image: {megabytes:.1} MB, user {}, labels {}", config["User"], config["Labels"]);
    assert!(megabytes < 26.0, "{megabytes} MB");
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["StopSignal"], "SIGTERM");
    assert_eq!(config["Volumes"], json!({"/dados": {}}));
    assert_eq!(config["Labels"]["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"));
    let container = podman_says(&["create", IMAGE]);
    let exported =
        std::process::Command::new("sh").args(["-c", "podman export $0 | tar -t", &container]).output().unwrap();
    podman(&["rm", "-v", &container]);
    let files = String::from_utf8(exported.stdout).unwrap();
    // The engine creates the folders of its mounts.
    let engines = ["dev", "etc", "proc", "run", "sys"];
    let ours: Vec<&str> =
        files.lines().filter(|name| !engines.contains(&name.split('/').next().unwrap_or_default())).collect();
    assert_eq!(ours, ["dados/", "sctec", "segredo/"], "{files}");
    for shell in ["/bin/sh", "sh", "/bin/bash"] {
        assert!(!podman(&["run", "--rm", "--entrypoint", shell, IMAGE, "-c", "true"]).status.success(), "{shell}");
    }
    let version = podman_says(&["run", "--rm", "--network", "none", IMAGE, "--version"]);
    assert_eq!(version, concat!("sctec ", env!("CARGO_PKG_VERSION")));
}

#[test]
#[ignore = "needs podman"]
fn only_the_volume_can_be_written_and_the_process_has_no_privileges() {
    let project = Project::up(ONE_OF_EACH);
    for service in [SCHEDULER, COORDINATOR] {
        assert_eq!(project.inspect(service, "{{.HostConfig.ReadonlyRootfs}}"), "true");
        assert_eq!(project.inspect(service, "{{.HostConfig.Memory}}"), (256_u64 << 20).to_string());
        assert_eq!(project.inspect(service, "{{.HostConfig.RestartPolicy.Name}}"), "always");
        let written = project.exec(service, &["manual", "/man"]);
        let error = String::from_utf8_lossy(&written.stderr).into_owned();
        assert!(written.status.code() == Some(2) && error.contains("Read-only file system"), "{written:?}");
        assert!(project.exec(service, &["manual", "/dados/man"]).status.success());
        assert!(
            project.exec(service, &["token", "secret", &format!("/segredo/{service}")]).status.success(),
            "{service}"
        );
        assert!(
            project.exec(service, &["token", "secret", "/segredo/coordenador"]).status.code() == Some(2),
            "it is there"
        );
        let status = std::fs::read_to_string(format!("/proc/{}/status", project.pid(service))).unwrap();
        let value = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        // The kernel's view of the process, independent of the engine's settings.
        for capabilities in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(value(capabilities), ["0000000000000000"], "{capabilities}");
        }
        assert_eq!(value("NoNewPrivs:"), ["1"]);
        assert_eq!(value("Seccomp:"), ["2"]);
        assert!(value("Uid:").iter().all(|uid| uid != "0"), "{status}");
    }
}

/// Checks that both services' logs have only whole lines of the two forms, and none twice or missing.
fn assert_whole_lines_once(project: &Project) {
    for service in [SCHEDULER, COORDINATOR] {
        let lines = project.log(service);
        let mut seen = BTreeSet::new();
        for line in &lines {
            let shape = line.starts_with("{\"timestamp_utc\":") && line.ends_with('}')
                || line.split(':').nth(4).is_some_and(|name| name == service);
            assert!(shape && !line.contains('\x1b') && !line.contains("omitidas"), "{line}");
            assert!(seen.insert(line), "twice: {line}");
        }
    }
}

#[test]
#[ignore = "needs podman"]
fn one_log_stream_shows_a_request_in_both_services_and_the_data_stays() {
    let project = Project::up(ONE_OF_EACH);
    for service in [SCHEDULER, COORDINATOR] {
        assert!(project.is_healthy(service), "{service}");
    }
    let (status, report) = stress(&project.url(), &["--n", "10"]);
    println!("stress from the host: {}", report["statuses"]);
    assert_eq!((status, &report["statuses"]), (Some(0), &json!({"201": 1, "409": 9})), "{report}");

    // A request with its own identifier, so that its log lines can be found.
    let body = Asked::by(7, &slot(0)).text();
    let url = format!("{}/agendamentos", project.url());
    let booked = crate::common::http_with(
        "POST",
        &url,
        Some(("application/json", &body)),
        &[("X-Request-Id", "pedido-de-marie")],
    );
    assert_eq!(booked.status, 201, "{}", booked.body);
    let shown = || String::from_utf8(project.compose(&["logs"]).stdout).unwrap();
    wait_until("the end of its way is shown", || {
        shown().lines().any(|line| line.contains("Lock liberado") && line.contains("pedido-de-marie"))
    });
    let stream = shown();
    let mut way: Vec<&str> = stream
        .lines()
        .filter(|line| line.contains(" req_cliente=pedido-de-marie "))
        .filter_map(|line| line.find("INFO:").map(|start| &line[start..]))
        .collect();
    // The engine shows the lines of one container after those of the other.
    way.sort_by_key(|line| stamp(line));
    println!("one request's way, by podman-compose logs:\n{}", way.join("\n"));
    let is_of = |line: &&str, service: &str| line.contains(&format!("Z:{service}:"));
    assert!(way.iter().filter(|line| is_of(line, COORDINATOR)).count() >= 3, "{way:?}");
    assert!(way.iter().filter(|line| is_of(line, SCHEDULER)).count() >= 5, "{way:?}");
    assert!(stream.contains(r#""req_cliente":"pedido-de-marie""#), "the audit record is in the stream too");
    let first = way.iter().find(|line| is_of(line, SCHEDULER)).unwrap();
    assert!(first.contains("Requisição recebida para POST /agendamentos"), "{way:?}");
    assert_whole_lines_once(&project);

    for service in [SCHEDULER, COORDINATOR] {
        let took = terminate(&project, service);
        println!("{service}: gone {} ms after SIGTERM", took.as_millis());
        assert!(took < Duration::from_secs(1), "{took:?}");
        let lines = project.log(service);
        assert!(lines.iter().any(|line| line.contains(":encerrado us=")), "{lines:?}");
        // The engine did not stop it, so the engine starts it again.
        wait_until("it is back", || project.inspect(service, "{{.State.Running}} {{.RestartCount}}") == "true 1");
    }
    wait_until("they are ready again", || podman::is_ready(&project.url()));
    for service in [SCHEDULER, COORDINATOR] {
        podman_says(&["stop", &project.container(service)]);
        assert_eq!(project.inspect(service, "{{.State.ExitCode}}"), "0", "{service}");
    }
    let before = booked.json()["id"].as_i64().unwrap();
    project.stop();
    project.start();
    assert_eq!(standing(&project.url()).get(&before), Some(&slot(0)));
    project.verify(SCHEDULER);
}

#[test]
#[ignore = "needs podman"]
fn only_the_scheduler_is_published_and_only_on_loopback() {
    let project = Project::up(ONE_OF_EACH);
    // The image exposes the ports, which publishes none.
    let published = project.published(COORDINATOR);
    assert!(!published.contains("HostPort"), "{published}");
    let published = project.published(SCHEDULER);
    assert!(published.contains("5000/tcp") && published.contains("\"HostIp\":\"127.0.0.1\""), "{published}");
    // The services call each other by name, and a name of neither is refused.
    for (service, url) in
        [(SCHEDULER, "http://servico-coordenador:3000"), (COORDINATOR, "http://servico-agendamento:5000")]
    {
        assert_eq!(project.exec(service, &["health", url]).status.code(), Some(0), "{url}");
    }
    let rebound = crate::common::http_with("GET", &project.url(), None, &[("Host", "evil.example")]);
    assert_eq!((rebound.status, rebound.json()["codigo"].as_str()), (421, Some("host_recusado")));
    drop(project);

    let project = Project::up(WITH_COORDINATOR);
    let published = project.published(COORDINATOR);
    assert!(published.contains("3000/tcp") && published.contains("\"HostIp\":\"127.0.0.1\""), "{published}");
    let locks = run(&["locks", "--url", &project.locks_url().unwrap()]);
    assert_eq!(locks.status.code(), Some(0), "{locks:?}");
    // What belongs to the schedulers takes the secret, which is in a volume of theirs.
    let url = project.locks_url().unwrap();
    let lock = |name: &str| {
        let body = json!({"recurso": name, "ttl_ms": 1000}).to_string();
        http("POST", &format!("{url}/lock"), Some(("application/json", &body))).status
    };
    assert_eq!((lock("backup"), lock(&format!("Hubble-Acad_{}", slot(0)))), (200, 401));
    let release = ["locks", "--release", "backup", "--reason", "a test"];
    assert_eq!(run(&[&release[..], &["--url", &url]].concat()).status.code(), Some(2));
    let with_secret = [&release[..], &["--token-file", "/segredo/coordenador"]].concat();
    let released = project.exec(COORDINATOR, &with_secret);
    // If the lock has expired, there is nothing to release.
    assert!(matches!(released.status.code(), Some(0 | 1)), "{released:?}");
}

#[test]
#[ignore = "needs podman"]
fn one_variable_turns_identity_on() {
    let project = Project::up_with(
        TWO_SCHEDULERS,
        &[
            ("SCTEC_ACCESS", "token"),
            ("SCTEC_OIDC_ISSUER", "https://id.obs.example"),
            ("SCTEC_OIDC_CLIENT_ID", "sctec"),
            ("SCTEC_OIDC_REDIRECT_BASE", "https://sctec.obs.example"),
        ],
    );
    // People may also sign in at a provider.
    for url in [project.url(), project.second_url()] {
        assert_eq!(http("GET", &url, None).json()["_links"]["entrar_com_provedor"]["href"], "/entrar", "{url}");
    }
    let body = Asked::by(7, &slot(0)).text();
    let book = |url: &str, token: Option<&str>| {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
        let url = format!("{url}/agendamentos");
        crate::common::http_with("POST", &url, Some(("application/json", &body)), &headers)
    };
    let refused = book(&project.url(), None);
    assert_eq!(
        (refused.status, refused.json()["codigo"].as_str()),
        (401, Some("nao_identificado")),
        "{}",
        refused.body
    );
    let give = |args: &[&str]| {
        let made = project.exec(SCHEDULER, &[&["token", "create"], args].concat());
        assert!(made.status.success(), "{made:?}");
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    };
    let marie = give(&["marie", "--role", "cientista", "--scientist", "7"]);
    let booked = book(&project.url(), Some(&marie));
    assert_eq!(booked.status, 201, "{}", booked.body);
    // The other scheduler is on the same folder, and knows her too.
    assert_eq!(book(&project.second_url(), Some(&marie)).status, 409);
    let trail = project.exec(SCHEDULER, &["audit", "--event", "AGENDAMENTO_CRIADO", "--format", "jsonl"]);
    assert!(String::from_utf8_lossy(&trail.stdout).contains(r#""autor":"marie""#), "{trail:?}");
    let theirs = project.log(COORDINATOR);
    assert!(theirs.iter().any(|line| line.contains("autor=servico-agendamento")), "{theirs:?}");
    // Neither a token nor the secret stands in a log or in an environment that the engine shows.
    for service in [SCHEDULER, SECOND, COORDINATOR] {
        let shown = [project.log(service).join("\n"), project.inspect(service, "{{json .}}")].concat();
        let words = shown.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let tokens = words.filter(|word| word.len() == marie.len() && word.starts_with("sctec_")).count();
        assert_eq!(tokens, 0, "{service}");
    }
}

#[test]
#[ignore = "needs podman"]
fn after_a_kill_of_the_coordinators_container_under_load_bookings_continue() {
    let project = Project::up_with(ONE_OF_EACH, NO_RATE);
    let urls = [project.url()];
    let load = Load::new(&urls);
    let ready = || podman::is_ready(&project.url());
    let (booked, answers) = load.during(|| {
        let booked_more = |than: usize| standing(&project.url()).len() > than + 20;
        wait_until("bookings are under way", || booked_more(0));
        let killed = project.pid(COORDINATOR);
        signal(killed, "KILL");
        let begun = Instant::now();
        wait_until("bookings stop", || !ready());
        // The engine starts it again, and it grants no lock until the earlier locks have expired.
        wait_until("bookings go on by themselves", ready);
        println!("coordinator killed: ready again after {:.1} s", begun.elapsed().as_secs_f64());
        assert_ne!(project.pid(COORDINATOR), killed);
        let before = standing(&project.url()).len();
        wait_until("bookings went on", || booked_more(before));
    });
    println!("answers: {answers:?}");
    assert_eq!(answers.keys().copied().collect::<Vec<_>>(), [201, 503], "{answers:?}");
    nothing_lost_nothing_doubled(&project.url(), &booked);
    project.verify(SCHEDULER);
    let (status, report) = stress(&project.url(), &["--n", "10"]);
    assert_eq!((status, &report["statuses"]), (Some(0), &json!({"201": 1, "409": 9})), "{report}");
}

#[test]
#[ignore = "needs podman"]
fn two_schedulers_on_one_volume_book_a_slot_once_and_either_may_be_killed() {
    let project = Project::up_with(TWO_SCHEDULERS, NO_RATE);
    let urls = [project.url(), project.second_url()];
    for index in 0..5 {
        let statuses = contest(&urls, 100, &slot(9000 + index));
        assert_eq!((statuses[0], &statuses[1..]), (201, &[409; 199][..]));
    }
    project.verify(SCHEDULER);
    let load = Load::new(&urls);
    let (booked, answers) = load.during(|| {
        for (service, url) in [SCHEDULER, SECOND].into_iter().zip(&urls) {
            let begun = standing(url).len();
            wait_until("bookings are under way", || standing(url).len() > begun + 20);
            let before = standing(url).len();
            signal(project.pid(service), "KILL");
            wait_until("the engine has started it again", || {
                project.inspect(service, "{{.RestartCount}}") == "1" && podman::is_ready(url)
            });
            wait_until("bookings went on", || standing(url).len() > before + 20);
        }
    });
    println!("either killed: {answers:?}");
    // Each slot was requested twice: one request got it and the other was refused.
    assert!(answers.keys().all(|status| [0, 201, 409].contains(status)), "{answers:?}");
    assert!(answers[&0] > 0 && answers[&201] > 20, "{answers:?}");
    nothing_lost_nothing_doubled(&project.url(), &booked);
    assert_eq!(standing(&project.url()), standing(&project.second_url()));
    project.verify(SECOND);
}

#[test]
#[ignore = "needs podman, podman-compose and the image"]
fn every_deliverable_is_proved_in_containers() {
    let _turn = podman::turn();
    let folder = tempfile::tempdir().unwrap();
    let mut command = podman::command("bash");
    let output = command.arg("examples/entregas.sh").arg("--conteineres").arg(folder.path()).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(stdout.lines().filter(|line| line.starts_with("OK ")).count(), 7, "{stdout}");
}
