//! The documents are true: their examples are JSON, and have the members that the services answer with, in that order. The
//! architecture names what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Parser;
use clap::error::ErrorKind;
use sctec::commands::Cli;
use sctec::http::kind;
use sctec::http::router::Endpoint;
use sctec::{coordinator, scheduler};
use serde_json::{Value, json};

use crate::common::election::without_election;
use crate::common::{Asked, Services, http, http_with, sources};

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// The JSON examples of a text, in order.
fn examples(text: &str) -> Vec<Value> {
    text.split("```json\n")
        .skip(1)
        .map(|rest| {
            let example = rest.split("```").next().unwrap();
            serde_json::from_str(example).unwrap_or_else(|error| panic!("{error}: {example}"))
        })
        .collect()
}

/// The examples under a heading of API.md.
fn under(heading: &str) -> Vec<Value> {
    let text = document("API.md");
    let section = text.split(&format!("\n### {heading}\n")).nth(1).unwrap_or_else(|| panic!("no heading {heading}"));
    examples(section.split("\n##").next().unwrap())
}

/// The names of an object's members, and of those of its `_links`, in order.
fn members(value: &Value) -> (Vec<&str>, Vec<&str>) {
    (
        value.as_object().unwrap().keys().map(String::as_str).collect(),
        value["_links"].as_object().map(|links| links.keys().map(String::as_str).collect()).unwrap_or_default(),
    )
}

