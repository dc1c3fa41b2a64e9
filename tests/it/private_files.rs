//! The data folder is its user's alone: what the services make in it, under any umask, and which folders they refuse.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::common::election::without_election;
use crate::common::storage::of_sqlite;
use crate::common::{Asked, Server, Services, coordinator_command, deaf, http, scheduler_command, sctec, wait_until};

/// A user who runs nothing here.
const OTHER: u32 = 65_532;
const SLOT: &str = "2025-12-01T03:00:00Z";

/// The same command under a umask.
fn under(umask: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")])
        .arg(command.get_program())
        .args(command.get_args());
    deaf(&mut shell);
    shell
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The names in the folder. Each is a file of mode 0600, and the folder has 0700.
fn private(folder: &Path) -> Vec<String> {
    assert_eq!(std::fs::metadata(folder).unwrap().mode() & 0o7777, 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let (entry, name) = entry.map(|entry| (entry.path(), entry.file_name().into_string().unwrap())).unwrap();
        // A file that is renamed or removed meanwhile is there under another name, or not.
        let Ok(metadata) = std::fs::symlink_metadata(entry) else { continue };
        assert!(metadata.is_file(), "{name}");
        assert_eq!(metadata.mode() & 0o7777, 0o600, "{name}");
        names.push(name);
    }
    names.sort_unstable();
    names
}

fn has(names: &[String], expected: &[&str]) {
    for name in expected {
        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
    }
}

#[test]
fn everything_in_the_folder_is_its_users_alone_under_any_umask() {
    of_sqlite!("it lists the files of SQLite");
    without_election!("it lists the state file");
    for umask in ["000", "022", "077"] {
        let above = tempfile::tempdir().unwrap();
        // Both folders are made.
        let folder = above.path().join("new/data");
        let coordinator = Server::spawn(&mut under(umask, &coordinator_command(&folder, "127.0.0.1:0")), 1);
        let mut command = scheduler_command(&folder, &coordinator.url());
        let scheduler = Server::spawn(&mut under(umask, command.args(["--audit-rotate-mb", "1"])), 1);
        let book = |index: u64, target: &str| {
            let start = sctec::time::Timestamp::parse_rfc3339(SLOT).unwrap();
            let start = start.saturating_add(std::time::Duration::from_secs(300 * index)).seconds().to_string();
            let body = serde_json::json!({"cientista_id": 7, "horario_inicio_utc": start, "alvo": target}).to_string();
            let url = format!("{}/agendamentos", scheduler.url());
            assert_eq!(http("POST", &url, Some(("application/json", &body))).status, 201);
        };
        book(0, "M31");
        if umask == "000" {
            // Each of these characters takes twelve bytes in a record.
            let long = "\u{e0041}".repeat(200);
            (1..420).for_each(|index| book(index, &long));
            wait_until("the trail was rotated", || folder.join("audit-000000000001.jsonl").exists());
        }
        assert_eq!(std::fs::metadata(above.path().join("new")).unwrap().mode() & 0o7777, 0o700);
        let names = private(&folder);
        has(
            &names,
            &["app.log", "audit.jsonl", "audit.lock", "coordenador.json", "coordenador.lock", "coordenador.log"],
        );
        has(&names, &["sctec.db", "sctec.db-shm", "sctec.db-wal"]);
        let stop = |mut server: Server| assert_eq!(server.terminate(), Some(0));
        stop(scheduler);
        let mut race = scheduler_command(&folder, &coordinator.url());
        let race = Server::spawn(&mut under(umask, race.arg("--no-lock")), 1);
        has(&private(&folder), &["corrida-audit.jsonl", "corrida.db", "corrida.db-wal", "sctec.db-limpo"]);
        stop(race);
        stop(coordinator);
        has(&private(&folder), &["corrida.db-limpo", "coordenador.json"]);
    }
}

#[test]
fn files_of_an_older_version_are_closed_to_others_and_stay_so_when_the_log_is_rotated() {
    of_sqlite!("it lists the files of SQLite");
    let services = Services::start(&[]);
    services.book_as(&Asked::by(7, SLOT));
    let folder = services.stop();
    // The log is full at the first line of the next start.
    std::fs::write(folder.path().join("app.log"), "x\n".repeat(500_000)).unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        set_mode(&entry.unwrap().path(), 0o644);
    }
    set_mode(folder.path(), 0o700);
    std::fs::write(folder.path().join("notes"), "").unwrap();
    set_mode(&folder.path().join("notes"), 0o644);
    let services = Services::start_in(folder, &["--log-rotate-mb", "1"]);
    let told = |server: &Server, name: &str| {
        server.lines().iter().any(|line| {
            line.contains("Arquivos que outros usuários podiam ler, e agora só o dono: ") && line.contains(name)
        })
    };
    wait_until("both said so", || told(&services.coordinator, "sctec.db"));
    assert!(services.data_dir().join("app.log.1").exists());
    let folder = services.stop();
    let notes = folder.path().join("notes");
    assert_eq!(std::fs::metadata(&notes).unwrap().mode() & 0o777, 0o644, "it is not ours");
    std::fs::remove_file(notes).unwrap();
    has(&private(folder.path()), &["app.log", "app.log.1", "sctec.db", "audit.jsonl"]);
}

