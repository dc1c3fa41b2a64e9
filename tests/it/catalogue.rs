//! The catalogue: telescopes and scientists are added, searched, changed and deactivated by operators, also through several schedulers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Answer, Services, http, http_with, wait_until};

const JSON: &str = "application/json";

fn post(services: &Services, path: &str, body: &Value) -> Answer {
    http("POST", &services.agenda(path), Some((JSON, &body.to_string())))
}

fn patch(services: &Services, path: &str, body: &Value) -> Answer {
    http("PATCH", &services.agenda(path), Some(("application/merge-patch+json", &body.to_string())))
}

fn code(answer: &Answer) -> String {
    answer.json()["codigo"].as_str().unwrap_or_default().to_owned()
}

/// The codes of the wrong fields of an answer.
fn fields(answer: &Value) -> Vec<(&str, &str)> {
    let errors = answer["erros"].as_array().into_iter().flatten();
    errors.map(|error| (error["campo"].as_str().unwrap(), error["codigo"].as_str().unwrap())).collect()
}

/// The names of all items of a list, page by page.
fn names(services: &Services, list: &str, path: &str) -> Vec<String> {
    let (mut names, mut next) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = next {
        let page = http("GET", &services.agenda(&path), None).json();
        let items = page[list].as_array().unwrap_or_else(|| panic!("{page}"));
        names.extend(items.iter().map(|item| item["nome"].as_str().unwrap().to_owned()));
        next = page["_links"]["proxima"]["href"].as_str().map(str::to_owned);
        assert!(names.len() < 100_000, "the pages never end");
    }
    names
}

#[test]
fn a_scientist_is_added_changed_deactivated_and_activated() {
    let services = Services::start(&[]);
    let list = http("GET", &services.agenda("/cientistas"), None).json();
    let create = &list["_links"]["criar"];
    assert_eq!((create["method"].as_str(), create["href"].as_str()), (Some("POST"), Some("/cientistas")));
    let ana = json!({"nome": "Ana Müller", "instituicao": "USP", "pais": "BR"});
    let created = post(&services, "/cientistas", &ana);
    assert_eq!((created.status, created.header("location")), (201, Some("/cientistas/11")), "{}", created.body);
    assert_eq!((&created.json()["id"], &created.json()["ativo"]), (&json!(11), &json!(true)));
    assert_eq!(services.book(11, "2030-01-01T03:00:00Z").0, 201);

    let changed = patch(&services, "/cientistas/11", &json!({"instituicao": "Unicamp", "ativo": false}));
    assert_eq!((changed.status, &changed.json()["instituicao"]), (200, &json!("Unicamp")), "{}", changed.body);
    let (status, refused) = services.book(11, "2030-01-01T03:05:00Z");
    assert_eq!((status, fields(&refused)), (422, vec![("cientista_id", "cientista_inativo")]));
    // What was booked stays, and can be cancelled.
    let mine = services.list("?cientista_id=11&status=AGENDADO");
    assert_eq!(mine.len(), 1);
    let url = services.agenda(mine[0]["_links"]["cancelar"]["href"].as_str().unwrap());
    assert_eq!(http("DELETE", &url, None).status, 200);
    assert_eq!(patch(&services, "/cientistas/11", &json!({"ativo": true})).status, 200);
    assert_eq!(services.book(11, "2030-01-01T03:05:00Z").0, 201);
    // What a client has read can be sent back, and changes nothing.
    let read = http("GET", &services.agenda("/cientistas/11"), None).json();
    assert_eq!(patch(&services, "/cientistas/11", &read).json(), read);

    let records = http("GET", &services.agenda("/auditoria?evento=CATALOGO_ALTERADO&cientista_id=11"), None).json();
    let details: Vec<_> = records["registros"].as_array().unwrap().iter().map(|record| &record["details"]).collect();
    assert_eq!(details.len(), 3, "{records}");
    assert_eq!((&details[0]["antes"], &details[0]["depois"]["nome"]), (&Value::Null, &json!("Ana Müller")));
    assert_eq!((&details[1]["antes"]["ativo"], &details[1]["depois"]["ativo"]), (&json!(true), &json!(false)));
    assert_eq!((code(&patch(&services, "/cientistas/99", &json!({}))).as_str()), "cientista_desconhecido");
}

