//! Each role at each route, as the tables of `docs/API.md` say; and each link exactly where its action is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hyper::Method;
use sctec::http::router::Endpoint;
use sctec::{coordinator, scheduler};
use serde_json::{Value, json};

use super::{ask, asking, create, status};
use crate::common::{Server, Services, coordinator_command};

/// The roles, as the options that make them.
const ROLES: [(&str, &[&str]); 5] = [
    ("leitor", &["--role", "leitor"]),
    ("cientista", &["--role", "cientista", "--scientist", "7"]),
    ("operador", &["--role", "operador"]),
    ("auditor", &["--role", "auditor"]),
    ("servico", &["--role", "servico", "--prefix", "matriz-"]),
];
const NOBODY: &str = "ninguém";

/// The cells of a service's table: route, role, cell.
type Cells = BTreeMap<(String, String), String>;

fn documented(service: &str) -> Cells {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/API.md")).unwrap();
    let table = text.split(&format!("\n| {service} | {NOBODY} |")).nth(1).expect("the table");
    let row = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let mut lines = table.lines();
    let roles = row(&format!("{NOBODY} |{}", lines.next().unwrap()));
    let mut cells = Cells::new();
    for line in lines.skip(1).take_while(|line| line.starts_with('|')) {
        let mut row = row(line).into_iter();
        let route = row.next().unwrap().trim_matches('`').to_owned();
        for (role, cell) in roles.iter().zip(row) {
            cells.insert((route.clone(), role.clone()), cell);
        }
    }
    cells
}

fn routes(endpoints: impl Iterator<Item = &'static Endpoint>) -> BTreeSet<String> {
    endpoints.map(|endpoint| format!("{} {}", endpoint.method, endpoint.path.replace("{*", "{"))).collect()
}

/// Every route has its row, and every row its route and a cell for each role.
fn assert_complete(cells: &Cells, endpoints: impl Iterator<Item = &'static Endpoint>) {
    let routes = routes(endpoints);
    let named: BTreeSet<String> = cells.keys().map(|(route, _)| route.clone()).collect();
    assert_eq!(named, routes);
    for route in &routes {
        for role in ROLES.iter().map(|(role, _)| *role).chain([NOBODY]) {
            let cell = cells.get(&(route.clone(), role.to_owned()));
            assert!(
                cell.is_some_and(|cell| ["sim", "401", "403"].contains(&cell.as_str())),
                "{route} {role}: {cell:?}"
            );
        }
    }
}

fn assert_cell(cells: &Cells, route: &str, role: &str, found: u16) {
    let expected = &cells[&(route.to_owned(), role.to_owned())];
    let fits = match expected.as_str() {
        "sim" => found != 401 && found != 403,
        refusal => found.to_string() == refusal,
    };
    assert!(fits, "{route} as {role}: {found}, and the table says {expected}");
}

/// A token for each role, and none for nobody.
fn tokens(data_dir: &Path) -> Vec<(&'static str, Option<String>)> {
    let made = ROLES.iter().map(|(role, options)| (*role, Some(create(data_dir, role, options))));
    made.chain([(NOBODY, None)]).collect()
}

/// A maintenance of an hour.
fn maintenance_on(year: i32, nth: usize) -> Value {
    let day = format!("{year}-01-{:02}T", 1 + nth);
    json!({"inicio_utc": format!("{day}00:00:00Z"), "fim_utc": format!("{day}01:00:00Z"), "motivo": "x"})
}

/// Adds something, and gives its number.
fn create_at(services: &Services, token: &str, path: &str, body: &Value) -> String {
    let answer = ask("POST", &services.agenda(path), Some(token), Some(&body.to_string()));
    assert_eq!(answer.status, 201, "{path}: {}", answer.body);
    answer.json()["id"].to_string()
}

