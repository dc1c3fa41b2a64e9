//! Bookings that change: shorter, elsewhere, with other texts; for a version that is still the present one, and as the trail tells it.

use serde_json::{Value, json};

use crate::common::storage::{self, of_sqlite};
use crate::common::trail::{audit, texts};
use crate::common::{Answer, Asked, Services, at_once, http, http_with, without_bookings_of_records};

const PATCH: &str = "application/merge-patch+json";
const SLOT: &str = "2999-06-01T03:00:00Z";

fn change(services: &Services, id: &Value, body: &Value) -> Answer {
    change_for(services, id, body, &[])
}

fn change_for(services: &Services, id: &Value, body: &Value, headers: &[(&str, &str)]) -> Answer {
    let url = services.agenda(&format!("/agendamentos/{id}"));
    http_with("PATCH", &url, Some((PATCH, &body.to_string())), headers)
}

fn read(services: &Services, id: &Value) -> Answer {
    http("GET", &services.agenda(&format!("/agendamentos/{id}")), None)
}

/// The start of the slot so many slots after [`SLOT`].
fn at(nth: usize) -> String {
    format!("2999-06-01T{:02}:{:02}:00Z", 3 + nth / 12, nth % 12 * 5)
}

/// The wrong fields of an answer with their codes.
fn wrong(answer: &Answer) -> Vec<(String, String)> {
    let errors = answer.json()["erros"].as_array().cloned().unwrap_or_default();
    let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
    errors.iter().map(|error| (text(error, "campo"), text(error, "codigo"))).collect()
}

/// How many of these slots are free.
fn free(services: &Services, from: usize, until: usize) -> usize {
    let path = format!("/telescopios/Hubble-Acad/agenda?de={}&ate={}", at(from), at(until));
    let agenda = http("GET", &services.agenda(&path), None).json();
    agenda["horarios"].as_array().unwrap().iter().filter(|slot| slot["estado"] == "livre").count()
}

#[test]
fn a_booking_is_shortened_moved_and_named_anew() {
    let services = Services::start(&["--lock-retention-ms", "60000"]);
    let booked = services.book_as(&Asked::by(7, SLOT).minutes(30).with("observacoes", "frio")).1;
    let id = &booked["id"];
    let link = &booked["_links"]["alterar"];
    assert_eq!((link["method"].as_str(), link["campos"].as_array().map(Vec::len)), (Some("PATCH"), Some(6)));
    // Although its slots are retained: it is the booking's own.
    let short = change(&services, id, &json!({"horario_fim_utc": at(2)}));
    assert_eq!((short.status, &short.json()["duracao_min"]), (200, &json!(10)), "{}", short.body);
    assert_eq!(free(&services, 0, 6), 4);
    assert_eq!(services.book_as(&Asked::by(3, &at(4)).minutes(10)).0, 201);
    let moved = change(&services, id, &json!({"horario_inicio_utc": at(1), "telescopio": "Hubble-Acad"}));
    assert_eq!((moved.status, &moved.json()["horario_fim_utc"]), (200, &json!(at(3))), "{}", moved.body);
    assert_eq!(free(&services, 0, 6), 2);
    // Into a rival, or a second before it: nothing changes.
    for body in [json!({"horario_inicio_utc": at(3)}), json!({"duracao_min": 20}), json!({"horario_inicio_utc": at(4)})]
    {
        let taken = change(&services, id, &body);
        let problem = taken.json();
        assert_eq!((taken.status, &problem["codigo"]), (409, &json!("horario_ocupado")), "{}", taken.body);
        assert_eq!((&problem["horario_inicio_utc"], &problem["cientista_id"]), (&json!(at(4)), &json!(3)));
        assert!(problem["_links"]["livres"].is_object(), "{problem}");
        assert_eq!(read(&services, id).json(), moved.json());
    }
    let texts = change(&services, id, &json!({"alvo": "M31", "observacoes": null})).json();
    assert_eq!((&texts["alvo"], &texts["observacoes"], &texts["versao"]), (&json!("M31"), &Value::Null, &json!(4)));
    // What a client has read it can send back.
    let again = change(&services, id, &texts);
    assert_eq!((again.status, again.json()), (200, texts.clone()));
    let webb = change(&services, id, &json!({"telescopio": "Webb-Acad"})).json();
    assert_eq!((&webb["telescopio"], &webb["horario_inicio_utc"]), (&json!("Webb-Acad"), &json!(at(1))));
    assert_eq!(free(&services, 0, 4), 4);
    let cancelled = services.follow(&webb, "cancelar").json();
    assert_eq!((&cancelled["versao"], cancelled["_links"].get("alterar")), (&json!(6), None));
    let late = change(&services, id, &json!({"alvo": "M32"}));
    assert_eq!((late.status, &late.json()["codigo"]), (409, &json!("ja_cancelado")));
    assert_eq!(change(&services, &json!(99), &json!({})).status, 404);
}

