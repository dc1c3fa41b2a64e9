//! The `type` of a problem leads to its explanation, at both services, for programs and for browsers.

use std::collections::BTreeSet;
use std::path::Path;

use sctec::http::kind;
use sctec::{coordinator, scheduler};
use serde_json::{Value, json};

use crate::common::{Answer, Services, http, http_with};

const BROWSER: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");

/// The codes of a service's list, each with its statuses and title.
fn listed(list: &Value) -> Vec<(String, String)> {
    let rows = list["problemas"].as_array().unwrap().iter();
    rows.map(|row| (row["codigo"].as_str().unwrap().to_owned(), row["titulo"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn each_kind_of_a_service_is_explained_for_programs_and_for_browsers() {
    let services = Services::start(&[]);
    let own: [(String, Vec<kind::Kind>); 2] = [
        (services.agenda(""), scheduler::problem_kinds().collect()),
        (services.locks(""), coordinator::kinds::ALL.to_vec()),
    ];
    for (service, own) in own {
        let list = http("GET", &format!("{service}/problemas"), None).json();
        let kinds: BTreeSet<_> = kind::ALL
            .iter()
            .copied()
            .chain(own)
            .map(|kind| (kind.code().to_owned(), kind.title().to_owned()))
            .collect();
        assert_eq!(listed(&list), kinds.into_iter().collect::<Vec<_>>(), "in order, each once");
        for row in list["problemas"].as_array().unwrap() {
            let href = format!("{service}{}", row["_links"]["self"]["href"].as_str().unwrap());
            assert_eq!(http("GET", &href, None).json(), *row);
            for words in ["significado", "o_que_fazer"] {
                let words = row[words].as_str().unwrap();
                assert!(words.ends_with('.') && words.len() > 4 && !words.contains(['`', '\n']), "{row}");
            }
            let page = http_with("GET", &href, None, &[BROWSER]);
            assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
            assert!(page.body.contains(&format!("<h1>{}</h1>", row["titulo"].as_str().unwrap())), "{}", page.body);
        }
        let page = http_with("GET", &format!("{service}/problemas"), None, &[BROWSER]);
        assert!(page.body.contains("<a href=\"/problemas/erro_interno\">"), "{}", page.body);
        assert_eq!(page.header("vary"), Some("Accept"));
    }
}

/// Follows a problem's `type`, and tells which kind is explained there.
fn explained(service: &str, problem: &Answer) -> Value {
    let problem = problem.json();
    let explanation = http("GET", &format!("{service}{}", problem["type"].as_str().unwrap()), None).json();
    assert_eq!(explanation["titulo"], problem["title"]);
    assert!(explanation["status"].as_array().unwrap().contains(&problem["status"]), "{explanation} {problem}");
    explanation["codigo"].clone()
}

#[test]
fn the_type_of_a_problem_leads_to_its_explanation() {
    let services = Services::start(&[]);
    let (agenda, locks) = (services.agenda(""), services.locks(""));
    let json = |text: &'static str| Some(("application/json", text));
    for (service, problem, code) in [
        (&agenda, http("GET", &services.agenda("/nada"), None), "nao_encontrado"),
        (&agenda, http("GET", &services.agenda("/problemas/nada"), None), "nao_encontrado"),
        (&agenda, http("POST", &services.agenda("/agendamentos"), json("{}")), "campos_invalidos"),
        (&agenda, http("DELETE", &services.agenda("/agendamentos/9"), None), "agendamento_desconhecido"),
        (&agenda, http_with("GET", &services.agenda("/"), None, &[("Host", "x.example")]), "host_recusado"),
        (&locks, http("POST", &services.locks("/lock"), json("x")), "json_malformado"),
        (&locks, http("GET", &services.locks("/locks/x"), None), "sem_trava"),
        (&locks, http("PUT", &services.locks("/lock"), None), "metodo_nao_permitido"),
    ] {
        assert_eq!(explained(service, &problem), json!(code));
    }
    let one = http("GET", &services.agenda("/problemas/nada"), None).json();
    assert_eq!(one["_links"], json!({"problemas": {"href": "/problemas"}}));
    for service in [agenda, locks] {
        let entry = http("GET", &format!("{service}/"), None).json();
        assert_eq!(entry["_links"]["problemas"]["href"], "/problemas");
    }
}

#[test]
fn every_explanation_belongs_to_a_kind() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/problemas.md")).unwrap();
    let explained: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let kinds = kind::ALL.iter().chain(coordinator::kinds::ALL).copied().chain(scheduler::problem_kinds());
    let codes: BTreeSet<&str> = kinds.map(kind::Kind::code).collect();
    assert_eq!(explained, codes.into_iter().collect::<Vec<_>>(), "each once, in order");
}