/// Books two slots for scientist 5, and has scientist 7 wait for the first. Gives the entry's number.
fn waiting(services: &Services, operator: &str, hour: usize) -> String {
    for minute in ["00", "05"] {
        let start = format!("2030-03-01T{hour:02}:{minute}:00Z");
        let body = json!({"cientista_id": 5, "horario_inicio_utc": start});
        create_at(services, operator, "/agendamentos", &body);
    }
    let path = format!("/telescopios/Hubble-Acad/agenda/2030-03-01T{hour:02}:00:00Z/espera");
    create_at(services, operator, &path, &json!({"cientista_id": 7}))
}

/// What a request to the scheduler sends; `nth` is another number for each role.
fn body_of(method: &str, path: &str, role: &str, (nth, operator): (usize, &str)) -> Option<Value> {
    if method == "PATCH" {
        return Some(json!({}));
    }
    let body = match path {
        _ if method != "POST" => return None,
        "/sessao" => json!({ "token": operator }),
        "/propostas" => proposal(),
        "/telescopios" => json!({"id": format!("de-{role}"), "nome": "x"}),
        "/telescopios/Hubble-Acad/manutencoes" => maintenance_on(2031, nth),
        "/cientistas" => json!({"nome": "x", "instituicao": "x", "pais": "BR"}),
        _ if path.ends_with("/espera") => json!({"cientista_id": 7}),
        "/tokens" => json!({"nome": format!("novo-{role}"), "papeis": ["leitor"]}),
        "/calendarios" => json!({"cientista_id": 7}),
        _ => json!({"cientista_id": 7, "horario_inicio_utc": format!("2030-02-01T{nth:02}:00:00Z")}),
    };
    Some(body)
}

fn proposal() -> Value {
    let (from, until) = ("2030-01-01T00:00:00Z", "2031-01-01T00:00:00Z");
    json!({"titulo": "M31", "responsavel_id": 7, "inicio_utc": from, "fim_utc": until})
}