#[test]
fn every_wrong_field_of_a_change_is_named() {
    let services = Services::start(&[]);
    let id = services.book_as(&Asked::by(7, SLOT).minutes(30)).1["id"].clone();
    for (body, expected) in [
        (json!({"horario_fim_utc": "2999-06-01T03:07:00Z"}), vec![("horario_fim_utc", "duracao_invalida")]),
        (json!({"horario_fim_utc": SLOT}), vec![("horario_fim_utc", "duracao_invalida")]),
        (
            json!({"horario_fim_utc": at(2), "duracao_min": 15}),
            vec![("duracao_min", "contradicao"), ("horario_fim_utc", "contradicao")],
        ),
        (
            json!({"horario_inicio_utc": null, "cientista_id": 8, "status": "CANCELADO", "alvo": ""}),
            vec![
                ("horario_inicio_utc", "invalido"),
                ("alvo", "tamanho"),
                ("cientista_id", "numero_invalido"),
                ("status", "invalido"),
            ],
        ),
        (
            json!({"horario_inicio_utc": "2999-06-01T03:01:00Z", "telescopio": "Nenhum", "x": 1}),
            vec![
                ("x", "desconhecido"),
                ("telescopio", "telescopio_desconhecido"),
                ("horario_inicio_utc", "fora_da_grade"),
            ],
        ),
        (
            json!({"horario_inicio_utc": "2999-07-01T00:00:00Z", "duracao_min": 1440}),
            vec![("duracao_min", "duracao_invalida")],
        ),
        (
            json!({"telescopio": "Webb-Acad", "horario_inicio_utc": "2020-01-01T00:00:00Z"}),
            vec![("horario_inicio_utc", "ja_passou")],
        ),
    ] {
        let answer = change(&services, &id, &body);
        let expected: Vec<_> = expected.into_iter().map(|(field, code)| (field.to_owned(), code.to_owned())).collect();
        assert_eq!((answer.status, wrong(&answer)), (422, expected), "{body}: {}", answer.body);
    }
    let unknown = change(&services, &id, &json!({"telescopio": "Nenhum"}));
    assert_eq!((unknown.status, &unknown.json()["codigo"]), (404, &json!("telescopio_desconhecido")));
    // The rules of the new place, in which the booking's own minutes do not count twice.
    let rules = json!({"regras": {"cota_ativas": 1, "cota_dia_min": 30, "duracao_max_min": 30}}).to_string();
    let rules = http("PATCH", &services.agenda("/telescopios/Hubble-Acad"), Some((PATCH, &rules)));
    assert_eq!(rules.status, 200);
    assert_eq!(change(&services, &id, &json!({"horario_inicio_utc": at(3)})).status, 200);
    let longer = change(&services, &id, &json!({"duracao_min": 35}));
    assert_eq!(wrong(&longer)[0].1, "regra_duracao");
    let other = services.book_as(&Asked::by(7, SLOT).on("Webb-Acad")).1["id"].clone();
    let over = change(&services, &other, &json!({"telescopio": "Hubble-Acad"}));
    assert_eq!((over.status, wrong(&over)), (422, vec![("cientista_id".to_owned(), "regra_cota_ativas".to_owned())]));
}

