//! A backup of the database by PostgreSQL's own programs, and its restoration, as docs/OPERACAO.md says.

use std::process::Command;

use super::{Two, at, scheduler};
use crate::common::postgres::{Database, program};
use crate::common::trail::{audit, texts};
use crate::common::{Asked, http, wait_until};

fn run(name: &str, args: &[&str]) {
    let output = Command::new(program(name)).args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// What came after the backup is only in the schedulers' files: they are evidence, and are not written on.
#[test]
#[ignore = "needs PostgreSQL"]
fn a_restored_agenda_goes_on_once_the_files_that_know_more_are_moved_away() {
    let two = Two::start();
    assert_eq!(two.book(0, &Asked::by(7, &at(0))).0, 201);
    let dump = two.folders[2].path().join("agenda.dump");
    let file = format!("--file={}", dump.display());
    run("pg_dump", &["--format=custom", &file, &two.database.url()]);
    assert_eq!(two.book(1, &Asked::by(7, &at(1))).0, 201);
    two.caught_up(0);
    let head = http("GET", &format!("{}/auditoria/cabeca", two.schedulers[0].url()), None).body;
    let Two { schedulers, coordinator, folders, .. } = two;
    for mut scheduler in schedulers {
        assert_eq!(scheduler.terminate(), Some(0));
    }

    let restored = Database::create();
    run("pg_restore", &[&format!("--dbname={}", restored.url()), "--exit-on-error", dump.to_str().unwrap()]);
    let folder = folders[0].path();
    let started = scheduler(folder, &coordinator, &restored);
    let book = |slot: usize, url: &str| {
        let answer =
            http("POST", &format!("{url}/agendamentos"), Some(("application/json", &Asked::by(7, &at(slot)).text())));
        (answer.status, answer.json())
    };
    let refused = || book(2, &started.url());
    wait_until("the file that knows more is seen", || refused().1["codigo"] == "auditoria_indisponivel");
    drop(started);

    let aside = folders[2].path();
    for name in ["audit.jsonl", "audit.exportado.json"] {
        std::fs::rename(folder.join(name), aside.join(name)).unwrap();
    }
    let started = scheduler(folder, &coordinator, &restored);
    wait_until("it books again", || book(2, &started.url()).0 == 201);
    assert_eq!(book(0, &started.url()).0, 409, "what the backup has is there");
    assert_eq!(book(1, &started.url()).0, 201, "what came after it is not");
    let verify = |more: &[&str]| {
        let args = ["--verify", "--data-dir", folder.to_str().unwrap(), "--store", &restored.url()];
        let output = audit(&[&args[..], more].concat()).output().unwrap();
        (output.status.code(), texts(&output))
    };
    wait_until("the new file has every record", || verify(&[]).0 == Some(0));
    // A head that was saved after the backup is not of this trail.
    let heads = aside.join("heads.jsonl");
    std::fs::write(&heads, head + "\n").unwrap();
    let (status, (printed, _)) = verify(&["--head", heads.to_str().unwrap()]);
    assert!(status == Some(2) && printed.contains("record 4: DIFFERS"), "{printed}");
}
