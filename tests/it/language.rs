//! The command line speaks Portuguese where the locale does, and what machines read does not change with it.

use std::process::{Command, Output};

use serde_json::Value;

use crate::common::storage::of_sqlite;
use crate::common::{Services, sctec};

/// The executable where the locale is Portuguese.
fn portuguese() -> Command {
    let mut command = sctec();
    command.env("LANG", "pt_BR.UTF-8");
    command
}

fn run(mut command: Command, arguments: &[&str]) -> Output {
    command.args(arguments).output().expect("the executable starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs the executable in Portuguese; what it said on both outputs, and its exit status, which is the same in English.
#[track_caller]
fn said(arguments: &[&str]) -> String {
    let [output, english] = [portuguese(), sctec()].map(|command| run(command, arguments));
    assert_eq!(output.status.code(), english.status.code(), "{arguments:?}");
    text(&output.stdout) + &text(&output.stderr)
}

/// The names of the subcommands, from the help.
fn subcommands() -> Vec<String> {
    let help = text(&run(sctec(), &["--help"]).stdout);
    let list = help.split("Commands:\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    let names = list.map(|line| line.split_whitespace().next().unwrap().to_owned());
    names.filter(|name| name != "help").collect()
}

/// Whether a line of the help has words to translate: it is more than an option, a command to type or a value.
fn has_words(line: &str) -> bool {
    let line = line.trim().trim_start_matches("- ");
    let is_typed =
        ["-", "sctec ", "curl ", "cat ", "journalctl ", "source ", "["].iter().any(|start| line.starts_with(start));
    let words = line.split_whitespace().filter(|word| word.len() > 1 && word.chars().all(char::is_alphabetic));
    !is_typed && words.count() > 1
}

#[test]
fn no_line_of_a_help_is_left_in_english() {
    let mut helps: Vec<Vec<String>> = vec![vec!["--help".into()], vec!["-h".into()], vec!["help".into()]];
    for name in subcommands() {
        helps.extend([vec![name.clone(), "--help".into()], vec![name.clone(), "-h".into()], vec!["help".into(), name]]);
    }
    for help in helps {
        let arguments: Vec<&str> = help.iter().map(String::as_str).collect();
        let [portuguese, english] = [portuguese(), sctec()].map(|mut command| {
            command.env("COLUMNS", "100");
            text(&run(command, &arguments).stdout)
        });
        let left: Vec<_> =
            english.lines().filter(|line| has_words(line) && portuguese.lines().any(|own| own == *line)).collect();
        assert!(left.is_empty(), "{help:?}: {left:#?}");
        assert!(portuguese.contains("Uso: sctec") && portuguese.contains("Opções:"), "{portuguese}");
        for word in ["Usage:", "Options:", "Commands:", "[default:", "[env:", "possible values", "Possible", "Print "] {
            assert!(!portuguese.contains(word), "{help:?}: {word}: {portuguese}");
        }
        // Every option and every default is there.
        let facts = |text: &str| {
            let words = text.split_whitespace().filter(|word| word.starts_with("--") || word.starts_with("SCTEC_"));
            words
                .map(|word| word.trim_end_matches([',', '.', ':', ']']).to_owned())
                .collect::<std::collections::BTreeSet<_>>()
        };
        assert!(facts(&portuguese).is_superset(&facts(&english)), "{help:?}: {portuguese}");
    }
}

#[test]
fn wrong_arguments_are_explained_in_portuguese() {
    for (arguments, says) in [
        (
            &["audit", "--cuont"][..],
            &["erro: argumento inesperado: '--cuont'", "argumento parecido: '--count'", "Uso: "][..],
        ),
        (&["stres"], &["comando desconhecido: 'stres'", "comandos parecidos: 'status', 'stress'"]),
        (&["completons"], &["comando desconhecido: 'completons'", "comando parecido: 'completions'"]),
        (&["stress", "--n", "0"], &["valor inválido '0' para '--n <N>': deve ser um número inteiro de 1 a 100000"]),
        (&["stress", "--n", "x"], &["deve ser um número inteiro de 1 a 100000"]),
        (&["stress", "--scientist", "x"], &["não é um número inteiro"]),
        (&["stress", "--scientist", "99999999999999999999"], &["o número é grande demais"]),
        (
            &["stress", "--expect", "rcae"],
            &["'--expect <QUAL>'", "[valores possíveis: one, race, all]", "valor parecido"],
        ),
        (&["stress", "--url"], &["'--url <URL>' exige um valor"]),
        (&["stress", "--n", "1", "--n", "2"], &["só pode ser usado uma vez"]),
        (&["locks", "--release", "X", "--watch"], &["não pode ser usado com '--watch'"]),
        (&["locks", "--interval-ms", "50"], &["faltam argumentos obrigatórios:\n  --watch"]),
        (&["serve-all", "--listen", "x"], &["não é um endereço com uma porta"]),
        (&["serve-all", "--no-lock=x"], &["--no-lock"]),
        (&["stress", "extra"], &["argumento inesperado: 'extra'"]),
        (&["--lang", "xx"], &["valor inválido 'xx' para '--lang <IDIOMA>'", "[valores possíveis: en, pt]"]),
        (&["help", "nothing"], &["comando desconhecido: 'nothing'"]),
        (&["lock", "X", "true"], &["sctec lock [OPÇÕES] <NOME>... -- <COMANDO>..."]),
        (&["serve-coordinator", "--lock-ttl-ms", "1"], &["--lock-ttl-ms é uma opção de serve-all e serve-scheduler"]),
        (&["audit", "--deep"], &["faltam argumentos obrigatórios:\n  --verify"]),
    ] {
        let said = said(arguments);
        for says in says {
            assert!(said.contains(says), "{arguments:?}: {said}");
        }
        for english in ["error:", "tip:", "Usage", "For more", "argument ", "value "] {
            assert!(!said.contains(english), "{arguments:?}: {english}: {said}");
        }
    }
}

#[test]
fn the_option_overrules_the_variable_and_the_variable_the_locale() {
    let first_line = |mut command: Command, arguments: &[&str]| {
        let help = text(&command.args(arguments).arg("--help").output().unwrap().stdout);
        if help.contains("Uso: ") { "pt" } else { "en" }
    };
    assert_eq!(first_line(portuguese(), &[]), "pt");
    assert_eq!(first_line(portuguese(), &["--lang", "en"]), "en");
    assert_eq!(first_line(portuguese(), &["audit", "--lang=en"]), "en");
    assert_eq!(first_line(sctec(), &["--lang", "pt"]), "pt");
    for (variables, expected) in [
        (&[("SCTEC_LANG", "en")][..], "en"),
        (&[("LC_ALL", "C")], "en"),
        (&[("LC_MESSAGES", "en_GB.UTF-8")], "en"),
        (&[("LC_TIME", "en_GB.UTF-8")], "pt"),
    ] {
        let mut command = portuguese();
        command.envs(variables.iter().copied());
        assert_eq!(first_line(command, &[]), expected, "{variables:?}");
    }
}

#[test]
fn what_machines_read_is_the_same_in_both_languages() {
    let services = Services::start(&[]);
    let (status, _) = services.book(7, "2025-12-01T03:00:00Z");
    assert_eq!(status, 201);
    let data_dir = services.data_dir().to_str().unwrap();
    services.wait_for_log("audit.jsonl", |lines| lines.iter().any(|line| line.contains("AGENDAMENTO_CRIADO")));
    let locks = services.locks("");
    let trail = std::fs::read_to_string(services.data_dir().join("audit.jsonl")).unwrap();
    let id = serde_json::from_str::<Value>(trail.lines().last().unwrap()).unwrap()["req"].clone();
    let id = id.as_str().unwrap().to_owned();
    for arguments in [
        &["--version"][..],
        &["completions", "bash"],
        &["completions", "fish"],
        &["audit", "--data-dir", data_dir],
        &["audit", "--data-dir", data_dir, "--format", "csv"],
        &["audit", "--data-dir", data_dir, "--count"],
        &["audit", "--data-dir", data_dir, "-n", "2", "--reverse", "--format", "jsonl"],
        &["audit", "--data-dir", data_dir, "--req", &id, "--json"],
        &["locks", "--url", &locks, "--json", "--prefix", "nothing"],
        &["lock", "X", "--coordinator", &locks, "--", "echo", "done"],
    ] {
        let [own, english] = [portuguese(), sctec()].map(|command| run(command, arguments));
        assert_eq!(own.status.code(), english.status.code(), "{arguments:?}");
        assert_eq!(text(&own.stdout), text(&english.stdout), "{arguments:?}");
        assert!(!own.stdout.is_empty(), "{arguments:?}");
    }
}

/// The names of a document's members, also of those inside.
fn shape(document: &Value) -> Vec<String> {
    let members = document.as_object().into_iter().flatten();
    members.flat_map(|(name, value)| [vec![name.clone()], shape(value)].concat()).collect()
}

#[test]
fn the_report_of_a_run_is_the_same_in_both_languages() {
    let services = Services::start(&[]);
    let url = services.agenda("");
    let reports = |arguments: &[&str], status: i32| {
        let arguments = [&["stress", "--json", "--url", &url], arguments].concat();
        [portuguese(), sctec()].map(|command| {
            let output = run(command, &arguments);
            assert_eq!(output.status.code(), Some(status), "{output:?}");
            serde_json::from_slice::<Value>(&output.stdout).unwrap()
        })
    };
    let [own, english] = reports(&["-n", "3"], 0);
    assert_eq!(shape(&own), shape(&english));
    for member in ["expect", "seen", "statuses", "reasons", "errors", "grace_left_ms"] {
        assert_eq!(own[member], english[member], "{member}");
    }
    assert_eq!(own["outcomes"]["booked"], 1);
    // The reason is the server's, in both.
    let [own, english] = reports(&["-n", "1", "--scientist", "99999"], 2);
    assert_eq!((&own["reasons"], &own["seen"]), (&english["reasons"], &english["seen"]));
}

#[test]
fn the_tools_speak_portuguese() {
    let services = Services::start(&["--lock-retention-ms", "60000"]);
    let (agenda, locks) = (services.agenda(""), services.locks(""));
    assert_eq!(services.book(7, "2030-06-01T03:00:00Z").0, 201);
    let cases: [(&[&str], &[&str]); 10] = [
        (&["stress", "-n", "2", "--url", &agenda], &["2 pedidos por 2 conexões", "resultado", "como esperado: "]),
        (&["stress", "--slot", "2030-06-01T03:00:00Z", "--url", &agenda], &["já existia antes desta execução"]),
        (&["stress", "--url", "http://127.0.0.1:1"], &["não é possível alcançar http://127.0.0.1:1: "]),
        (&["locks", "--url", &locks], &["│ recurso ", "retida", " à espera"]),
        (&["locks", "--url", &locks, "--release", "Y"], &["Y está livre"]),
        (
            &["lock", "X", "--owner", "a\tb", "--coordinator", &locks, "--", "true"],
            &["--owner tem um caractere de controle"],
        ),
        (
            &["lock", "X", "--coordinator", &locks, "--", "/nowhere"],
            &["não é possível executar /nowhere: Arquivo ou pasta"],
        ),
        (&["health", &agenda], &["/saude: vivo (servico-agendamento "]),
        (&["health", "--ready", &agenda], &["/pronto: pronto"]),
        (&["health", "http://127.0.0.1:1"], &["não respondeu: ", "com o argumento URL"]),
    ];
    for (arguments, says) in cases {
        let said = said(arguments);
        for says in says {
            assert!(said.contains(says), "{arguments:?}: {says}: {said}");
        }
    }
}

#[test]
fn manual_pages_are_written_in_portuguese_too() {
    let folder = tempfile::tempdir().unwrap();
    let said = said(&["manual", folder.path().join("man1").to_str().unwrap(), "--lang", "pt"]);
    assert!(said.lines().count() > 10, "{said}");
    let page = std::fs::read_to_string(folder.path().join("man1/sctec-audit.1")).unwrap();
    for heading in ["NOME", "SINOPSE", "DESCRIÇÃO", "OPÇÕES", "EXEMPLOS", "CÓDIGO DE SAÍDA", "NOTAS"] {
        assert!(page.contains(heading), "{heading}: {page}");
    }
    for english in [".SH NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "EXIT STATUS", "[default", "possible values"] {
        assert!(!page.contains(english), "{english}: {page}");
    }
}

#[test]
fn a_failure_and_its_causes_are_told_in_portuguese() {
    let server = Services::start(&[]);
    let address = server.agenda_address();
    let folder = tempfile::tempdir().unwrap();
    for (arguments, says) in [
        (
            &["manual", "/dev/null/x"][..],
            "não é possível criar a pasta /dev/null/x: Não é uma pasta (erro 20 do sistema)",
        ),
        (
            &["serve-coordinator", "--listen", &address, "--data-dir", folder.path().to_str().unwrap()],
            "não é possível escutar em",
        ),
        (&["health", "--timeout", "3"], "deve ser um número com uma unidade"),
    ] {
        let said = said(arguments);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

#[test]
fn what_audit_says_is_in_portuguese_and_its_exit_status_is_the_same() {
    of_sqlite!("it gives a database of SQLite in place of a trail, and checks one with --deep");
    let services = Services::start(&[]);
    assert_eq!(services.book(7, "2025-12-01T03:00:00Z").0, 201);
    let folder = services.stop();
    let data_dir = folder.path().to_str().unwrap();
    let trail = folder.path().join("audit.jsonl");
    let whole = std::fs::read_to_string(&trail).unwrap();
    let changed = whole.replacen("\"cientista_id\":7", "\"cientista_id\":8", 1);
    let (database, packed) = (folder.path().join("sctec.db"), folder.path().join("a.zst"));
    std::fs::write(&packed, b"\x28\xb5\x2f\xfd....").unwrap();
    let (database, packed) = (database.to_str().unwrap(), packed.to_str().unwrap());
    for (lines, arguments, says) in [
        (
            &whole,
            &["--verify"][..],
            &["arquivos ", "registro 3: confere com o banco de dados", "ÍNTEGRA: cada registro"][..],
        ),
        (&whole, &["--verify", "--deep"], &["1 agendamento, 1 horário ocupado, 3 registros", "COERENTE: "]),
        (
            &changed,
            &["--verify"],
            &["ADULTERADA: o primeiro registro ruim é o 2", "o registro 2 foi alterado", "provas"],
        ),
        (
            &whole[..whole.len() - 9].to_owned(),
            &["--verify"],
            &["INCOMPLETA: ", "a última linha", "o banco de dados tem o registro 3"],
        ),
        (&whole, &["--verify", "--count"], &["tire --count ou --verify"]),
        (&whole, &["--verify", database], &["não é possível verificar ", "é um banco de dados SQLite; "]),
        (&whole, &["--verify", "--head", database], &["não é uma cabeça da cadeia"]),
        (&whole, &["--format", "table"], &["quando (UTC)", "agend.", "3 registros"]),
        (&whole, &["--event", "X"], &["\"X\" não é um evento desta versão"]),
        (&whole, &["--event", "AGENDAMENTO_CRIAD"], &["você quis dizer AGENDAMENTO_CRIADO?"]),
        (&whole, &["--since", "semana passada"], &["--since \"semana passada\" não é um instante; use -1h"]),
        (&whole, &["--since", "1h"], &["está no futuro"]),
        (&whole, &["--since", "now", "--until", "-1h"], &["troque os dois"]),
        (&whole, &["-n", "x"], &["deve ser um número de registros"]),
        (&whole, &["-f", "-r"], &["tire --reverse"]),
        (&whole, &["--json"], &["mostrar uma requisição"]),
        (&whole, &[packed], &["não é possível ler ", "está comprimido com zstd; descomprima-o"]),
        (&whole, &["/dev/null/x"], &["não é possível ler /dev/null/x: Não é uma pasta"]),
        (&whole, &["/dev/zero"], &["é um dispositivo, não um arquivo"]),
        (&whole, &["--req", "ninguem"], &["0 linhas da requisição ninguem", "nada foi encontrado", "confira"]),
        (&whole, &["--req", "a b"], &["não é o identificador de uma requisição"]),
    ] {
        std::fs::write(&trail, lines).unwrap();
        let said = said(&[&["audit", "--data-dir", data_dir], arguments].concat());
        for says in says {
            assert!(said.contains(says), "{arguments:?}: {says}: {said}");
        }
        for english in ["record ", "records", "cannot", "the ", " is ", "leave", "file"] {
            assert!(!said.contains(english), "{arguments:?}: {english}: {said}");
        }
    }
}

#[test]
fn a_service_that_cannot_start_says_why_in_portuguese() {
    let running = Services::start(&[]);
    let taken = running.agenda_address();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("arquivo"), "").unwrap();
    std::fs::create_dir(path("nova")).unwrap();
    let database = rusqlite::Connection::open(path("nova/sctec.db")).unwrap();
    database.execute_batch("CREATE TABLE outra (x)").unwrap();
    drop(database);
    let (file, inside, foreign, fresh) = (path("arquivo"), path("arquivo/x"), path("nova"), path("vazia"));
    let used = running.data_dir().to_str().unwrap();
    let wrong_service = running.locks("");
    for (arguments, says) in [
        (&["serve-scheduler", "--listen", &taken, "--data-dir", &fresh][..], "não é possível escutar em"),
        (&["serve-coordinator", "--open", "--listen", "8.8.8.8:0"], "8.8.8.8 não é um endereço desta máquina"),
        (&["serve-scheduler", "--listen", "0", "--data-dir", &file], "é um arquivo, não uma pasta"),
        (&["serve-coordinator", "--listen", "0", "--data-dir", &inside], "é um arquivo, não uma pasta"),
        (&["serve-coordinator", "--listen", "0", "--data-dir", "/proc/x"], "não é possível escrever em /proc/x: "),
        (&["serve-coordinator", "--listen", "0", "--data-dir", used], "está em uso por outro coordenador"),
        (&["serve-scheduler", "--listen", "0", "--data-dir", &foreign], "não é uma agenda do sctec"),
        (&["serve-scheduler", "--lock-ttl-ms", "0"], "o TTL da trava deve ficar entre 100 e 300000 ms"),
        (&["clock-sync", "--samples", "1", "--url", "http://127.0.0.1:1"], "inicie o serviço de agendamento"),
        (&["clock-sync", "--samples", "1", "--url", &wrong_service], "de um agendamento"),
    ] {
        let said = said(arguments);
        assert!(said.contains(says), "{arguments:?}: {said}");
        for english in ["cannot", " the ", " is ", " not ", "choose", "check", "os error", "another"] {
            assert!(!said.contains(english), "{arguments:?}: {english}: {said}");
        }
    }
}