#[test]
fn every_example_is_json() {
    assert!(examples(&document("API.md")).len() > 30);
    assert!(!examples(&document("LOGGING.md")).is_empty());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of answers and one loop over it")]
fn examples_have_the_members_of_real_answers() {
    without_election!("the examples of /saude and /pronto are of a coordinator without an election");
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let agenda = |method: &str, path: &str, body: Option<Value>| {
        let body = body.map(|body| body.to_string());
        http(method, &services.agenda(path), body.as_deref().map(|body| ("application/json", body))).json()
    };
    let locks = |path: &str, body: Value| {
        http("POST", &services.locks(path), Some(("application/json", &body.to_string()))).json()
    };
    let book = |asked: Asked| services.book_as(&asked).1;
    let booking = Asked::by(7, "2025-12-01T03:00:00Z");
    let (booked, taken) = (book(booking.clone()), book(booking.clone()));
    let unknown = book(Asked::by(77, "2025-12-01T03:00:00Z"));
    let wrong = book(booking.clone().minutes(7));
    let post = under("POST /agendamentos");
    let delete = under("DELETE /agendamentos/{id}");
    let (next, validated) = (under("POST /agendamentos/proximo"), under("POST /agendamentos/validar"));
    let invalid = agenda("POST", "/agendamentos/validar", Some(validated[0].clone()));
    let entered = under("POST /telescopios/{id}/agenda/{inicio}/espera");
    let wait = agenda("POST", "/telescopios/Hubble-Acad/agenda/2025-12-01T03:00:00Z/espera", Some(entered[0].clone()));
    let patched = under("PATCH /agendamentos/{id}");
    let changed = agenda("PATCH", "/agendamentos/1", Some(patched[0].clone()));
    let other = [("If-Match", "\"1\"")];
    let differs =
        http_with("PATCH", &services.agenda("/agendamentos/1"), Some(("application/json", "{}")), &other).json();
    let cancelled = agenda("DELETE", "/agendamentos/1", Some(json!({"motivo": "nuvens de poeira"})));
    let again = agenda("DELETE", "/agendamentos/1", None);
    let lock = under("POST /lock");
    let granted = locks("/lock", json!({"recurso": "X", "dono": "agendamento-1"}));
    let busy = locks("/lock", json!({"recurso": "X"}));
    let get = |method: &str, path: &str| http(method, &services.locks(path), None).json();
    let renewed = locks("/renew", json!({"trava_id": granted["trava_id"]}));
    let lost = locks("/renew", json!({"trava_id": "00000000000000000000000000000000"}));
    let waiting = {
        let url = services.locks("/lock");
        std::thread::spawn(move || {
            http("POST", &url, Some(("application/json", r#"{"recurso": "X", "dono": "b", "espera_ms": 60000}"#)))
                .json()
        })
    };
    crate::common::wait_until("someone waits", || get("GET", "/locks/X")["fila"] == 1);
    locks("/lock", json!({"recurso": "Z"}));
    let (page, shown) = (get("GET", "/locks?limite=1"), get("GET", "/locks/X"));
    let forced = get("DELETE", "/locks/X");
    assert_eq!(waiting.join().unwrap()["situacao"], "concedido");
    let (listed, looked_at) = (&under("GET /locks")[0], &under("GET /locks/{recurso}"));
    let published = locks("/eventos", json!({"canal": "agenda", "evento": "criado", "dados": {"agendamento_id": 123}}));
    let telescopes = agenda("GET", "/telescopios", None);
    let scientists = agenda("GET", "/cientistas", None);
    let list = agenda("GET", "/agendamentos", None);
    for (example, answer) in [
        (&under("GET /")[0], &agenda("GET", "/", None)),
        (&under("GET /time")[0], &agenda("GET", "/time", None)),
        (&under("GET /time")[1], &agenda("GET", "/time?nonce=amostra-2", None)),
        (&under("GET /telescopios, GET /telescopios/{id}")[0], &telescopes),
        (&under("GET /telescopios, GET /telescopios/{id}")[0]["telescopios"][0], &telescopes["telescopios"][0]),
        (&under("GET /telescopios, GET /telescopios/{id}")[1], &agenda("GET", "/telescopios/x", None)),
        (&under("GET /cientistas, GET /cientistas/{id}")[0], &scientists),
        (&under("GET /cientistas, GET /cientistas/{id}")[0]["cientistas"][0], &scientists["cientistas"][6]),
        (&under("GET /cientistas, GET /cientistas/{id}")[1], &agenda("GET", "/cientistas/77", None)),
        (&post[1], &booked),
        (&post[2], &unknown),
        (&post[4], &taken),
        (&post[5], &wrong),
        (&under("GET /agendamentos/{id}")[0], &agenda("GET", "/agendamentos/9", None)),
        (&next[1], &agenda("POST", "/agendamentos/proximo", Some(next[0].clone()))),
        (&validated[1], &invalid),
        (&entered[1], &wait),
        (&under("GET /esperas")[0], &agenda("GET", "/esperas", None)),
        (&patched[1], &changed),
        (&patched[2], &differs),
        (&delete[0], &cancelled),
        (&delete[1], &again),
        (&under("GET /auditoria/cabeca")[0], &agenda("GET", "/auditoria/cabeca", None)),
        (&under("GET /saude, GET /pronto")[0], &agenda("GET", "/saude", None)),
        (&under("GET /saude, GET /pronto")[1], &agenda("GET", "/pronto", None)),
        (&under("GET / (coordenador)")[0], &get("GET", "/")),
        (&lock[0], &granted),
        (&lock[1], &busy),
        (&under("POST /renew")[0], &renewed),
        (&under("POST /renew")[1], &lost),
        (listed, &page),
        (&listed["travas"][0], &page["travas"][0]),
        (&looked_at[0], &shown),
        (&looked_at[0]["esperando"][0], &shown["esperando"][0]),
        (&looked_at[1], &get("GET", "/locks/livre")),
        (&under("DELETE /locks/{recurso}")[0], &forced),
        (&under("POST /eventos")[0], &published),
        (&under("GET /saude")[0], &get("GET", "/saude")),
        (&under("GET /pronto")[0], &get("GET", "/pronto")),
    ] {
        assert_eq!(members(example), members(answer), "{answer}");
    }
    assert_eq!(members(&under("GET /agendamentos")[0]).0, members(&list).0);
    let trail = agenda("GET", "/auditoria?agendamento_id=1&limite=1", None);
    assert_eq!(members(&under("GET /auditoria")[0]), members(&trail));
    assert_eq!(members(&under("GET /auditoria")[0]["registros"][0]), members(&trail["registros"][0]));
    let listed: Value = under("GET /agendamentos")[1].clone();
    assert_eq!(members(&listed), members(&agenda("GET", "/agendamentos?limite=0&de=ontem", None)));
}

#[test]
fn examples_of_the_agenda_are_real_answers() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    assert_eq!(services.book(7, "2025-12-01T03:00:00Z").0, 201);
    let get = |path: &str| http("GET", &services.agenda(&format!("/telescopios/Hubble-Acad/{path}")), None).json();
    let period = get("agenda?de=2025-12-01T03%3A00%3A00Z&ate=2025-12-01T03%3A10%3A00Z");
    let nearest = get("livres?perto_de=2025-12-01T03%3A00%3A00Z&limite=1");
    let held = json!({"recurso": "Hubble-Acad_2025-12-01T04:00:00Z"}).to_string();
    assert_eq!(http("POST", &services.locks("/lock"), Some(("application/json", &held))).status, 200);
    let taken = services.book(7, "2025-12-01T03:00:00Z").1;
    let (timetable, free) = (&under("GET /telescopios/{id}/agenda")[0], &under("GET /telescopios/{id}/livres")[0]);
    let post = under("POST /agendamentos");
    for (example, answer) in [
        (timetable, &period),
        (&timetable["horarios"][0], &period["horarios"][0]),
        (&timetable["horarios"][1], &period["horarios"][1]),
        (&post[3], &services.book(7, "2025-12-01T04:00:00Z").1),
        (&post[4], &taken),
    ] {
        assert_eq!(members(example), members(answer), "{answer}");
    }
    // Where nothing in them differs from run to run, they are the very answers.
    assert_eq!(*free, nearest);
    assert_eq!(timetable["_links"], period["_links"]);
    for rel in ["agenda", "livres", "agendamentos", "agendar"] {
        assert_eq!(post[4]["_links"][rel], taken["_links"][rel]);
    }
    assert_eq!((&post[4]["cientista"], &post[4]["detail"]), (&taken["cientista"], &taken["detail"]));
}

/// The endpoints that the headings of a part of API.md name: "GET /saude, GET /pronto" are two.
fn documented(part: &str) -> Vec<(String, String)> {
    let text = document("API.md");
    let part = text.split(&format!("\n## {part}")).nth(1).unwrap().split("\n## ").next().unwrap();
    let headings = part.lines().filter_map(|line| line.strip_prefix("### "));
    let named = headings.flat_map(|heading| heading.split(", ")).filter_map(|one| {
        let mut words = one.split(' ');
        let method = words.next().filter(|method| method.bytes().all(|byte| byte.is_ascii_uppercase()))?;
        Some((method.to_owned(), words.next()?.to_owned()))
    });
    let mut named: Vec<_> = named.collect();
    named.sort_unstable();
    named
}

#[test]
fn every_endpoint_has_its_heading_and_every_heading_its_endpoint() {
    fn listed(endpoints: impl Iterator<Item = &'static Endpoint>) -> Vec<(String, String)> {
        let mut listed: Vec<_> = endpoints
            .inspect(|endpoint| assert!(!endpoint.about.is_empty()))
            .map(|endpoint| (endpoint.method.to_string(), endpoint.path.replace("{*", "{")))
            .collect();
        listed.sort_unstable();
        listed
    }
    assert_eq!(documented("servico-agendamento"), listed(scheduler::endpoints()));
    assert_eq!(documented("servico-coordenador"), listed(coordinator::endpoints()));
}

/// The rows of API.md's list of problems: code, statuses, title.
fn listed_problems() -> BTreeSet<(String, String, String)> {
    let text = document("API.md");
    let (_, list) = text.split_once("\n## Problemas\n").unwrap();
    let rows = list.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    // The first row is the head.
    rows.skip(1)
        .map(|row| {
            let cells: Vec<_> = row.split(" | ").collect();
            (cells[0].trim_end_matches('`').to_owned(), cells[1].to_owned(), cells[2].to_owned())
        })
        .collect()
}

#[test]
fn the_list_of_problems_is_that_of_the_source() {
    let mut statuses: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let kinds = kind::ALL.iter().chain(coordinator::kinds::ALL).copied().chain(scheduler::problem_kinds());
    for kind in kinds {
        statuses.entry((kind.code(), kind.title())).or_default().insert(kind.status().as_u16().to_string());
    }
    let made = statuses.into_iter().map(|((code, title), statuses)| {
        (code.to_owned(), statuses.into_iter().collect::<Vec<_>>().join(", "), title.to_owned())
    });
    assert_eq!(listed_problems(), made.collect());
}

#[test]
fn a_kind_of_problem_is_made_in_a_list_only() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let make_one = |path: &PathBuf| std::fs::read_to_string(folder.join(path)).unwrap().contains("Kind::new(");
    let mut making: Vec<_> = sources(&folder).into_iter().filter(make_one).collect();
    making.sort_unstable();
    assert_eq!(making, ["http/kind.rs", "scheduler/problems.rs"].map(PathBuf::from));
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The parts of a path below `src`, without the names that only say that it is a module: `http/server/tests.rs` is
/// `http`, `server`.
fn parts(path: &Path) -> Vec<String> {
    let names = path.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect::<Vec<_>>();
    names.into_iter().filter(|name| name != "mod" && name != "tests").collect()
}

/// The layers of ARCHITECTURE.md's table, the highest first, each as the row has its modules.
fn layers() -> Vec<String> {
    let text = document("ARCHITECTURE.md");
    let table = text.split("| module | what it is |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split(" | ").next().unwrap().trim_start_matches("| ").to_owned()).collect()
}

/// The first sentence of a file of `src`, which says why the file exists.
fn first_sentence(path: &Path) -> String {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path)).unwrap();
    let lines = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let paragraph = lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let sentence = paragraph.split_once(". ").map_or(paragraph.as_str(), |(first, _)| first).trim_end_matches('.');
    // Links of rustdoc lead nowhere in a document.
    let sentence = sentence.replace("[`", "`").replace("`]", "`").replace("super::", "").replace("crate::", "");
    assert!(!sentence.is_empty(), "{} does not begin with why it exists", path.display());
    sentence + "."
}

/// MODULES.md as the files of `src` say it.
fn modules() -> Vec<String> {
    let mut files = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    files.retain(|path| path.file_name().is_some_and(|name| name != "tests.rs"));
    // What a folder is stands before what is in it.
    files.sort_unstable_by_key(|path| (path.parent().map(Path::to_owned), !path.ends_with("mod.rs"), path.clone()));
    let mut lines = Vec::new();
    for layer in layers() {
        let modules = quoted(&layer);
        lines.extend([format!("## {layer}"), String::new(), "| file | why it exists |".into(), "|---|---|".into()]);
        let is_of = |path: &Path, module: &str| path.starts_with(module.trim_end_matches('/'));
        let of_layer = files.iter().filter(|path| modules.iter().any(|module| is_of(path, module)));
        lines.extend(of_layer.map(|path| format!("| `{}` | {} |", path.display(), first_sentence(path))));
        lines.push(String::new());
    }
    lines
}

#[test]
fn the_list_of_modules_has_each_file_with_its_first_sentence() {
    let text = document("MODULES.md");
    let (_, listed) = text.split_once("\n\n## ").map(|(head, rest)| (head, format!("## {rest}\n"))).unwrap();
    let listed: Vec<&str> = listed.lines().collect();
    let expected = modules();
    assert!(expected.len() > 250, "{}", expected.len());
    let missing: Vec<_> = expected.iter().filter(|line| !listed.contains(&line.as_str())).collect();
    let superfluous: Vec<_> = listed.iter().filter(|line| !expected.iter().any(|one| one == *line)).collect();
    assert!(
        missing.is_empty() && superfluous.is_empty(),
        "MODULES.md lacks {missing:#?}\nand has too much: {superfluous:#?}"
    );
    assert_eq!(listed, expected, "the order is that of ARCHITECTURE.md's layers, and of the paths in a layer");
}

#[test]
fn the_architecture_names_every_module_and_no_other() {
    let text = layers().join(" ");
    let mut named: Vec<_> =
        quoted(&text).into_iter().map(|name| name.trim_end_matches(".rs").trim_end_matches('/')).collect();
    named.sort_unstable();
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let tops = sources.iter().map(|path| path.iter().next().unwrap().to_str().unwrap());
    let mut there: Vec<_> = tops.map(|name| name.trim_end_matches(".rs")).collect();
    there.sort_unstable();
    there.dedup();
    assert_eq!(named, there);
}

#[test]
fn every_file_that_the_architecture_names_exists() {
    let text = document("ARCHITECTURE.md");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<PathBuf> = ["src", "tests", "benches", "examples"]
        .iter()
        .flat_map(|top| sources(&root.join(top)).into_iter().map(move |path| Path::new(top).join(path)))
        .collect();
    let named: Vec<&str> = quoted(&text)
        .into_iter()
        .filter(|name| {
            Path::new(name).extension().is_some_and(|end| end == "rs") && !name.contains('{') && *name != "build.rs"
        })
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(files.iter().any(|path| path.ends_with(name)), "no file {name}");
    }
}

#[test]
fn the_architecture_names_every_test_and_no_other() {
    let text = document("ARCHITECTURE.md");
    let table = text.split("| test | what it holds |").nth(1).unwrap();
    let cells = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut named: Vec<_> = cells.flat_map(|line| quoted(line.split('|').nth(1).unwrap())).collect();
    named.sort_unstable();
    let tests = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    let first = tests.iter().filter_map(|path| parts(path).into_iter().find(|name| name != "it"));
    let mut there: Vec<_> = first.filter(|name| name != "common" && name != "main").collect();
    there.sort_unstable();
    there.dedup();
    assert_eq!(named, there);
}

/// The commands in a text: the lines of its shell blocks without their comments, and what its tables and sentences quote.
fn commands(text: &str) -> BTreeSet<String> {
    let blocks = text.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("sh\n"));
    let in_blocks = blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap().trim());
    let in_sentences = text.split("```").step_by(2).flat_map(quoted);
    let is_command = |text: &&str| ["sctec ", "cargo ", "docker ", "bash "].iter().any(|first| text.starts_with(first));
    in_blocks.chain(in_sentences).filter(is_command).map(|one| one.replace('\n', " ")).collect()
}

