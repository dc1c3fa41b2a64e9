//! Waiting lists: who gets slots that become free, in which order, who is passed over, and what the trail and the live agenda tell of it.

use serde_json::{Value, json};

use crate::common::trail::{audit, texts};
use crate::common::{Answer, Asked, Services, at_once, http};

const JSON: &str = "application/json";
const HUBBLE: &str = "/telescopios/Hubble-Acad";

/// The start of the slot so many slots after three o'clock.
fn at(nth: usize) -> String {
    format!("2999-06-01T{:02}:{:02}:00Z", 3 + nth / 12, nth % 12 * 5)
}

fn wait_for(services: &Services, nth: usize, body: &Value) -> Answer {
    let url = services.agenda(&format!("{HUBBLE}/agenda/{}/espera", at(nth)));
    http("POST", &url, Some((JSON, &body.to_string())))
}

/// One who waits for one slot.
fn waits(services: &Services, scientist: i64, nth: usize) -> Value {
    let entered = wait_for(services, nth, &json!({ "cientista_id": scientist }));
    assert_eq!(entered.status, 201, "{}", entered.body);
    assert_eq!(entered.header("location"), entered.json()["_links"]["self"]["href"].as_str());
    entered.json()
}

fn read(services: &Services, wait: &Value) -> Value {
    services.follow(wait, "self").json()
}

fn set(services: &Services, rules: &Value) {
    let body = json!({ "regras": rules }).to_string();
    assert_eq!(http("PATCH", &services.agenda(HUBBLE), Some((JSON, &body))).status, 200);
}

#[test]
fn who_waits_first_gets_the_slot_when_it_is_cancelled() {
    let services = Services::start(&[]);
    let other = services.another_scheduler(&[]);
    let booked = services.book(7, &at(0)).1;
    // The link of a refusal leads there, with the same body.
    let (status, refused) = services.book(3, &at(0));
    assert_eq!((status, &refused["_links"]["esperar"]["method"]), (409, &json!("POST")), "{refused}");
    let url = services.agenda(refused["_links"]["esperar"]["href"].as_str().unwrap());
    let asked = Asked::by(3, &at(0)).with("alvo", "M31").with("observacoes", "frio").text();
    let first = http("POST", &url, Some((JSON, &asked)));
    assert_eq!(first.status, 201, "{}", first.body);
    let (first, second) = (first.json(), waits(&services, 4, 0));
    assert_eq!((&first["posicao"], &second["posicao"]), (&json!(1), &json!(2)));
    let cancelled = http("DELETE", &format!("{}/agendamentos/{}", other.url(), booked["id"]), None);
    assert_eq!(cancelled.status, 200);
    let served = read(&services, &first);
    assert_eq!((&served["status"], &served["posicao"]), (&json!("ATENDIDA"), &Value::Null), "{served}");
    let got = services.follow(&served, "agendamento").json();
    assert_eq!((&got["cientista_id"], &got["alvo"], &got["observacoes"]), (&json!(3), &json!("M31"), &json!("frio")));
    assert_eq!((&got["horario_inicio_utc"], &got["status"]), (&json!(at(0)), &json!("AGENDADO")));
    assert_eq!(read(&services, &second)["posicao"], 1);
    assert!(served["_links"].get("sair").is_none(), "{served}");
    // Leaving: then the next cancellation leaves the slot free.
    assert_eq!(services.follow(&second, "sair").status, 200);
    let again = services.follow(&second, "sair");
    assert_eq!((again.status, &again.json()["codigo"]), (409, &json!("espera_encerrada")));
    assert_eq!(services.follow(&got, "cancelar").status, 200);
    assert_eq!(services.count("SELECT count(*) FROM horarios WHERE agendamento_id IS NOT NULL"), 0);

    let records = http("GET", &services.agenda("/auditoria?limite=500"), None).json()["registros"].clone();
    let told = |event: &str| {
        let of_event = |record: &&Value| record["event_type"] == event;
        records.as_array().unwrap().iter().filter(of_event).cloned().collect::<Vec<_>>()
    };
    assert_eq!((told("ESPERA_CRIADA").len(), told("ESPERA_RETIRADA").len()), (2, 1));
    let (created, attended) = (told("AGENDAMENTO_CRIADO"), told("ESPERA_ATENDIDA"));
    assert_eq!((created.len(), attended.len()), (2, 1));
    assert!(created[0]["details"].get("espera_id").is_none(), "{created:?}");
    assert_eq!(
        (&created[1]["details"]["espera_id"], &created[1]["details"]["agendamento_id"]),
        (&first["id"], &got["id"])
    );
    // One transaction: the cancellation, the booking and the entry have the same instant and request.
    let cancellation = &told("AGENDAMENTO_CANCELADO")[0];
    for record in [&created[1], &attended[0]] {
        assert_eq!((&record["req"], &record["timestamp_utc"]), (&cancellation["req"], &cancellation["timestamp_utc"]));
    }
    let folder = services.stop();
    let verified = audit(&["--data-dir", folder.path().to_str().unwrap(), "--verify", "--deep"]).output().unwrap();
    assert_eq!(verified.status.code(), Some(0), "{:?}", texts(&verified));
}

