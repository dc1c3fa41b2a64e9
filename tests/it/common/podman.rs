//! The composition as a user runs it: `podman-compose up` of the repository's own files, under a project name, on ports and
//! with volumes of its own.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::executable::deaf;
use super::ports::free_port;
use super::requests::try_http;
use super::wait::wait_until;

/// The image that the composition names.
pub const IMAGE: &str = "localhost/sctec:latest";

/// A command of the repository's folder, deaf to the environment's own settings.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    deaf(&mut command).current_dir(env!("CARGO_MANIFEST_DIR"));
    // Without a systemd the engine cannot run health checks by itself, and would say so each time.
    if !Path::new("/run/systemd/system").exists() {
        command.env("DISABLE_HC_SYSTEMD", "true");
    }
    command
}

/// Runs `podman` to its end.
pub fn podman(args: &[&str]) -> Output {
    command("podman").args(args).output().expect("podman starts")
}

/// Runs `podman`, which has to succeed, and gives what it prints.
#[track_caller]
pub fn podman_says(args: &[&str]) -> String {
    let output = podman(args);
    assert!(output.status.success(), "podman {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The image's configuration; it has to be built already.
pub fn image() -> Value {
    let output = podman(&["image", "inspect", IMAGE]);
    assert!(output.status.success(), "no image; build it first: podman build -t sctec . ({output:?})");
    let images: Value = serde_json::from_slice(&output.stdout).unwrap();
    images[0].clone()
}

/// One composition at a time: the machine is small, and what one of them takes down must not be another's network.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Waits until no other composition is up, and keeps others down until it is dropped.
pub fn turn() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The composition, up; taken down with its volumes when dropped.
pub struct Project {
    /// Given back last, after the rest is down.
    _turn: MutexGuard<'static, ()>,
    name: String,
    files: &'static [&'static str],
    /// Variables that its user sets.
    variables: &'static [(&'static str, &'static str)],
    /// Of the scheduler, the coordinator and the second scheduler.
    ports: [u16; 3],
}

impl Project {
    /// Brings it up and waits until all of it is ready.
    pub fn up(files: &'static [&'static str]) -> Self {
        Self::up_with(files, &[])
    }

    /// The same for a user who sets `variables`.
    pub fn up_with(files: &'static [&'static str], variables: &'static [(&'static str, &'static str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        image();
        let turn = turn();
        let name = format!("sctec-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let project = Self { _turn: turn, name, files, variables, ports: [free_port(), free_port(), free_port()] };
        project.start();
        project
    }

    /// Brings it up, on the volumes that are there.
    pub fn start(&self) {
        self.compose(&["up", "-d"]);
        let urls = [Some(self.url()), self.locks_url(), self.second().then(|| self.second_url())];
        for url in urls.into_iter().flatten() {
            wait_until("the services are ready", || is_ready(&url));
        }
    }

    /// Takes it down; the volumes stay.
    pub fn stop(&self) {
        self.compose(&["down"]);
    }

    fn second(&self) -> bool {
        self.files.contains(&"compose.scale.yml")
    }

    /// The scheduler's entry point.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    /// The coordinator's entry point, if its port is published.
    pub fn locks_url(&self) -> Option<String> {
        self.files.contains(&"compose.coordinator.yml").then(|| format!("http://127.0.0.1:{}", self.ports[1]))
    }

    /// The ports of a service that are published, each with the address where it is.
    pub fn published(&self, service: &str) -> String {
        self.inspect(service, "{{json .HostConfig.PortBindings}}")
    }

    /// The second scheduler's entry point.
    pub fn second_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[2])
    }

    fn composer(&self, args: &[&str]) -> Command {
        let mut command = command("podman-compose");
        command.args(["-p", &self.name]);
        for file in self.files {
            command.args(["-f", file]);
        }
        command
            .env("SCTEC_PORT", self.ports[0].to_string())
            .env("SCTEC_COORDINATOR_PORT", self.ports[1].to_string())
            .env("SCTEC_PORT_2", self.ports[2].to_string())
            .envs(self.variables.iter().copied())
            .args(args)
            .stdin(Stdio::null());
        command
    }

    /// Runs `podman-compose`, which has to succeed.
    #[track_caller]
    pub fn compose(&self, args: &[&str]) -> Output {
        let output = self.composer(args).output().expect("podman-compose starts");
        assert!(output.status.success(), "{args:?}: {output:?}");
        output
    }

    /// The container that runs `service`.
    pub fn container(&self, service: &str) -> String {
        let project = format!("label=com.docker.compose.project={}", self.name);
        let service = format!("label=com.docker.compose.service={service}");
        podman_says(&["ps", "-a", "--filter", &project, "--filter", &service, "--format", "{{.Names}}"])
    }

    /// Something that the engine knows of a service's container.
    pub fn inspect(&self, service: &str, format: &str) -> String {
        podman_says(&["inspect", "-f", format, &self.container(service)])
    }

    /// The service's process, as this machine sees it.
    pub fn pid(&self, service: &str) -> u32 {
        self.inspect(service, "{{.State.Pid}}").parse().unwrap()
    }

    /// Runs `sctec` inside a service's container.
    pub fn exec(&self, service: &str, args: &[&str]) -> Output {
        podman(&[&["exec", &self.container(service), "/sctec"], args].concat())
    }

    /// Whether a service is healthy, by the composition's own check.
    pub fn is_healthy(&self, service: &str) -> bool {
        let container = self.container(service);
        let check = self.inspect(service, "{{json .Config.Healthcheck.Test}}");
        if !check.contains("/bin/sh") {
            return podman(&["healthcheck", "run", &container]).status.success();
        }
        // podman-compose 1.0 wraps every check in a shell, which this image has not: the same command without it.
        let words = check.split(['\'', '"', ' ', '\\']).filter(|word| !word.is_empty());
        let asked = words.skip_while(|word| *word != "health").nth(1).expect("the check names a service");
        self.exec(service, &["health", asked]).status.success()
    }

    /// What a service has printed.
    pub fn log(&self, service: &str) -> Vec<String> {
        podman_says(&["logs", &self.container(service)]).lines().map(str::to_owned).collect()
    }

    /// Verifies the audit trail, as an operator does, and expects it whole.
    #[track_caller]
    pub fn verify(&self, service: &str) {
        let output = self.exec(service, &["audit", "--verify"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

/// Whether the service at `url` can do its work now.
pub fn is_ready(url: &str) -> bool {
    try_http("GET", &format!("{url}/pronto"), None).is_ok_and(|answer| answer.status == 200)
}

impl Drop for Project {
    fn drop(&mut self) {
        // What is left of it would be in the way of nothing; and a test that fails has said so already.
        let _ = self.composer(&["down", "-v"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        for volume in ["agendamento", "coordenador", "segredo"] {
            podman(&["volume", "rm", "-f", &format!("{}_{volume}", self.name)]);
        }
        podman(&["network", "rm", "-f", &format!("{}_default", self.name)]);
    }
}
