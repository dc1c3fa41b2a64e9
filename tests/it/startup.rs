//! A service that cannot start says so in one line that says what to do, and exits with 2.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::{Services, sctec};

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
