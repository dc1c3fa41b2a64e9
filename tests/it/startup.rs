//! A service that cannot start says so in one line that says what to do, and exits with 2.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::storage::of_sqlite;
use crate::common::{Server, Services, run, sctec};

fn fails(output: &Output, expected: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("sctec: ") && stderr.contains(expected), "{stderr}");
}

fn scheduler(data_dir: &Path) -> Command {
    let mut command = sctec();
    command.args(["serve-scheduler", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data_dir);
    command
}

#[test]
fn a_port_in_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    for service in ["serve-scheduler", "serve-coordinator", "serve-all"] {
        let mut command = sctec();
        command.args([service, "--listen", &address, "--data-dir"]).arg(folder.path());
        if service == "serve-all" {
            command.args(["--listen-coordinator", "127.0.0.1:0"]);
        }
        fails(&command.output().unwrap(), "choose another with --listen (");
    }
    let output = sctec()
        .args(["serve-all", "--listen", "127.0.0.1:0", "--listen-coordinator", &address, "--data-dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    fails(&output, "choose another with --listen-coordinator");
}

#[test]
fn a_folder_that_cannot_be_written() {
    // A file where the folder should be. Permission bits would not stop root.
    let file = tempfile::NamedTempFile::new().unwrap();
    fails(&scheduler(file.path()).output().unwrap(), "--data-dir");
    let inside = file.path().join("dados");
    fails(&scheduler(&inside).output().unwrap(), "--data-dir");
    let output =
        sctec().args(["serve-coordinator", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&inside).output().unwrap();
    fails(&output, "--data-dir");
}

#[test]
fn a_database_of_a_newer_version_or_damaged_or_another_programs() {
    of_sqlite!("it damages the file of SQLite");
    let make = |damage: &dyn Fn(&Path)| {
        let services = Services::start(&[]);
        services.book(1, "2025-12-01T03:00:00Z");
        let folder = services.stop();
        damage(&folder.path().join("sctec.db"));
        let output = scheduler(folder.path()).output().unwrap();
        drop(folder);
        output
    };
    let newer = make(&|path| {
        rusqlite::Connection::open(path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    });
    fails(&newer, "newer sctec");
    let overwritten = make(&|path| std::fs::write(path, b"not a database at all, just text".repeat(100)).unwrap());
    fails(&overwritten, "damaged");
    let one_page = make(&|path| {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[4096..8192].fill(0xa5);
        std::fs::write(path, bytes).unwrap();
    });
    fails(&one_page, "damaged");
    let foreign = make(&|path| {
        rusqlite::Connection::open(path).unwrap().pragma_update(None, "application_id", 1).unwrap();
    });
    fails(&foreign, "not an sctec agenda");
}

#[test]
fn the_race_never_opens_the_agenda() {
    of_sqlite!("it gives the file of SQLite another name");
    let services = Services::start(&[]);
    services.book(1, "2025-12-01T03:00:00Z");
    let folder = services.stop();
    std::fs::copy(folder.path().join("sctec.db"), folder.path().join("corrida.db")).unwrap();
    fails(&scheduler(folder.path()).arg("--no-lock").output().unwrap(), "race demonstration");
}

#[test]
fn a_coordinator_state_that_is_damaged_or_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = |folder: &Path| {
        sctec().args(["serve-coordinator", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder).output().unwrap()
    };
    std::fs::write(folder.path().join("coordenador.json"), "{\"formato\":1,\"limite").unwrap();
    fails(&coordinator(folder.path()), "damaged");
    let services = Services::start(&[]);
    fails(&coordinator(services.data_dir()), "in use by another coordinator");
}

#[test]
fn arguments_out_of_bounds() {
    let folder = tempfile::tempdir().unwrap();
    fails(&scheduler(folder.path()).args(["--lock-ttl-ms", "0"]).output().unwrap(), "between 100 and 300000");
    fails(&scheduler(folder.path()).args(["--lock-retention-ms", "60001"]).output().unwrap(), "between 0 and 60000");
    fails(&scheduler(folder.path()).args(["--coordinator", "ftp://x"]).output().unwrap(), "http://127.0.0.1:3000");
    assert_eq!(scheduler(folder.path()).args(["--listen", "nowhere"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn a_short_address_is_this_machine_for_servers_and_tools() {
    for short in ["0", ":0", "localhost:0"] {
        for name in ["--listen", "--port", "-p"] {
            let server = Server::start(&["serve-coordinator", name, short]);
            assert!(server.url().starts_with("http://127.0.0.1:"), "{name} {short}: {}", server.url());
        }
    }
    let server = Server::start(&["serve-all", "--listen", "localhost:0", "--listen-coordinator", ":0"]);
    for (service, commands) in [
        ("servico-agendamento", &["health", "clock-sync --samples=1 --url", "stress --url"][..]),
        ("servico-coordenador", &["health", "locks --url"]),
    ] {
        let url = server.url_of(service);
        let port = url.rsplit(':').next().unwrap();
        for command in commands {
            for short in
                [port.to_owned(), format!(":{port}"), format!("localhost:{port}"), format!("127.0.0.1:{port}/")]
            {
                let output = run(&command.split(' ').chain([short.as_str()]).collect::<Vec<_>>());
                assert_eq!(output.status.code(), Some(0), "{command} {short}: {output:?}");
            }
        }
    }
    let coordinator = server.url_of("servico-coordenador");
    let coordinator = &coordinator["http://127.0.0.1".len()..];
    let scheduler = Server::start(&["serve-scheduler", "--listen", ":0", "--coordinator", coordinator]);
    assert_eq!(run(&["health", "--ready", &scheduler.url()]).status.code(), Some(0), "it reaches its coordinator");
}

#[test]
fn a_wrong_address_to_listen_on_says_the_right_forms() {
    for (wrong, why) in [
        ("nowhere", "it is not an address with a port"),
        ("127.0.0.1", "it has no port"),
        ("localhost:70000", "it has a port above 65535"),
        ("http://127.0.0.1:5000", "it is a URL"),
    ] {
        for option in ["--listen", "--listen-coordinator"] {
            let output = run(&["serve-all", option, wrong]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(said.contains(why) && said.contains("localhost:8080"), "{option} {wrong}: {said}");
        }
    }
}
