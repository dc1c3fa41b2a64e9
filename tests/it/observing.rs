//! The commands of observers: `agenda` and `bookings`, by links alone, on a terminal, piped and as JSON.

use std::process::Output;

use serde_json::{Value, json};

use crate::common::access::give;
use crate::common::terminal::{on_terminal, without_colours};
use crate::common::{Asked, Services, http, peer, sctec};

const DAY: &str = "2030-06-03";

fn at(time: &str) -> String {
    format!("{DAY}T{time}:00Z")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs `sctec` against the scheduler at `url`. Gives its status and what it printed on both outputs.
pub fn run_at(url: &str, arguments: &[&str]) -> (i32, String, String) {
    let output: Output = sctec().args(arguments).args(["--url", url]).output().unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[track_caller]
fn printed(services: &Services, arguments: &[&str]) -> String {
    let (status, out, said) = run_at(&services.agenda(""), arguments);
    assert_eq!((status, said.as_str()), (0, ""), "{arguments:?}: {out}");
    out
}

/// Services with four bookings of two scientists on two telescopes, one of them cancelled.
fn with_bookings() -> Services {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let book = |asked: Asked| {
        let (status, booking) = services.book_as(&asked);
        assert_eq!(status, 201, "{booking}");
        booking
    };
    book(Asked::by(7, &at("03:00")).minutes(15).with("alvo", "M31, Andrômeda"));
    book(Asked::by(4, &at("03:15")).minutes(55));
    book(Asked::by(7, &at("12:00")).on("Webb-Acad"));
    let cancelled = book(Asked::by(4, &at("20:00")));
    assert_eq!(services.follow(&cancelled, "cancelar").status, 200);
    services
}

#[test]
fn a_day_is_drawn_with_own_bookings_and_those_of_others() {
    let services = with_bookings();
    let drawn = printed(&services, &["agenda", "--day", DAY, "--scientist", "7"]);
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines[0], format!("Hubble-Acad (simulated): Monday {DAY}, UTC"));
    assert!(lines[1].starts_with("       :00   :05   :10 ") && lines[1].ends_with(" :55"), "{drawn}");
    assert_eq!(lines.len(), 2 + 24 + 2, "{drawn}");
    let free = "  ·   ".repeat(12);
    assert_eq!(lines[2], format!(" 00  {}", free.trim_end()));
    assert_eq!(lines[5], " 03  [Marie Curie#####][Henrietta Leavitt------------------------------------");
    assert_eq!(lines[6], format!(" 04  -Leavitt---]{}", free.chars().skip(12).collect::<String>().trim_end()));
    assert_eq!(lines[26], "· free   [##] yours   [--] somebody else's");
    assert_eq!(lines[27], "2 bookings, 1 of them yours, 274 free slots");
    // Without a scientist no booking is one's own.
    let drawn = printed(&services, &["agenda", "--day", DAY]);
    assert!(drawn.contains("[Marie Curie-----]") && drawn.contains("[--] booked"), "{drawn}");
    // The variable says who one is; the other telescope has another day.
    let other = sctec()
        .args(["agenda", "--day", DAY, "--telescope", "Webb-Acad", "--url", &services.agenda("")])
        .env("SCTEC_SCIENTIST", "7")
        .output()
        .unwrap();
    let other = text(&other.stdout);
    assert!(other.starts_with(&format!("Webb-Acad: Monday {DAY}")) && other.contains("\n 12  [MC##]"), "{other}");
}

#[test]
fn today_is_the_schedulers_day_and_the_past_of_a_real_telescope_is_empty() {
    let services = Services::start(&[]);
    let today = printed(&services, &["agenda", "--telescope", "Webb-Acad"]);
    assert!(today.contains("; now it is ") && today.contains("> the present hour"), "{today}");
    assert_eq!(today.matches("\n>").count(), 1, "{today}");
    let yesterday = printed(&services, &["agenda", "--telescope", "Webb-Acad", "--day", "yesterday"]);
    assert!(!yesterday.contains('·') && yesterday.contains("nothing: past"), "{yesterday}");
    assert!(yesterday.contains("0 bookings, 0 free slots"), "{yesterday}");
    let document: Value = serde_json::from_str(&printed(&services, &["agenda", "--json"])).unwrap();
    assert_eq!(document["horarios"].as_array().unwrap().len(), 288);
    let midnight = document["de_utc"].as_str().unwrap();
    let tomorrow: Value =
        serde_json::from_str(&printed(&services, &["agenda", "--day", "tomorrow", "--json"])).unwrap();
    assert!(midnight.ends_with("T00:00:00Z"), "{midnight}");
    assert_eq!(tomorrow["de_utc"], document["ate_utc"]);
}

#[test]
fn a_slot_that_was_booked_several_times_is_told_from_others() {
    let services = Services::start(&["--no-lock", "--critical-delay-ms", "1500"]);
    let url = services.agenda("");
    std::thread::scope(|scope| {
        for scientist in [1, 2, 3] {
            let url = &url;
            scope.spawn(move || assert_eq!(Asked::by(scientist, &at("03:00")).at(url).status, 201));
        }
    });
    let drawn = printed(&services, &["agenda", "--day", DAY]);
    assert!(drawn.contains("\n 03  [×3!!]") && drawn.contains("booked several times"), "{drawn}");
}

#[test]
fn bookings_are_lines_with_tabs_when_piped_and_objects_as_json() {
    let services = with_bookings();
    let all = printed(&services, &["bookings"]);
    let expected = [
        format!("1\t{}\t{}\tHubble-Acad\t7\tAGENDADO\tM31, Andrômeda", at("03:00"), at("03:15")),
        format!("2\t{}\t{}\tHubble-Acad\t4\tAGENDADO\t", at("03:15"), at("04:10")),
        format!("3\t{}\t{}\tWebb-Acad\t7\tAGENDADO\t", at("12:00"), at("12:05")),
        format!("4\t{}\t{}\tHubble-Acad\t4\tCANCELADO\t", at("20:00"), at("20:05")),
    ];
    assert_eq!(all, expected.join("\n") + "\n");
    let ids = |arguments: &[&str]| {
        let lines = printed(&services, &[&["bookings"], arguments].concat());
        lines.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids(&["--scientist", "7"]), "1 3");
    assert_eq!(ids(&["--status", "cancelled"]), "4");
    assert_eq!(ids(&["--status", "active", "--scientist", "4"]), "2");
    assert_eq!(ids(&["--telescope", "Webb-Acad"]), "3");
    assert_eq!(ids(&["--from", &at("04:00"), "--until", &at("20:00")]), "2 3");
    assert_eq!(ids(&["--limit", "2"]), "1 2");
    assert_eq!(ids(&["--from", "2031-01-01"]), "");
    let objects = printed(&services, &["bookings", "--json"]);
    let objects: Vec<Value> = objects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects, services.list(""), "the scheduler's own objects");
}