#[test]
fn a_rest_that_is_given_back_and_a_move_serve_who_waits() {
    let services = Services::start(&[]);
    let booked = services.book_as(&Asked::by(7, &at(0)).minutes(30)).1;
    let (rest, whole) =
        (waits(&services, 3, 4), wait_for(&services, 0, &json!({"cientista_id": 4, "duracao_min": 10})).json());
    let patch = |booking: &Value, body: Value| {
        let url = services.agenda(booking["_links"]["alterar"]["href"].as_str().unwrap());
        http("PATCH", &url, Some((JSON, &body.to_string())))
    };
    let short = patch(&booked, json!({"horario_fim_utc": at(3)})).json();
    assert_eq!(read(&services, &rest)["status"], "ATENDIDA");
    assert_eq!(read(&services, &whole)["status"], "AGUARDANDO");
    // It moves by one slot: who needs the first two of its slots has only one of them.
    assert_eq!(patch(&short, json!({"horario_inicio_utc": at(1), "duracao_min": 15})).status, 200);
    assert_eq!(read(&services, &whole)["status"], "AGUARDANDO");
    assert_eq!(patch(&short, json!({"horario_inicio_utc": at(20)})).status, 200);
    let served = services.follow(&read(&services, &whole), "agendamento").json();
    assert_eq!((&served["horario_inicio_utc"], &served["duracao_min"]), (&json!(at(0)), &json!(10)));
}

#[test]
fn who_may_not_have_the_slot_is_passed_over_and_told_why() {
    let services = Services::start(&[]);
    let booked = services.book(7, &at(0)).1;
    let (over, next) = (waits(&services, 3, 0), waits(&services, 4, 0));
    assert_eq!(services.book(3, &at(10)).0, 201);
    set(&services, &json!({"cota_ativas": 1}));
    assert_eq!(services.follow(&booked, "cancelar").status, 200);
    let passed = read(&services, &over);
    assert_eq!(
        (&passed["status"], &passed["preterida"]["codigo"]),
        (&json!("AGUARDANDO"), &json!("regra_cota_ativas"))
    );
    assert!(passed["preterida"]["motivo"].as_str().unwrap().ends_with("que é 1"), "{passed}");
    let served = read(&services, &next);
    assert_eq!(served["status"], "ATENDIDA");
    let records = http("GET", &services.agenda("/auditoria?evento=ESPERA_PRETERIDA"), None).json()["registros"].clone();
    assert_eq!((&records[0]["details"]["espera_id"], records.as_array().unwrap().len()), (&over["id"], 1));
    assert_eq!(records[0]["details"]["codigo"], "regra_cota_ativas");
    // The next time it may.
    set(&services, &json!({"cota_ativas": null}));
    let got = services.follow(&served, "agendamento").json();
    assert_eq!(services.follow(&got, "cancelar").status, 200);
    assert_eq!(read(&services, &over)["status"], "ATENDIDA");
}

