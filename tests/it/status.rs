//! `sctec status`: all services at once.

use std::process::Output;

use serde_json::{Value, json};

use crate::common::election::is_elective;
use crate::common::storage::is_postgres;
use crate::common::{Locks, Server, Services, nobody, run, scheduler_command, sctec, wait_until};

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn services_that_are_well_are_told_with_the_head_of_the_trail() {
    let services = Services::start(&[]);
    assert_eq!(services.book(1, "2031-01-01T03:00:00Z").0, 201);
    let (agenda, locks) = (services.scheduler.url(), services.coordinator.url());
    let asked = ["status", "--url", &agenda, "--coordinator", &locks];
    let mut told = Value::Null;
    wait_until("the file has the record", || {
        let output = run(&[&asked[..], &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        told = json_of(&output);
        told["schedulers"][0]["trail_behind_records"] == 0
    });
    assert_eq!((&told["well"], &told["faults"]), (&json!(true), &json!([])));
    assert_eq!(told["term"].is_u64(), is_elective(), "{told}");
    assert_eq!(told["elected"], locks);
    assert_eq!(told["schedulers"][0]["head"]["seq"], 2);
    assert_eq!(told["schedulers"][0]["role"], Value::Null);
    let kind = if is_postgres() { "postgresql" } else { "sqlite" };
    assert_eq!(told["schedulers"][0]["database"]["kind"], kind);
    let database = if is_postgres() { "database: PostgreSQL 1" } else { "database: SQLite" };
    assert_eq!(told["coordinators"][0]["role"], if is_elective() { "elected" } else { "alone" });
    assert_eq!(told["coordinators"][0]["saude"]["servico"], "servico-coordenador");
    let output = run(&asked);
    let table = String::from_utf8(output.stdout).unwrap();
    for text in [&agenda, &locks, "trail: record 2; not in the file yet: 0", database, "locks: ", "all is well"] {
        assert!(table.contains(text), "{table}");
    }
    let mut portuguese = sctec();
    let output = portuguese.args(asked).env("SCTEC_LANG", "pt").output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("trilha: registro 2") && table.contains("tudo bem"), "{table}");
}

#[test]
fn one_that_is_away_another_program_and_two_coordinators_are_told() {
    let locks = Locks::start();
    let other = Locks::start();
    let away = nobody();
    let folder = tempfile::tempdir().unwrap();
    let scheduler = Server::spawn(&mut scheduler_command(folder.path(), &away), 1);
    let agenda = [scheduler.url(), away.clone(), locks.url("")].join(",");
    let gates = [locks.url(""), other.url("")].join(",");
    let output = run(&["status", "--json", "--url", &agenda, "--coordinator", &gates]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = json_of(&output);
    let faults: Vec<_> = told["faults"].as_array().unwrap().iter().map(|fault| fault.as_str().unwrap()).collect();
    assert!(faults[0].starts_with(&format!("{} is not ready: the coordinator: \"", scheduler.url())), "{faults:?}");
    let nothing = format!("{away} did not answer: nothing listens at that address: start the scheduler ");
    assert!(faults[1].starts_with(&nothing) && faults[1].ends_with("name another with --url"), "{faults:?}");
    assert_eq!(faults[2], format!("{} is not a servico-agendamento", locks.url("")));
    assert!(faults[3].starts_with("2 coordinators give locks"), "{faults:?}");
    assert_eq!((faults.len(), &told["well"]), (4, &json!(false)));
    let known = |service: &Value| (service["asked"].clone(), service["answers"].clone(), service["ready"].clone());
    let seen = told["schedulers"].as_array().unwrap().iter().map(known).collect::<Vec<_>>();
    let [asked, not] = [json!(true), json!(false)];
    assert_eq!(seen[0], (asked.clone(), asked.clone(), not.clone()));
    assert_eq!(seen[1..], [(asked.clone(), not.clone(), not.clone()), (asked, not.clone(), not)]);
    let table = String::from_utf8(run(&["status", "--url", &agenda, "--coordinator", &gates]).stdout).unwrap();
    for text in ["no answer", "not ready", "another program"] {
        assert!(table.contains(text) && !table.contains("all is well"), "{table}");
    }
    for wrong in [&["status", "--url", "x y"][..], &["status", "--timeout", "0s"]] {
        let output = run(wrong);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
    let output = run(&["status", "--url", &format!("{}/?a=b", scheduler.url())]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("has a query"), "{output:?}");
}

/// What is wrong with this machine, or with the caller, says nothing of the service.
#[test]
fn one_that_could_not_be_asked_is_told_from_one_that_does_not_answer() {
    let locks = Locks::start();
    let gates = locks.url("");
    let asked = ["status", "--url", "http://nobody.invalid", "--coordinator", &gates];
    let output = run(&[&asked[..], &["--json"]].concat());
    let told = json_of(&output);
    let unasked = &told["schedulers"][0];
    let why = unasked["why"].as_str().unwrap();
    assert!(output.status.code() == Some(2) && why.starts_with("cannot be asked: this machine finds no "), "{told}");
    assert_eq!(
        [&unasked["asked"], &unasked["answers"], &unasked["ready"]],
        [&json!(false), &Value::Null, &Value::Null]
    );
    assert_eq!((&told["well"], &told["elected"]), (&json!(false), &json!(gates)));
    let table = String::from_utf8(run(&asked).stdout).unwrap();
    assert!(table.contains("not asked") && !table.contains("no answer") && !table.contains("all is well"), "{table}");
    let mut portuguese = sctec();
    let output = portuguese.args(asked).env("SCTEC_LANG", "pt").output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("não consultado") && table.contains("http://nobody.invalid não pôde ser"), "{table}");
    // A fault that was seen counts more.
    let away = nobody();
    let output = run(&["status", "--url", &["http://nobody.invalid", &away].join(","), "--coordinator", &gates]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