#[test]
fn a_telescope_is_added_with_rules_and_deactivated() {
    let services = Services::start(&[]);
    let other = services.another_scheduler(&[]);
    let new = json!({"id": "SALSA-1", "nome": "Onsala Vale", "simulado": true, "regras": {"duracao_max_min": 30}});
    let created = post(&services, "/telescopios", &new);
    assert_eq!((created.status, created.header("location")), (201, Some("/telescopios/SALSA-1")), "{}", created.body);
    assert_eq!(created.json()["regras"]["duracao_max_min"], 30);
    let again = post(&services, "/telescopios", &new);
    assert_eq!((again.status, code(&again).as_str()), (409, "telescopio_existe"));
    // It can be booked at the other scheduler, which has read the catalogue before.
    let book = |start: &str, minutes: i64| {
        let body =
            json!({"cientista_id": 7, "horario_inicio_utc": start, "telescopio": "SALSA-1", "duracao_min": minutes});
        http("POST", &format!("{}/agendamentos", other.url()), Some((JSON, &body.to_string())))
    };
    assert_eq!(book("2030-01-01T03:00:00Z", 30).status, 201);
    assert_eq!(fields(&book("2030-01-01T04:00:00Z", 35).json()), [("duracao_min", "regra_duracao")]);

    assert_eq!(patch(&services, "/telescopios/SALSA-1", &json!({"ativo": false})).status, 200);
    let refused = book("2030-01-01T04:00:00Z", 5);
    assert_eq!(fields(&refused.json()), [("telescopio", "telescopio_inativo")]);
    // The other scheduler shows it within a second: nothing is free, and what was booked stands.
    let agenda = format!("{}/telescopios/SALSA-1/agenda?de=2030-01-01T03:00:00Z&ate=2030-01-01T04:00:00Z", other.url());
    let begun = Instant::now();
    let states = || {
        let slots = http("GET", &agenda, None).json()["horarios"].as_array().unwrap().clone();
        slots.iter().map(|slot| slot["estado"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    wait_until("the slots are closed", || states().iter().all(|state| state != "livre"));
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(states(), [["agendado"; 6], ["fechado"; 6]].concat());
    let free = http("GET", &services.agenda("/telescopios/SALSA-1/livres?perto_de=2030-01-01T03:00:00Z"), None).json();
    assert_eq!(free["livres"], json!([]));
    let shown = http("GET", &services.agenda("/telescopios/SALSA-1"), None).json();
    assert!(shown["_links"].get("agendar").is_none() && shown["_links"].get("alterar").is_some(), "{shown}");
    let booking = services.list("?telescopio=SALSA-1").remove(0);
    assert_eq!(
        http("DELETE", &services.agenda(booking["_links"]["cancelar"]["href"].as_str().unwrap()), None).status,
        200
    );
    assert_eq!(patch(&services, "/telescopios/SALSA-1", &json!({"ativo": true})).status, 200);
    assert_eq!(book("2030-01-01T04:00:00Z", 5).status, 201);
}

#[test]
fn lists_are_searched_by_any_part_of_a_name_and_sorted_for_people() {
    let services = Services::start(&[]);
    for name in ["Ángela Öz", "angela oz", "Zoë Ångström", "Émile Zola"] {
        let body = json!({"nome": name, "instituicao": "X", "pais": "BR"});
        assert_eq!(post(&services, "/cientistas", &body).status, 201);
    }
    let found = |query: &str| names(&services, "cientistas", &format!("/cientistas?{query}"));
    assert_eq!(found("busca=angela"), ["Ángela Öz", "angela oz"]);
    assert_eq!(found("busca=CURIE"), ["Marie Curie"]);
    assert_eq!(found("busca=lattes+cesar"), ["César Lattes"]);
    assert_eq!(found("busca=ang&limite=1"), ["Ángela Öz", "angela oz", "Zoë Ångström"]);
    assert_eq!(found("busca=nobody"), Vec::<String>::new());
    let all = found("limite=3");
    assert_eq!(all.len(), 14);
    assert_eq!(all[..4], ["Ángela Öz", "angela oz", "Caroline Herschel", "Cecilia Payne-Gaposchkin"]);
    assert_eq!(all, names(&services, "cientistas", "/cientistas"));
    assert_eq!(patch(&services, "/cientistas/7", &json!({"ativo": false})).status, 200);
    assert_eq!(found("ativo=false"), ["Marie Curie"]);
    assert_eq!(found("ativo=true").len(), 13);

    for (id, name) in [("A-2", "Alfa"), ("A-1", "álfa"), ("z", "Zênite Sul")] {
        assert_eq!(post(&services, "/telescopios", &json!({"id": id, "nome": name})).status, 201);
    }
    let default = "Telescópio Espacial Acadêmico Hubble";
    let all = names(&services, "telescopios", "/telescopios?limite=2");
    assert_eq!(all, [default, "Alfa", "álfa", "Telescópio Espacial Acadêmico Webb", "Zênite Sul"]);
    assert_eq!(names(&services, "telescopios", "/telescopios?busca=a-1"), ["álfa"]);
    assert_eq!(names(&services, "telescopios", "/telescopios?busca=ZENITE"), ["Zênite Sul"]);
    assert_eq!(names(&services, "telescopios", "/telescopios?ids=z,Nenhum,A-2&limite=1"), ["Alfa", "Zênite Sul"]);
    assert_eq!(names(&services, "cientistas", "/cientistas?ids=7,x,99,3&ativo=true"), ["Caroline Herschel"]);
    let wrong = http("GET", &services.agenda("/telescopios?busca=&ativo=sim&ids=a,&limite=501&cursor=x&nome=y"), None);
    assert_eq!((wrong.status, wrong.json()["erros"].as_array().unwrap().len()), (422, 6), "{}", wrong.body);
}

#[test]
fn a_change_under_a_version_that_is_not_the_present_one_does_nothing() {
    let services = Services::start(&[]);
    for (path, body) in [
        ("/telescopios/Hubble-Acad", json!({"regras": {"cota_ativas": 5}})),
        ("/cientistas/7", json!({"instituicao": "Sorbonne"})),
    ] {
        let url = services.agenda(path);
        let change = |tag: &str| http_with("PATCH", &url, Some((JSON, &body.to_string())), &[("If-Match", tag)]);
        let first = http("GET", &url, None).header("etag").unwrap().to_owned();
        assert!(first.starts_with('"') && first.ends_with('"'), "{first}");
        let changed = change(&first);
        assert_eq!(changed.status, 200, "{}", changed.body);
        let second = changed.header("etag").unwrap().to_owned();
        assert_ne!(first, second);
        let read = http("GET", &url, None).header("etag").unwrap().to_owned();
        assert!(read.starts_with(second.trim_end_matches('"')), "{read} is not of the version {second}");
        let late = change(&first);
        assert_eq!(
            (late.status, code(&late).as_str(), &late.json()["etag"]),
            (412, "versao_diferente", &json!(second))
        );
        assert_eq!(change(&format!("W/{second}")).status, 412);
        assert_eq!((change("*").status, change(&format!("\"x\", {second}")).status), (200, 200));
        assert_eq!(code(&change("x")), "cabecalho_malformado");
    }
    let records = services.count("SELECT count(*) FROM auditoria WHERE linha LIKE '%CATALOGO_ALTERADO%'");
    assert_eq!(records, 2, "what changed nothing has no record");
}

#[test]
fn a_catalogue_of_thousands_is_searched_and_read_to_its_end() {
    let services = Services::start(&[]);
    // As an operator does it with SQL, and it can be used at once.
    services.sql(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
         INSERT INTO cientistas (id, nome, instituicao, pais)
         SELECT 10 + i, 'Astrônoma ' || substr(CAST(100000 + i AS TEXT), 2), 'X', 'BR' FROM n;
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
         INSERT INTO telescopios (id, codigo, nome, simulado) SELECT 2 + i, 'T-' || i, 'Radiotelescópio ' || i, TRUE FROM n;
         UPDATE resumo SET catalogo = catalogo + 1",
    );
    let found = names(&services, "cientistas", "/cientistas?busca=astronoma+0777");
    let all = (1..=10_000).map(|nth| format!("Astrônoma {nth:05}"));
    assert_eq!(found, all.filter(|name| name.contains("0777")).collect::<Vec<_>>());
    assert_eq!(names(&services, "cientistas", "/cientistas?limite=500").len(), 10_010);
    assert_eq!(names(&services, "telescopios", "/telescopios?limite=500").len(), 1002);
    let last = json!({"cientista_id": 10_010, "horario_inicio_utc": "2030-01-01T03:00:00Z", "telescopio": "T-1000"});
    assert_eq!(services.book_with(&last).0, 201);
}