#[test]
fn a_change_is_made_of_the_version_that_its_client_has_read() {
    let services = Services::start(&[]);
    let booked =
        http("POST", &services.agenda("/agendamentos"), Some(("application/json", &Asked::by(7, SLOT).text())));
    let (id, tag) = (booked.json()["id"].clone(), booked.header("etag").unwrap().to_owned());
    assert_eq!(tag, "\"1\"");
    let url = services.agenda(&format!("/agendamentos/{id}"));
    let first = read(&services, &id);
    let tag = first.header("etag").unwrap().to_owned();
    assert_eq!((tag.starts_with("\"1-"), first.json()), (true, booked.json()), "{tag}");
    let known = http_with("GET", &url, None, &[("If-None-Match", &tag)]);
    assert_eq!((known.status, known.body.as_str(), known.header("etag")), (304, "", Some(tag.as_str())));
    let changed = change_for(&services, &id, &json!({"alvo": "M31"}), &[("If-Match", &tag)]);
    let newer = changed.header("etag").unwrap().to_owned();
    assert_eq!((changed.status, newer.as_str()), (200, "\"2\""));
    assert_eq!(http_with("GET", &url, None, &[("If-None-Match", &tag)]).status, 200);
    // Another's change is not undone without being seen.
    for body in [json!({"alvo": "M32"}), json!({"horario_inicio_utc": at(5)})] {
        let late = change_for(&services, &id, &body, &[("If-Match", &tag)]);
        let problem = late.json();
        assert_eq!((late.status, &problem["codigo"], &problem["versao"]), (412, &json!("versao_diferente"), &json!(2)));
        assert_eq!(problem["etag"], newer);
        assert_eq!(services.follow(&problem, "agendamento").json()["alvo"], "M31");
    }
    let weak = change_for(&services, &id, &json!({"alvo": "M32"}), &[("If-Match", &format!("W/{newer}"))]);
    assert_eq!(weak.status, 412);
    for expected in ["*", &format!("{tag}, {newer}")] {
        let done = change_for(&services, &id, &json!({"alvo": "M31"}), &[("If-Match", expected)]);
        assert_eq!((done.status, &done.json()["versao"]), (200, &json!(2)), "{expected}");
    }
    // A cancellation too is for the version that was read, and a header that is none changes nothing.
    let cancel = |expected: &str| http_with("DELETE", &url, None, &[("If-Match", expected)]);
    let late = cancel(&tag);
    assert_eq!((late.status, &late.json()["versao"], &late.json()["etag"]), (412, &json!(2), &json!("\"2\"")));
    for malformed in [cancel("2"), change_for(&services, &id, &json!({"alvo": "M33"}), &[("If-Match", "2")])] {
        assert_eq!((malformed.status, &malformed.json()["codigo"]), (400, &json!("cabecalho_malformado")));
    }
    let still = read(&services, &id).json();
    assert_eq!((&still["status"], &still["alvo"], &still["versao"]), (&json!("AGENDADO"), &json!("M31"), &json!(2)));
    assert_eq!(cancel(&newer).status, 200);
    assert_eq!(http_with("DELETE", &url, None, &[("If-Match", "\"3\"")]).json()["codigo"], "ja_cancelado");
}

#[test]
fn what_another_scheduler_has_just_added_can_be_moved_to_and_changed() {
    let services = Services::start(&[]);
    let other = services.another_scheduler(&[]);
    let booked = services.book(7, SLOT).1;
    // This scheduler has the catalogue as it was.
    assert_eq!(change(&services, &booked["id"], &json!({"alvo": "M31"})).status, 200);
    let new = json!({"id": "Chandra", "nome": "Chandra", "simulado": true}).to_string();
    let made = http("POST", &format!("{}/telescopios", other.url()), Some(("application/json", &new)));
    assert_eq!(made.status, 201, "{}", made.body);
    // What is over can be changed only on a simulated telescope.
    let past = Asked::by(3, "2020-01-01T00:00:00Z").on("Chandra").text();
    let past = http("POST", &format!("{}/agendamentos", other.url()), Some(("application/json", &past))).json();
    let named = change(&services, &past["id"], &json!({"alvo": "M32"}));
    assert_eq!((named.status, &named.json()["alvo"]), (200, &json!("M32")), "{}", named.body);
    let moved = change(&services, &booked["id"], &json!({"telescopio": "Chandra"}));
    assert_eq!((moved.status, &moved.json()["telescopio"]), (200, &json!("Chandra")), "{}", moved.body);
}