#[test]
fn nobody_waits_for_what_is_free_twice_or_without_a_right_to_it() {
    let services = Services::start(&[]);
    let refused = |nth, body: Value, status, code: &str| {
        let answer = wait_for(&services, nth, &body);
        assert_eq!((answer.status, &answer.json()["codigo"]), (status, &json!(code)), "{}", answer.body);
        answer.json()
    };
    let free = refused(0, json!({"cientista_id": 3}), 409, "horario_livre");
    assert!(free["_links"]["agendar"].is_object(), "{free}");
    services.book(7, &at(0));
    let wait = waits(&services, 3, 0);
    let twice = refused(0, json!({"cientista_id": 3, "duracao_min": 10}), 409, "ja_na_espera");
    assert_eq!(twice["_links"]["espera"]["href"], wait["_links"]["self"]["href"]);
    refused(0, json!({"cientista_id": 77}), 404, "cientista_desconhecido");
    for body in [
        json!({"cientista_id": 3, "duracao_min": 7}),
        json!({"cientista_id": 3, "horario_inicio_utc": at(1)}),
        json!({"cientista_id": 3, "telescopio": "Webb-Acad"}),
        json!({"cientista_id": 3, "x": 1}),
        json!({}),
    ] {
        refused(0, body, 422, "campos_invalidos");
    }
    for path in ["agora", "2999-06-01T03:01:00Z"] {
        let url = services.agenda(&format!("{HUBBLE}/agenda/{path}/espera"));
        let answer = http("POST", &url, Some((JSON, r#"{"cientista_id": 3}"#)));
        assert_eq!((answer.status, &answer.json()["erros"][0]["campo"]), (422, &json!("horario_inicio_utc")), "{path}");
    }
    for path in ["/esperas/99", "/esperas/x"] {
        let unknown = http("GET", &services.agenda(path), None);
        assert_eq!((unknown.status, &unknown.json()["codigo"]), (404, &json!("espera_desconhecida")));
    }
    // A hundred at once: each of the ten scientists waits once.
    services.book(7, &at(5));
    let url = services.agenda(&format!("{HUBBLE}/agenda/{}/espera", at(5)));
    let bodies: Vec<_> =
        (0..40).map(|nth| (url.clone(), json!({ "cientista_id": 1 + nth % 10 }).to_string())).collect();
    let statuses = at_once(&bodies);
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 10, "{statuses:?}");
    let page = http("GET", &services.agenda("/esperas?cientista_id=3&status=AGUARDANDO&limite=1"), None).json();
    assert_eq!((page["esperas"].as_array().unwrap().len(), &page["esperas"][0]["id"]), (1, &wait["id"]));
    let more = services.follow(&page, "proxima").json();
    assert_eq!((more["esperas"].as_array().unwrap().len(), more["_links"].get("proxima")), (1, None), "{more}");
    let wrong = http("GET", &services.agenda("/esperas?status=x"), None);
    assert_eq!(wrong.status, 422);
}

#[test]
fn the_race_without_locks_has_no_waiting_list() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::common::scheduler_command(folder.path(), "http://127.0.0.1:9");
    let scheduler = crate::common::Server::spawn(command.args(["--no-lock", "--critical-delay-ms", "0"]), 1);
    let post = |path: &str, body: &str| http("POST", &format!("{}{path}", scheduler.url()), Some((JSON, body)));
    assert_eq!(post("/agendamentos", &Asked::by(7, &at(0)).text()).status, 201);
    let refused = post("/agendamentos", &Asked::by(3, &at(0)).text());
    assert_eq!((refused.status, refused.json()["_links"].get("esperar")), (409, None), "{}", refused.body);
    let answer = post(&format!("{HUBBLE}/agenda/{}/espera", at(0)), r#"{"cientista_id": 3}"#);
    assert_eq!((answer.status, &answer.json()["codigo"]), (409, &json!("sem_lista_de_espera")));
}

#[test]
fn a_maintenance_gives_nobody_the_slots_that_it_closes_and_its_end_gives_them() {
    let services = Services::start(&[]);
    let booked = services.book_as(&Asked::by(7, &at(0)).minutes(30)).1;
    let (before, within) = (waits(&services, 3, 0), waits(&services, 4, 4));
    let times = json!({"inicio_utc": at(3), "fim_utc": at(9), "motivo": "espelho", "cancelar_agendamentos": true});
    let url = services.agenda(&format!("{HUBBLE}/manutencoes"));
    let closed = http("POST", &url, Some((JSON, &times.to_string())));
    assert_eq!((closed.status, &closed.json()["agendamentos_cancelados"]), (201, &json!([booked["id"]])));
    assert_eq!(read(&services, &before)["status"], "ATENDIDA");
    let passed = read(&services, &within);
    assert_eq!((&passed["status"], &passed["preterida"]["codigo"]), (&json!("AGUARDANDO"), &json!("em_manutencao")));
    assert_eq!(wait_for(&services, 5, &json!({"cientista_id": 5})).json()["erros"][0]["codigo"], "em_manutencao");
    assert_eq!(services.follow(&closed.json(), "retirar").status, 200);
    let served = read(&services, &within);
    assert_eq!(served["status"], "ATENDIDA", "{served}");
    let got = services.follow(&served, "agendamento").json();
    assert_eq!((&got["horario_inicio_utc"], &got["cientista_id"]), (&json!(at(4)), &json!(4)));
    let folder = services.stop();
    let verified = audit(&["--data-dir", folder.path().to_str().unwrap(), "--verify", "--deep"]).output().unwrap();
    assert_eq!(verified.status.code(), Some(0), "{:?}", texts(&verified));
}

#[test]
fn a_proposal_is_checked_and_charged_when_the_slot_becomes_free() {
    let services = Services::start(&[]);
    let proposal = json!({
        "titulo": "M31", "responsavel_id": 3, "membros": [4, 7], "inicio_utc": "2999-01-01T00:00:00Z",
        "fim_utc": "3000-01-01T00:00:00Z", "alocado_min": {"Hubble-Acad": 10},
    });
    let created = http("POST", &services.agenda("/propostas"), Some((JSON, &proposal.to_string())));
    assert_eq!(created.status, 201, "{}", created.body);
    set(&services, &json!({"exige_proposta": true}));
    let body = |scientist: i64| json!({"cientista_id": scientist, "proposta_id": 1});
    let book = |scientist: i64, nth| {
        services.book_with(&json!({"cientista_id": scientist, "horario_inicio_utc": at(nth), "proposta_id": 1})).1
    };
    let booked = book(7, 0);
    let without = wait_for(&services, 0, &json!({"cientista_id": 4}));
    assert_eq!((without.status, &without.json()["erros"][0]["codigo"]), (422, &json!("proposta_obrigatoria")));
    let first = wait_for(&services, 0, &body(4)).json();
    let second = wait_for(&services, 0, &json!({"cientista_id": 3, "proposta_id": 1})).json();
    assert_eq!((&first["status"], &first["proposta_id"]), (&json!("AGUARDANDO"), &json!(1)));
    // Both of the proposal's slots are used. The first gives its minutes back, and one who waits uses them again.
    let other = book(7, 12);
    assert_eq!(services.follow(&booked, "cancelar").status, 200);
    let got = services.follow(&read(&services, &first), "agendamento").json();
    assert_eq!(got["proposta_id"], 1);
    let used = || http("GET", &services.agenda("/propostas/1"), None).json();
    assert_eq!(used()["usado_min"]["Hubble-Acad"], 10, "{}", used());
    // With fewer minutes there is nothing left for the next one.
    let less = json!({"alocado_min": {"Hubble-Acad": 5}}).to_string();
    assert_eq!(http("PATCH", &services.agenda("/propostas/1"), Some((JSON, &less))).status, 200);
    assert_eq!(services.follow(&got, "cancelar").status, 200);
    let passed = read(&services, &second);
    assert_eq!(
        (&passed["status"], &passed["preterida"]["codigo"]),
        (&json!("AGUARDANDO"), &json!("proposta_sem_tempo"))
    );
    assert_eq!(used()["usado_min"]["Hubble-Acad"], other["duracao_min"]);
}

#[test]
fn who_gives_a_slot_up_does_not_get_it_back_by_that() {
    let services = Services::start(&[]);
    let booked = services.book(3, &at(0)).1;
    let own = waits(&services, 3, 0);
    assert_eq!(services.follow(&booked, "cancelar").status, 200);
    let passed = read(&services, &own);
    assert_eq!((&passed["status"], &passed["preterida"]["codigo"]), (&json!("AGUARDANDO"), &json!("proprio_horario")));
    // When another scientist gives it up, it is theirs.
    let others = services.book(7, &at(0)).1;
    assert_eq!(services.follow(&others, "cancelar").status, 200);
    assert_eq!(read(&services, &own)["status"], "ATENDIDA");
}

#[test]
fn a_wait_is_over_when_its_slot_begins() {
    let services = Services::start(&[]);
    let long_ago = 1_700_000_100_000_000_i64;
    for (id, code) in [(1, "Webb-Acad"), (2, "Hubble-Acad")] {
        services.sql(&format!(
            "INSERT INTO esperas (id, telescopio_id, cientista_id, inicio_us, fim_us, status, criada_us, req)
             SELECT {id}, id, 3, {long_ago}, {long_ago} + 300000000, 'AGUARDANDO', {long_ago}, 'r-1' FROM telescopios
             WHERE codigo = '{code}'"
        ));
    }
    let wait = |id: i64| http("GET", &services.agenda(&format!("/esperas/{id}")), None).json();
    let over = wait(1);
    assert_eq!((&over["status"], &over["posicao"]), (&json!("EXPIRADA"), &Value::Null), "{over}");
    assert_eq!(over["_links"].get("sair"), None);
    let left = http("DELETE", &services.agenda("/esperas/1"), None);
    assert_eq!((left.status, &left.json()["codigo"]), (409, &json!("espera_encerrada")));
    // The past of a simulated telescope can be booked.
    assert_eq!((&wait(2)["status"], &wait(2)["posicao"]), (&json!("AGUARDANDO"), &json!(1)));
    for (status, id) in [("EXPIRADA", 1), ("AGUARDANDO", 2)] {
        let page = http("GET", &services.agenda(&format!("/esperas?status={status}")), None).json();
        let ids: Vec<_> = page["esperas"].as_array().unwrap().iter().map(|wait| wait["id"].clone()).collect();
        assert_eq!(ids, [json!(id)], "{status}");
    }
}