fn readme(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn what_the_english_readme_tells_to_run_is_in_the_portuguese_one_too() {
    let (english, portuguese) = (readme("README.md"), readme("README.pt-BR.md"));
    // What follows is about measurements, and the Portuguese README links to it.
    let (english, _) = english.split_once("\n## How fast\n").unwrap();
    let (english, portuguese) = (commands(english), commands(&portuguese));
    assert!(english.len() > 15, "{english:?}");
    let missing: Vec<_> = english.difference(&portuguese).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_executable_knows_every_option_that_the_documents_use() {
    let texts = ["README.md", "README.pt-BR.md"].map(readme).into_iter();
    let texts = texts.chain(["OPERACAO.md", "LOGGING.md", "API.md"].map(document));
    // A long command goes on in the next line.
    let named: BTreeSet<_> = texts.flat_map(|text| commands(&text.replace("\\\n", " "))).collect();
    // By itself, or in a container.
    let lines = named.iter().filter_map(|line| match line.split_once(" /sctec ") {
        Some((_, arguments)) => Some(format!("sctec {arguments}")),
        None => line.starts_with("sctec ").then(|| line.clone()),
    });
    let mut count = 0;
    for line in lines.filter(|line| !line.contains('…')) {
        let words =
            line.split_whitespace().take_while(|word| !["|", "||", "&&", "&"].contains(word) && !word.starts_with('>'));
        count += 1;
        if let Err(error) = Cli::try_parse_from(words) {
            // A sentence may name a command without its arguments, and an option without its value.
            use ErrorKind::{DisplayHelp, InvalidValue, MissingRequiredArgument};
            let fits = matches!(error.kind(), DisplayHelp | InvalidValue | MissingRequiredArgument);
            assert!(fits, "{line}: {error}");
        }
    }
    assert!(count > 25, "{count}");
}