#[test]
fn a_refused_move_is_recorded_where_refusals_are() {
    let services = Services::start(&["--audit-refusals"]);
    let booked = services.book_as(&Asked::by(7, SLOT).with("alvo", "M31")).1;
    let rival = services.book(3, &at(6)).1;
    assert_eq!(change(&services, &booked["id"], &json!({"horario_inicio_utc": at(6)})).status, 409);
    // What was wrong before any lock was asked for is in the log alone.
    assert_eq!(change(&services, &booked["id"], &json!({"duracao_min": 7})).status, 422);
    let history = services.follow(&booked, "historico").json()["registros"].as_array().unwrap().clone();
    assert_eq!(history.len(), 2, "{history:#?}");
    let refused = &history[1];
    assert_eq!(refused["event_type"], "AGENDAMENTO_RECUSADO");
    let details = &refused["details"];
    assert_eq!((&details["agendamento_id"], &details["ocupado_por"]), (&booked["id"], &rival["id"]));
    assert_eq!((&details["codigo"], &details["alvo"]), (&json!("horario_ocupado"), &json!("M31")));
    assert_eq!((&details["horario_inicio_utc"], &details["cientista_id"]), (&json!(at(6)), &json!(7)));
    let folder = services.stop();
    let verified = audit(&["--data-dir", folder.path().to_str().unwrap(), "--verify", "--deep"]).output().unwrap();
    assert_eq!(verified.status.code(), Some(0), "{:?}", texts(&verified));
}

#[test]
fn of_many_that_move_to_one_slot_one_gets_it_and_the_others_stay() {
    let services = Services::start(&[]);
    let other = services.another_scheduler(&[]);
    let ids: Vec<Value> =
        (1..).zip(0..10).map(|(scientist, nth)| services.book(scientist, &at(nth)).1["id"].clone()).collect();
    let urls = [services.agenda(""), other.url()];
    let body = json!({"horario_inicio_utc": at(50)}).to_string();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let moves: Vec<_> = ids
            .iter()
            .enumerate()
            .map(|(nth, id)| {
                let url = format!("{}/agendamentos/{id}", urls[nth % 2]);
                let body = &body;
                scope.spawn(move || http("PATCH", &url, Some((PATCH, body))).status)
            })
            .collect();
        moves.into_iter().map(|moved| moved.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 409].contains(status)), "{statuses:?}");
    assert_eq!(services.count("SELECT count(*) FROM horarios WHERE agendamento_id IS NOT NULL"), 10);
    // Two that would change places cannot: each is in the other's way.
    let (first, second) = (&ids[0], &ids[1]);
    let taken =
        change(&services, first, &json!({"horario_inicio_utc": read(&services, second).json()["horario_inicio_utc"]}));
    assert_eq!(taken.status, 409);
    // A hundred bookings at once for the slot that became free: one gets it.
    let freed = (0..10).find(|nth| free(&services, *nth, *nth + 1) == 1).unwrap();
    let bodies: Vec<_> = (0..40)
        .zip((1..=10).cycle())
        .map(|(nth, who)| (format!("{}/agendamentos", urls[nth % 2]), Asked::by(who, &at(freed)).text()))
        .collect();
    assert_eq!(at_once(&bodies).iter().filter(|status| **status == 201).count(), 1);
}