#[test]
fn a_list_of_many_pages_is_whole() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let stress = ["stress", "-n", "600", "--distinct", "-c", "50", "--slot", &at("00:00"), "--url"];
    assert!(sctec().args(stress).arg(services.agenda("")).output().unwrap().status.success());
    assert_eq!(printed(&services, &["bookings"]).lines().count(), 600);
    assert_eq!(printed(&services, &["bookings", "--limit", "550"]).lines().count(), 550);
    let shown = on_terminal(80, sctec().args(["bookings", "--limit", "510", "--url", &services.agenda("")]));
    assert!(without_colours(&shown).ends_with("\n510 bookings; there are more than --limit shows\n"), "{shown}");
}

#[test]
fn a_token_says_who_one_is() {
    let services = Services::start(&["--access", "token"]);
    let [curie, reader, service] = [
        give(services.data_dir(), &["curie", "--role", "cientista", "--scientist", "7"]).token,
        give(services.data_dir(), &["leitora", "--role", "leitor"]).token,
        give(services.data_dir(), &["copia", "--role", "servico", "--prefix", "copia-"]).token,
    ];
    let run = |token: &str, arguments: &[&str]| {
        let mut command = sctec();
        let output = command.args(arguments).args(["--url", &services.agenda("")]).env("SCTEC_TOKEN", token).output();
        let output = output.unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    for scientist in [7, 4] {
        let operator = give(services.data_dir(), &[&format!("chefe-{scientist}"), "--role", "operador"]).token;
        let body = json!({"cientista_id": scientist, "horario_inicio_utc": at(&format!("0{scientist}:00"))});
        let header = format!("Bearer {operator}");
        let answer = crate::common::http_with(
            "POST",
            &services.agenda("/agendamentos"),
            Some(("application/json", &body.to_string())),
            &[("Authorization", &header)],
        );
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    let (status, drawn, said) = run(&curie, &["agenda", "--day", DAY]);
    assert_eq!(status, 0, "{said}");
    assert!(drawn.contains(" 07  [MC##]") && drawn.contains(" 04  [HL--]"), "{drawn}");
    let (_, mine, _) = run(&curie, &["bookings", "--mine"]);
    assert_eq!((mine.lines().count(), mine.contains("\t7\tAGENDADO")), (1, true), "{mine}");
    let (status, _, said) = run(&reader, &["bookings", "--mine"]);
    assert!(status == 2 && said.contains("say which scientist you are: with SCTEC_SCIENTIST=N"), "{said}");
    for command in ["agenda", "bookings"] {
        let (status, _, said) = run(&service, &[command]);
        assert!(status == 2 && said.contains("does not allow this with your roles (servico)"), "{said}");
        let (status, _, said) = run("", &[command]);
        assert!(status == 2 && said.contains("has to know who asks: give a token with --token-file FILE"), "{said}");
    }
}

#[test]
fn what_is_wrong_is_named_with_what_would_be_right() {
    let services = Services::start(&[]);
    let url = services.agenda("");
    for (arguments, words) in [
        (&["agenda", "--day", "03:00"][..], "--day \"03:00\" is not a day; give 2026-11-25, today"),
        (&["agenda", "--day", "2026-02-30"], "--day \"2026-02-30\" does not exist on the calendar"),
        (&["agenda", "--telescope", "Hubble"], "did you mean Hubble-Acad? The server has: Hubble-Acad, Webb-Acad"),
        (&["agenda", "--scientist", "0"], "should be a whole number from 1"),
        (&["bookings", "--telescope", "x"], "unknown telescope \"x\"; the server has: Hubble-Acad, Webb-Acad"),
        (&["bookings", "--from", "soon"], "--from \"soon\" is not an instant; give -1h"),
        (&["bookings", "--from", "2030-01-02", "--until", "2030-01-01"], "--until should be after --from"),
        (&["bookings", "--status", "done"], "[possible values: active, cancelled]"),
        (&["bookings", "--mine"], "say which scientist you are"),
        (&["bookings", "--mine", "--scientist", "7"], "cannot be used with"),
    ] {
        let (status, out, said) = run_at(&url, arguments);
        assert!(status == 2 && out.is_empty() && said.contains(words), "{arguments:?}: {said}");
    }
    let wrong = sctec().args(["bookings", "--mine", "--url", &url]).env("SCTEC_SCIENTIST", "x").output().unwrap();
    assert!(text(&wrong.stderr).contains("SCTEC_SCIENTIST should be the number of a scientist"), "{wrong:?}");
    let coordinator = services.locks("");
    for command in ["agenda", "bookings"] {
        let (status, _, said) = run_at(&coordinator, &[command]);
        assert!(status == 2 && said.contains("is --url the entry point of a scheduler?"), "{said}");
        let (status, _, said) = run_at(&crate::common::nobody(), &[command]);
        assert!(status == 2 && said.contains("start the scheduler (sctec serve-all)"), "{said}");
    }
}

/// A scheduler whose paths all have other names: each link of its answers is renamed, and no other path is known.
pub fn renamed(services: &Services) -> String {
    let scheduler = services.agenda("");
    peer::start(move |method, path, body| {
        let own = if path == "/" { Some("/") } else { path.strip_prefix("/outro") };
        let Some(own) = own else { return (404, json!({"codigo": "nao_encontrado"})) };
        let text = body.to_string();
        let body = (!body.is_null()).then_some(("application/json", text.as_str()));
        let answer = http(method, &format!("{scheduler}{own}"), body);
        let renamed = answer.body.replace("\"href\":\"/", "\"href\":\"/outro/");
        // A calendar is no JSON.
        (answer.status, serde_json::from_str(&renamed).unwrap_or(Value::String(renamed)))
    })
}

#[test]
fn every_path_is_found_by_links() {
    let services = with_bookings();
    let url = renamed(&services);
    for arguments in [
        &["agenda", "--day", DAY, "--scientist", "7"][..],
        &["agenda", "--day", "today", "--telescope", "Webb-Acad"],
        &["bookings"],
        &["bookings", "--scientist", "4", "--from", "now"],
    ] {
        let (status, out, said) = run_at(&url, arguments);
        assert_eq!((status, said.as_str()), (0, ""), "{arguments:?}");
        assert_eq!(out, printed(&services, arguments));
    }
}

#[test]
fn what_a_server_says_steers_no_terminal() {
    let hostile = "a\u{1b}[2J\tb";
    let url = peer::start(move |_, path, _| {
        let booking = json!({
            "id": 1, "telescopio": hostile, "cientista_id": 7, "status": hostile, "alvo": hostile,
            "horario_inicio_utc": at("03:00"), "horario_fim_utc": at("03:30"),
            "_links": {"cientista": {"href": "/c"}}
        });
        let slot =
            json!({"horario_inicio_utc": at("03:00"), "estado": "agendado", "agendamento_id": 1, "vezes_agendado": 1});
        let other = json!({"horario_inicio_utc": at("03:05"), "estado": hostile});
        let answer = match path {
            "/" => {
                json!({"_links": {"telescopios": {"href": "/t"}, "agendamentos": {"href": "/l{?limite}", "templated": true}}})
            }
            "/t" => json!({"telescopios": [{"id": hostile, "_links": {"agenda": {"href": "/a"}}}]}),
            "/a" => json!({
                "telescopio": hostile, "agora_utc": at("03:00"), "horarios": [slot, other], "agendamentos": [booking]
            }),
            "/c" => json!({"nome": hostile}),
            _ => json!({"agendamentos": [booking]}),
        };
        (200, answer)
    });
    for command in ["agenda", "bookings"] {
        let shown = without_colours(&on_terminal(80, sctec().args([command, "--url", &url])));
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
        assert!(shown.contains("a\\u001b[2J\\tb"), "{shown}");
    }
    let (_, drawn, _) = run_at(&url, &["agenda"]);
    assert!(drawn.contains(" xx") && drawn.contains("xx closed"), "a state of another version is closed: {drawn}");
    let (_, line, _) = run_at(&url, &["bookings"]);
    assert_eq!((line.lines().count(), line.matches('\t').count()), (1, 6), "{line:?}");
    let (_, json, _) = run_at(&url, &["bookings", "--json"]);
    assert!(!json.contains('\u{1b}') && serde_json::from_str::<Value>(&json).unwrap()["alvo"] == hostile, "{json}");
}