#[test]
fn each_role_at_each_route_of_the_scheduler() {
    let cells = documented("servico-agendamento");
    assert_complete(&cells, scheduler::endpoints());
    let services = asking();
    let tokens = tokens(services.data_dir());
    let operator = create(services.data_dir(), "chefe", &["--role", "operador"]);
    let mut minute = 0;
    let mut next_slot = || {
        minute += 5;
        format!("2030-01-01T{:02}:{:02}:00Z", minute / 60, minute % 60)
    };
    let mut booked = || {
        let body = json!({"cientista_id": 7, "horario_inicio_utc": next_slot()});
        create_at(&services, &operator, "/agendamentos", &body)
    };
    // A maintenance that can be removed.
    let closed =
        |nth| create_at(&services, &operator, "/telescopios/Hubble-Acad/manutencoes", &maintenance_on(2032, nth));
    let standing = closed(20);
    create_at(&services, &operator, "/propostas", &proposal());
    let mut spare = 0;
    for (role, token) in &tokens {
        let (booking, other) = (booked(), booked());
        let wait = waiting(&services, &operator, spare + 1);
        create(services.data_dir(), "descartavel", &["--role", "leitor"]);
        spare += 1;
        // The six roles' tokens and the operator's come first.
        let token_id = (ROLES.len() + 1 + spare).to_string();
        let maintenance = closed(spare);
        // A calendar of its own, if it may have one.
        let own = ask("POST", &services.agenda("/calendarios"), token.as_deref(), Some(r#"{"cientista_id": 7}"#));
        let calendar = own.json()["id"].as_i64().unwrap_or(1);
        for route in routes(scheduler::endpoints()) {
            let (method, path) = route.split_once(' ').unwrap();
            let path = path
                .replace("/telescopios/{id}", "/telescopios/Hubble-Acad")
                .replace("/cientistas/{id}", "/cientistas/7")
                .replace("/agenda/{inicio}", &format!("/agenda/2030-03-01T{spare:02}:05:00Z"))
                .replace("/esperas/{id}", &format!("/esperas/{wait}"))
                .replace(
                    "/agendamentos/{id}",
                    &format!("/agendamentos/{}", if method == "PATCH" { &other } else { &booking }),
                )
                .replace("/propostas/{id}", "/propostas/1")
                .replace(
                    "/manutencoes/{id}",
                    &format!("/manutencoes/{}", if method == "GET" { &standing } else { &maintenance }),
                )
                .replace("/tokens/{id}", &format!("/tokens/{token_id}"))
                .replace("/calendarios/{id}", &format!("/calendarios/{calendar}"))
                .replace("{codigo}", "erro_interno")
                .replace("{arquivo}", "app.js");
            let body = body_of(method, &path, role, (spare, &operator));
            let body = body.map(|body| body.to_string());
            let found = status(method, &services.agenda(&path), token.as_deref(), body.as_deref());
            assert_cell(&cells, &route, role, found);
            // This service has no identity provider, and its bookings had no rivals.
            let is_nowhere = (path.starts_with("/entrar") || route.contains("disputa")) && found == 404;
            assert!(is_nowhere || found < 404, "{route} as {role}: {found}");
        }
    }
}

#[test]
fn each_role_at_each_route_of_the_coordinator() {
    let cells = documented("servico-coordenador");
    assert_complete(&cells, coordinator::endpoints());
    let folder = tempfile::tempdir().unwrap();
    let server = Server::spawn(coordinator_command(folder.path(), "127.0.0.1:0").args(["--access", "token"]), 1);
    for (role, token) in tokens(folder.path()) {
        for route in routes(coordinator::endpoints()) {
            let (method, path) = route.split_once(' ').unwrap();
            let resource = format!("matriz-{role}").replace('é', "e");
            let path = path.replace("{codigo}", "erro_interno");
            let mut path = path.replace("{recurso}", &resource).replace("{*recurso}", &resource);
            let lease = "0".repeat(32);
            let body = match (method, path.as_str()) {
                ("POST", "/lock") => Some(json!({ "recurso": resource })),
                ("POST", "/renew") => Some(json!({ "recurso": resource, "trava_id": lease, "ttl_ms": 1000 })),
                ("POST", "/unlock") => Some(json!({ "recurso": resource, "trava_id": lease })),
                ("POST", "/lote") => Some(json!({ "operacoes": [] })),
                ("POST", "/eventos") => {
                    Some(json!({ "canal": "matriz-canal", "eventos": [{"evento": "x", "dados": {}}] }))
                }
                _ => None,
            };
            if route == "GET /eventos" {
                path.push_str("?canal=matriz-canal");
            }
            let body = body.map(|body| body.to_string());
            let found = status(method, &format!("{}{path}", server.url()), token.as_deref(), body.as_deref());
            assert_cell(&cells, &route, role, found);
        }
    }
}

#[test]
fn the_agenda_is_heard_at_the_coordinator_by_those_who_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::spawn(coordinator_command(folder.path(), "127.0.0.1:0").args(["--access", "token"]), 1);
    let url = format!("{}/eventos?canal=agenda", server.url());
    let found: Vec<_> = tokens(folder.path())
        .iter()
        .map(|(role, token)| (*role, status("GET", &url, token.as_deref(), None)))
        .collect();
    let expected =
        [("leitor", 200), ("cientista", 200), ("operador", 200), ("auditor", 200), ("servico", 403), (NOBODY, 401)];
    assert_eq!(found, expected);
}

/// The links of an answer, at any depth: where they stand, the method and the path.
fn links(value: &Value, at: &str, found: &mut BTreeSet<(String, String, String)>) {
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                if name != "_links" {
                    links(inner, &format!("{at}.{name}"), found);
                    continue;
                }
                for (rel, link) in inner.as_object().unwrap() {
                    let (href, method) = (link["href"].as_str().unwrap(), link["method"].as_str().unwrap_or("GET"));
                    found.insert((format!("{at} {rel}"), method.to_owned(), href.to_owned()));
                }
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                links(inner, &format!("{at}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// The route that a link leads to.
fn route_of(method: &str, href: &str) -> String {
    let path = href.split("{?").next().unwrap().split('?').next().unwrap();
    let fits = |endpoint: &&Endpoint| {
        let segments = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        let (wanted, found) = (segments(endpoint.path), segments(path));
        endpoint.method == method.parse::<Method>().unwrap()
            && wanted.len() == found.len()
            && wanted.iter().zip(&found).all(|(wanted, found)| wanted.starts_with('{') || wanted == found)
    };
    let endpoint = scheduler::endpoints().find(fits).unwrap_or_else(|| panic!("{method} {href} leads nowhere"));
    format!("{} {}", endpoint.method, endpoint.path)
}

/// Addresses whose answers have links.
const LINKED: [&str; 21] = [
    "/",
    "/time",
    "/saude",
    "/telescopios",
    "/telescopios/Hubble-Acad",
    "/telescopios/Hubble-Acad/agenda?de=2030-01-01T03:00:00Z&ate=2030-01-01T04:00:00Z",
    "/telescopios/Hubble-Acad/livres?perto_de=2030-01-01T03:00:00Z",
    "/telescopios/Hubble-Acad/manutencoes",
    "/manutencoes/1",
    "/propostas",
    "/propostas/1",
    "/cientistas",
    "/cientistas/7",
    "/agendamentos",
    "/agendamentos/1",
    "/agendamentos/2",
    "/agendamentos/3",
    "/auditoria/cabeca",
    "/calendarios",
    "/tokens",
    "/tokens/1",
];

#[test]
fn a_link_is_there_exactly_where_its_action_is_allowed() {
    let cells = documented("servico-agendamento");
    let services = asking();
    let mut tokens = tokens(services.data_dir());
    let all: Vec<&str> = ROLES.iter().flat_map(|(_, options)| options.iter().copied()).collect();
    let everybody = create(services.data_dir(), "todos", &all);
    for (scientist, start) in [(7, "2030-01-01T03:00:00Z"), (7, "2030-01-01T03:05:00Z"), (5, "2030-01-01T03:10:00Z")] {
        let body =
            json!({"cientista_id": scientist, "horario_inicio_utc": start, "observacoes": "segredo"}).to_string();
        assert_eq!(ask("POST", &services.agenda("/agendamentos"), Some(&everybody), Some(&body)).status, 201);
    }
    assert_eq!(ask("DELETE", &services.agenda("/agendamentos/2"), Some(&everybody), None).status, 200);
    let closed = json!({"inicio_utc": "2030-01-01T03:30:00Z", "fim_utc": "2030-01-01T04:30:00Z", "motivo": "x"});
    create_at(&services, &everybody, "/telescopios/Hubble-Acad/manutencoes", &closed);
    create_at(&services, &everybody, "/propostas", &proposal());
    tokens.push(("todos", Some(everybody.clone())));
    for path in LINKED {
        let url = services.agenda(path);
        let mut whole = BTreeSet::new();
        links(&ask("GET", &url, Some(&everybody), None).json(), "", &mut whole);
        assert!(!whole.is_empty(), "{path}");
        for (role, token) in &tokens {
            let answer = ask("GET", &url, token.as_deref(), None);
            if answer.status != 200 {
                let mut found = BTreeSet::new();
                links(&answer.json(), "", &mut found);
                assert!(
                    found.iter().all(|(_, method, href)| route_of(method, href) == "GET /"),
                    "{path} {role}: {found:?}"
                );
                continue;
            }
            let mut found = BTreeSet::new();
            links(&answer.json(), "", &mut found);
            let allowed = |(at, method, href): &&(String, String, String)| {
                let route = route_of(method, href);
                let cell = |role: &str| cells[&(route.clone(), role.to_owned())] == "sim";
                // What belongs to scientist 5 is changed and cancelled by an operator only.
                let changes = method == "DELETE" || method == "PATCH";
                let not_own = *role == "cientista" && changes && href == "/agendamentos/3";
                assert!(!at.is_empty());
                (*role == "todos" || cell(role)) && !not_own
            };
            let expected: BTreeSet<_> = whole.iter().filter(allowed).cloned().collect();
            assert_eq!(found, expected, "{path} as {role}");
        }
    }
}

#[test]
fn notes_are_read_by_their_scientist_an_operator_and_an_auditor() {
    let services = asking();
    let tokens = tokens(services.data_dir());
    let by = |role: &str| tokens.iter().find(|(known, _)| *known == role).unwrap().1.clone();
    for (scientist, start) in [(7, "2030-01-01T03:00:00Z"), (5, "2030-01-01T03:05:00Z")] {
        let body =
            json!({"cientista_id": scientist, "horario_inicio_utc": start, "observacoes": "segredo"}).to_string();
        assert_eq!(ask("POST", &services.agenda("/agendamentos"), by("operador").as_deref(), Some(&body)).status, 201);
    }
    let agenda = "/telescopios/Hubble-Acad/agenda?de=2030-01-01T03:00:00Z&ate=2030-01-01T04:00:00Z";
    for (role, own, others) in
        [("leitor", false, false), ("cientista", true, false), ("operador", true, true), ("auditor", true, true)]
    {
        let read = |path: &str| ask("GET", &services.agenda(path), by(role).as_deref(), None).json();
        let known = |booking: &Value| booking.get("observacoes").is_some_and(|notes| notes == "segredo");
        let hidden = |booking: &Value| booking.get("observacoes").is_none();
        let pairs = [
            (read("/agendamentos/1"), read("/agendamentos/2")),
            (read("/agendamentos")["agendamentos"][0].clone(), read("/agendamentos")["agendamentos"][1].clone()),
            (read(agenda)["agendamentos"][0].clone(), read(agenda)["agendamentos"][1].clone()),
        ];
        for (first, second) in pairs {
            for (booking, may) in [(first, own), (second, others)] {
                assert!(if may { known(&booking) } else { hidden(&booking) }, "{role}: {booking}");
            }
        }
    }
}

#[test]
fn a_scientist_books_and_cancels_only_as_itself() {
    let services = asking();
    let ana = create(services.data_dir(), "ana", &["--role", "cientista", "--scientist", "7"]);
    let chefe = create(services.data_dir(), "chefe", &["--role", "operador", "--role", "auditor"]);
    let book = |token: &str, scientist: i64, start: &str| {
        let body = json!({"cientista_id": scientist, "horario_inicio_utc": start}).to_string();
        ask("POST", &services.agenda("/agendamentos"), Some(token), Some(&body))
    };
    let refused = book(&ana, 5, "2030-01-01T03:00:00Z");
    assert_eq!((refused.status, &refused.json()["codigo"]), (403, &json!("papel_insuficiente")));
    assert_eq!((&refused.json()["papeis"], &refused.json()["cientista_id"]), (&json!(["operador"]), &json!(7)));
    assert_eq!(book(&ana, 7, "2030-01-01T03:00:00Z").status, 201);
    assert_eq!(book(&chefe, 5, "2030-01-01T03:05:00Z").status, 201);
    let cancel = |token: &str, id: i64| {
        ask("DELETE", &services.agenda(&format!("/agendamentos/{id}")), Some(token), None).status
    };
    assert_eq!((cancel(&ana, 2), cancel(&ana, 99)), (403, 404));
    assert_eq!((cancel(&ana, 1), cancel(&chefe, 2)), (200, 200));
    let records = ask("GET", &services.agenda("/auditoria?evento=AGENDAMENTO_CRIADO"), Some(&chefe), None).json();
    let authors: Vec<_> =
        records["registros"].as_array().unwrap().iter().map(|record| record["autor"].clone()).collect();
    assert_eq!(authors, ["ana", "chefe"]);
}