#[test]
fn the_trail_tells_each_change_with_what_was_before_and_after() {
    let services = Services::start(&[]);
    let booked = services.book_as(&Asked::by(7, SLOT).minutes(15).with("observacoes", "segredo")).1;
    let id = &booked["id"];
    for body in [
        json!({"horario_inicio_utc": at(6), "alvo": "M31"}),
        json!({"horario_fim_utc": at(7)}),
        json!({"observacoes": "outro"}),
        json!({}),
    ] {
        assert_eq!(change(&services, id, &body).status, 200, "{body}");
    }
    let history = services.follow(&booked, "historico").json()["registros"].as_array().unwrap().clone();
    let events: Vec<_> = history.iter().map(|record| record["event_type"].as_str().unwrap()).collect();
    assert_eq!(events, ["AGENDAMENTO_CRIADO", "AGENDAMENTO_ALTERADO", "AGENDAMENTO_ALTERADO", "AGENDAMENTO_ALTERADO"]);
    let state = |from: usize, until: usize, target: Value| json!({"telescopio": "Hubble-Acad", "horario_inicio_utc": at(from), "horario_fim_utc": at(until), "alvo": target});
    let moved = &history[1]["details"];
    assert_eq!((&moved["antes"], &moved["depois"]), (&state(0, 3, Value::Null), &state(6, 9, json!("M31"))));
    assert_eq!((&moved["horario_inicio_utc"], &moved["versao"]), (&json!(at(6)), &json!(2)));
    assert!(moved["token"].as_u64() > history[0]["details"]["token"].as_u64(), "{moved}");
    let named = &history[3]["details"];
    assert_eq!((&named["observacoes_mudaram"], &named["token"]), (&json!(true), &Value::Null));
    assert!(history.iter().all(|record| !record.to_string().contains("segredo")), "{history:?}");
    // The slot to which it moved finds the change, and its request tells of all that it did.
    let by_slot =
        http("GET", &services.agenda(&format!("/auditoria?evento=AGENDAMENTO_ALTERADO&horario_utc={}", at(8))), None);
    assert_eq!(by_slot.json()["registros"].as_array().unwrap().len(), 1);
    let request = history[1]["req"].as_str().unwrap().to_owned();
    let saved = services.log_lines("app.log", &format!("req={request}"));
    assert!(saved.iter().any(|line| line.contains("Salvando alteração no BD")), "{saved:#?}");
    assert!(
        saved.iter().any(|line| line.contains("Tentando adquirir lock") && line.contains("recursos=6")),
        "{saved:#?}"
    );

    let folder = services.stop();
    let dir = folder.path().to_str().unwrap();
    let verified = audit(&["--data-dir", dir, "--verify", "--deep"]).output().unwrap();
    assert_eq!(verified.status.code(), Some(0), "{:?}", texts(&verified));
    storage::rows(folder.path(), "sctec.db", "UPDATE agendamentos SET fim_us = fim_us + 300000000");
    let verified = audit(&["--data-dir", dir, "--verify", "--deep"]).output().unwrap();
    assert_eq!(verified.status.code(), Some(2), "{:?}", texts(&verified));
}

#[test]
fn a_move_needs_the_coordinator_and_a_text_does_not() {
    let mut services = Services::start(&[]);
    let id = services.book(7, SLOT).1["id"].clone();
    assert_eq!(services.coordinator.terminate(), Some(0));
    let moved = change(&services, &id, &json!({"horario_inicio_utc": at(5)}));
    assert_eq!((moved.status, &moved.json()["codigo"]), (503, &json!("coordenador_indisponivel")));
    assert_eq!(change(&services, &id, &json!({"alvo": "M31"})).json()["alvo"], "M31");
    assert_eq!(read(&services, &id).json()["horario_inicio_utc"], SLOT);
}

#[test]
fn a_database_of_the_version_before_gets_versions() {
    of_sqlite!("the version before had no PostgreSQL");
    let services = Services::start(&[]);
    let (kept, cancelled) = (services.book(7, SLOT).1, services.book(7, &at(1)).1);
    assert_eq!(services.follow(&cancelled, "cancelar").status, 200);
    let folder = services.stop();
    let dir = folder.path().to_str().unwrap().to_owned();
    let database = rusqlite::Connection::open(folder.path().join("sctec.db")).unwrap();
    database.execute_batch("DROP TABLE esperas; DROP TABLE respostas; DROP TABLE chaves_de_hora").unwrap();
    database.execute_batch("DROP INDEX manutencoes_retiradas").unwrap();
    for column in ["versao", "alterado_us", "carimbo_us", "disputado"] {
        database.execute_batch(&format!("ALTER TABLE agendamentos DROP COLUMN {column}")).unwrap();
    }
    for (table, column) in [("telescopios", "disputa"), ("horarios", "abre_us"), ("manutencoes", "abre_us")] {
        database.execute_batch(&format!("ALTER TABLE {table} DROP COLUMN {column}")).unwrap();
    }
    without_bookings_of_records(&database);
    database.pragma_update(None, "user_version", 9).unwrap();
    drop(database);
    let verified = || audit(&["--data-dir", &dir, "--verify", "--deep"]).output().unwrap();
    assert_eq!(verified().status.code(), Some(0), "as the version before left it");
    let services = Services::start_in(folder, &[]);
    let versions = [&kept, &cancelled].map(|booking| read(&services, &booking["id"]).json()["versao"].clone());
    assert_eq!(versions, [1, 2]);
    assert_eq!(change(&services, &kept["id"], &json!({"alvo": "M31"})).json()["versao"], 2);
    let _folder = services.stop();
    assert_eq!(verified().status.code(), Some(0), "{:?}", texts(&verified()));
}
