//! Lists as tables (CSV), for spreadsheets and statistics.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::common::{Answer, Asked, Services, http, http_with};

const CSV: (&str, &str) = ("Accept", "text/csv");

fn table(url: &str) -> Answer {
    let answer = http_with("GET", url, None, &[CSV]);
    assert_eq!(answer.status, 200, "{url}: {}", answer.body);
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8; header=present"), "{url}");
    answer
}

/// The rows of a table, the header first, read by another reader's rules.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn post(url: &str, body: &Value) -> Value {
    let answer = http("POST", url, Some(("application/json", &body.to_string())));
    assert!((200..300).contains(&answer.status), "{}", answer.body);
    answer.json()
}

/// What is shown in a cell: an apostrophe before a sign, and a backslash before another, are only there.
fn plain(cell: &str) -> String {
    cell.strip_prefix('\'').unwrap_or(cell).replace("\\\\", "\\")
}

/// The text of a member of an item: nothing where it has none.
fn shown(item: &Value, column: &str) -> String {
    match column.split('.').try_fold(item, |value, name| value.get(name)) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

/// The columns of an item: its members, and those of its rules.
fn columns(item: &Value) -> BTreeSet<String> {
    let members = item.as_object().unwrap().iter().filter(|(name, _)| *name != "_links");
    members
        .flat_map(|(name, value)| match value.as_object().filter(|_| name == "regras") {
            Some(rules) => rules.keys().map(|rule| format!("{name}.{rule}")).collect(),
            None => vec![name.clone()],
        })
        .collect()
}

#[test]
fn each_list_is_a_table_with_the_members_of_its_items() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let booked = services.book_as(&Asked::by(7, "2025-12-01T03:00:00Z").with("alvo", "M31, \"a galáxia\""));
    assert_eq!(booked.0, 201);
    let maintenance =
        json!({"inicio_utc": "2030-01-01T22:00:00Z", "fim_utc": "2030-01-02T02:00:00Z", "motivo": "espelho"});
    post(&services.agenda("/telescopios/Hubble-Acad/manutencoes"), &maintenance);
    let proposal = json!({"titulo": "Quasares", "responsavel_id": 7, "membros": [1, 2], "inicio_utc": "2030-01-01T00:00:00Z",
        "fim_utc": "2031-01-01T00:00:00Z", "alocado_min": {"Hubble-Acad": 60}});
    post(&services.agenda("/propostas"), &proposal);
    let lock =
        http("POST", &services.locks("/lock"), Some(("application/json", r#"{"recurso": "a", "ttl_ms": 60000}"#)));
    assert_eq!(lock.status, 200);
    for (url, list) in [
        (services.agenda("/telescopios"), "telescopios"),
        (services.agenda("/cientistas"), "cientistas"),
        (services.agenda("/propostas"), "propostas"),
        (services.agenda("/agendamentos"), "agendamentos"),
        (services.agenda("/auditoria"), "registros"),
        (services.agenda("/telescopios/Hubble-Acad/manutencoes"), "manutencoes"),
        (services.agenda("/telescopios/Hubble-Acad/agenda?de=2025-12-01T00:00:00Z"), "horarios"),
        (services.agenda("/telescopios/Hubble-Acad/livres?perto_de=2025-12-01T03:00:00Z"), "livres"),
        (services.agenda("/problemas"), "problemas"),
        (services.locks("/problemas"), "problemas"),
        (services.locks("/locks"), "travas"),
    ] {
        let items = http("GET", &url, None).json()[list].as_array().unwrap().clone();
        let table = table(&url);
        let vary = table.header("vary").unwrap_or_default();
        assert!(vary.split(", ").any(|name| name == "Accept"), "{url}: {vary}");
        let rows = rows(&table.body);
        let (header, rows) = rows.split_first().unwrap();
        let members: BTreeSet<String> = items.iter().flat_map(columns).collect();
        let mut written: BTreeSet<String> = header.iter().cloned().collect();
        if list == "registros" {
            // Records have it where the client has chosen one.
            assert!(written.remove("req_cliente"));
        }
        assert!(!items.is_empty() && written == members, "{url}: {written:?} and not {members:?}");
        assert_eq!(rows.len(), items.len(), "{url}");
        // What is left of a lock is another a moment later.
        let moments = ["expira_em_ms", "resta_ms", "expira_em_utc"];
        for (row, item) in rows.iter().zip(&items) {
            for (cell, column) in row.iter().zip(header).filter(|(_, column)| !moments.contains(&column.as_str())) {
                assert_eq!(plain(cell), shown(item, column), "{url}: {column}");
            }
        }
        assert!(table.body.ends_with("\r\n"), "{url}");
    }
}

#[test]
fn no_text_of_others_is_a_formula_and_numbers_stay_numbers() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let formula = "=HYPERLINK(\"http://evil.example\",\"ver\")";
    for (slot, target) in [formula, "-1+1", "@x", "+1", "M31"].into_iter().enumerate() {
        let start = format!("2025-12-01T03:{:02}:00Z", slot * 5);
        assert_eq!(services.book_as(&Asked::by(7, &start).with("alvo", target)).0, 201);
    }
    let answer = table(&services.agenda("/agendamentos"));
    let rows = rows(&answer.body);
    let column = rows[0].iter().position(|name| name == "alvo").unwrap();
    let targets: Vec<&str> = rows[1..].iter().map(|row| row[column].as_str()).collect();
    let guarded = format!("'{formula}");
    assert_eq!(targets, [&*guarded, "'-1+1", "'@x", "'+1", "M31"]);
    assert_eq!(&rows[1][..3], ["1", "Hubble-Acad", "7"]);
    // A mark only for those who ask for it: other programs would take it for a part of the first name.
    assert!(answer.body.starts_with("id,"));
    let marked = http_with("GET", &services.agenda("/agendamentos"), None, &[("Accept", "text/csv; bom=true")]);
    assert_eq!(marked.body, format!("\u{feff}{}", answer.body));
    assert_ne!(marked.header("etag"), answer.header("etag"));
}

#[test]
fn a_page_of_a_table_has_a_tag_and_links_and_all_of_it_is_sent_page_by_page() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1290) \
        INSERT INTO cientistas (id, nome, instituicao, pais) \
        SELECT 10 + i, 'Pessoa ' || substr(CAST(10000 + i AS TEXT), 2), 'Observatório com um nome longo como os de verdade', 'BR' FROM n; \
        UPDATE resumo SET catalogo = catalogo + 1";
    services.sql(many);
    let url = services.agenda("/cientistas");
    let page = table(&format!("{url}?busca=pessoa&limite=2"));
    assert_eq!(rows(&page.body).len(), 3);
    let tag = page.header("etag").expect("a tag").to_owned();
    let again = http_with("GET", &format!("{url}?busca=pessoa&limite=2"), None, &[CSV, ("If-None-Match", &tag)]);
    assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(tag.as_str())));
    let json = http("GET", &format!("{url}?busca=pessoa&limite=2"), None);
    assert_ne!(json.header("etag"), Some(tag.as_str()));
    assert_eq!(page.header("link"), json.header("link"));

    let all = table(&url);
    let names = rows(&all.body);
    let (header, items) = names.split_first().unwrap();
    assert_eq!((header.len(), items.len()), (5, 1300));
    let distinct: BTreeSet<&String> = items.iter().map(|row| &row[0]).collect();
    assert_eq!(distinct.len(), 1300, "each of them once");
    assert_eq!((all.header("etag"), all.header("content-length"), all.header("link")), (None, None, None));
    assert_eq!(all.header("vary"), Some("Accept, Accept-Encoding"));
    let packed = http_with("GET", &url, None, &[CSV, ("Accept-Encoding", "gzip")]);
    assert_eq!((packed.header("content-encoding"), &packed.body), (Some("gzip"), &all.body));
    let head = http_with("HEAD", &url, None, &[CSV]);
    assert_eq!((head.status, head.body.as_str(), head.header("content-type")), (200, "", all.header("content-type")));
    // From a page on, which a program has already.
    let next = json.json()["_links"]["proxima"]["href"].as_str().unwrap().replace("&limite=2", "");
    assert_eq!(rows(&table(&services.agenda(&next)).body).len(), 1 + 1288);
    // A list of one page is an answer like any other.
    let short = table(&services.agenda("/telescopios"));
    assert!(short.header("etag").is_some() && short.header("content-length").is_some());
}

#[test]
fn a_client_that_takes_no_form_of_a_list_is_told_which_there_are() {
    let services = Services::start(&[]);
    for (url, also) in [
        (services.agenda("/cientistas"), [].as_slice()),
        (services.agenda("/auditoria"), &["application/jsonl", "application/x-ndjson"]),
        (services.agenda("/problemas"), &["text/html"]),
        (services.locks("/locks"), &[]),
    ] {
        let refused = http_with("GET", &url, None, &[("Accept", "application/xml, text/csv;q=0")]);
        assert_eq!((refused.status, &refused.json()["codigo"]), (406, &json!("formato_nao_disponivel")), "{url}");
        let types: Vec<&str> =
            ["application/json", "application/hal+json", "text/csv"].iter().chain(also).copied().collect();
        assert_eq!(refused.json()["formatos"], json!(types), "{url}");
        for accept in
            ["*/*", "application/*", "", "application/xml, */*;q=0.1", "application/json;q=0.5, text/csv;q=0.4"]
        {
            let answer = http_with("GET", &url, None, &[("Accept", accept)]);
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{accept}");
        }
    }
}