/// Every service refuses the folder in one line, and changes nothing in it.
fn refused(folder: &Path, expected: &str) {
    let names =
        |folder: &Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let before = names(folder);
    for service in ["serve-scheduler", "serve-coordinator", "serve-all"] {
        let mut command = sctec();
        command.args([service, "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder);
        if service == "serve-all" {
            command.args(["--listen-coordinator", "127.0.0.1:0"]);
        }
        let Output { status, stderr, .. } = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&stderr);
        assert_eq!(status.code(), Some(2), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with("sctec: ") && stderr.contains(expected), "{stderr}");
    }
    assert_eq!(names(folder), before);
}

fn path_of(folder: &TempDir) -> &str {
    folder.path().to_str().unwrap()
}

#[test]
fn a_folder_that_others_may_write_to_is_refused_until_it_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o777, 0o770, 0o1777] {
        set_mode(folder.path(), mode);
        refused(
            folder.path(),
            &format!("(its mode is {mode:04o}); only its owner should: chmod 700 {}", path_of(&folder)),
        );
    }
    let link = folder.path().with_extension("link");
    symlink(folder.path(), &link).unwrap();
    refused(&link, "chmod 700");
    std::fs::remove_file(link).unwrap();
    set_mode(folder.path(), 0o700);
    Services::start_in(folder, &[]);
}

#[test]
fn a_lock_behind_a_link_is_refused_and_a_log_behind_one_is_written() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    set_mode(folder.path(), 0o700);
    for name in ["audit.lock", "coordenador.lock", "coordenador.json"] {
        let (link, target) = (folder.path().join(name), elsewhere.path().join(name));
        symlink(&target, &link).unwrap();
        refused(folder.path(), &format!("{name} is a symbolic link"));
        assert!(!target.exists());
        std::fs::remove_file(link).unwrap();
    }
    let log = elsewhere.path().join("app.log");
    symlink(&log, folder.path().join("app.log")).unwrap();
    let services = Services::start_in(folder, &[]);
    assert_eq!(services.book_as(&Asked::by(7, SLOT)).0, 201);
    wait_until("the log has it", || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("Salvando novo")));
}

#[test]
fn what_another_user_owns_is_refused() {
    // Only root can give files away.
    if rustix::process::geteuid().as_raw() != 0 {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o700);
    let planted = folder.path().join("app.log");
    symlink("/nowhere/at/all", &planted).unwrap();
    lchown(&planted, Some(OTHER), None).unwrap();
    refused(folder.path(), "app.log belongs to another user (uid 65532)");
    std::fs::remove_file(&planted).unwrap();
    chown(folder.path(), Some(OTHER), None).unwrap();
    refused(folder.path(), "run the service as that user");
    chown(folder.path(), Some(0), None).unwrap();
    Services::start_in(folder, &[]);
}
