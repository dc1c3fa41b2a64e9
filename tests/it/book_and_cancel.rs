//! The commands `book` and `cancel`: what they do, what a refusal says, and what is known when an answer is lost.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::common::access::give;
use crate::common::terminal::{Terminal, without_colours};
use crate::common::{Asked, Services, http, nobody, peer, sctec};
use crate::observing::{renamed, run_at, text};

const DAY: &str = "2030-06-03";

fn at(time: &str) -> String {
    format!("{DAY}T{time}:00Z")
}

/// What the command printed, which has to be a success without a word on standard error.
#[track_caller]
fn printed(url: &str, arguments: &[&str]) -> String {
    let (status, out, said) = run_at(url, arguments);
    assert_eq!((status, said.as_str()), (0, ""), "{arguments:?}: {out}");
    out
}

/// What the command said; its status has to be this one, and it prints nothing.
#[track_caller]
fn said(url: &str, arguments: &[&str], status: i32) -> String {
    let (ended, out, said) = run_at(url, arguments);
    assert_eq!((ended, out.as_str()), (status, ""), "{arguments:?}: {said}");
    said
}

#[test]
fn a_booking_is_made_and_cancelled() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let url = services.agenda("");
    let start = at("03:00");
    let all = [
        &["book", &start, "--scientist", "7", "--duration", "1h30m", "--telescope", "Webb-Acad"][..],
        &["--target", "M31", "--notes", "H-alfa\ntwice"],
    ];
    let line = printed(&url, &all.concat());
    assert_eq!(line, format!("1\t{}\t{}\tWebb-Acad\t7\tAGENDADO\tM31\n", at("03:00"), at("04:30")));
    let kept = http("GET", &services.agenda("/agendamentos/1"), None).json();
    assert_eq!(kept["observacoes"], "H-alfa\ntwice");
    assert!(kept["instante_clique_utc"].is_string(), "{kept}");
    // The least that a request needs; without a telescope it is the first one.
    let object: Value =
        serde_json::from_str(&printed(&url, &["book", DAY, "05:00", "--scientist", "4", "--json"])).unwrap();
    assert_eq!(object, http("GET", &services.agenda("/agendamentos/2"), None).json(), "the scheduler's own object");
    assert_eq!((&object["telescopio"], &object["duracao_min"]), (&json!("Hubble-Acad"), &json!(5)));
    let line = printed(&url, &["cancel", "1", "--reason", "clouds of dust"]);
    assert!(line.starts_with("1\t") && line.contains("\tCANCELADO\t"), "{line}");
    let kept = http("GET", &services.agenda("/agendamentos/1"), None).json();
    assert_eq!((&kept["status"], &kept["motivo_cancelamento"]), (&json!("CANCELADO"), &json!("clouds of dust")));
    // Once more changes nothing, and is no failure.
    let (status, again, said) = run_at(&url, &["cancel", "1", "--reason", "another"]);
    assert_eq!((status, again, said.as_str()), (0, line, "sctec: booking 1 was cancelled before\n"));
    let object: Value = serde_json::from_str(&printed(&url, &["cancel", "2", "--json"])).unwrap();
    assert_eq!((&object["status"], &object["motivo_cancelamento"]), (&json!("CANCELADO"), &Value::Null));
}

#[test]
fn a_terminal_shows_a_table_and_what_can_be_done_next() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let url = services.agenda("");
    let shown = |status, arguments: &[&str]| {
        without_colours(&Terminal::start(80, sctec().args(arguments).args(["--url", &url])).end_with(status))
    };
    let booked = shown(0, &["book", &at("03:00"), "--scientist", "7", "--target", "M31"]);
    assert!(booked.starts_with("Hubble-Acad; bookings of 7 Marie Curie; times in UTC\n"), "{booked}");
    assert!(
        booked.contains(&format!("│  1 ┆ {DAY} 03:00 ┆   5 │ M31"))
            || booked.contains(&format!("│  1 ┆ {DAY} 03:00 ┆   5 ┆ M31")),
        "{booked}"
    );
    assert!(booked.ends_with("\nbooked; 'sctec cancel 1' cancels it\n"), "{booked}");
    let refused = shown(1, &["book", &at("03:00"), "--scientist", "4"]);
    assert!(refused.contains("not booked: ") && refused.contains("the nearest free starts, in UTC: "), "{refused}");
    let cancelled = shown(0, &["cancel", "1"]);
    assert!(cancelled.contains("┆ cancelled ┆"), "{cancelled}");
    assert!(cancelled.ends_with("\nthe booking is cancelled\n"), "{cancelled}");
}

#[test]
fn a_day_is_the_schedulers_and_needs_no_quotes() {
    let services = Services::start(&[]);
    let url = services.agenda("");
    let tomorrow: Value = serde_json::from_str(&printed(&url, &["agenda", "--day", "tomorrow", "--json"])).unwrap();
    let date = &tomorrow["de_utc"].as_str().unwrap()[..10];
    for (start, time) in [
        (&["tomorrow", "03:00"][..], "03:00"),
        (&["amanhã 04:00"], "04:00"),
        (&[&format!("{date}T05:00")], "05:00"),
        (&[&format!("{date}T03:00:00-03:00")], "06:00"),
    ] {
        let line = printed(&url, &[&["book"], start, &["--scientist", "7"]].concat());
        assert!(line.contains(&format!("\t{date}T{time}:00Z\t")), "{start:?}: {line}");
    }
}

#[test]
fn a_refusal_says_what_is_wrong_and_what_is_free() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let url = services.agenda("");
    assert_eq!(services.book(7, &at("03:00")).0, 201);
    let start = at("03:00");
    let taken = said(&url, &["book", &start, "--scientist", "4"], 1);
    let expected = format!(
        "sctec: not booked: {DAY} 03:00 is booked by 7 Marie Curie (booking 1)\n\
         sctec: the nearest free starts, in UTC: {DAY} 03:05, {DAY} 02:55, {DAY} 03:10, "
    );
    assert!(taken.starts_with(&expected), "{taken}");
    let wrong = ["book", DAY, "03:01", "--scientist", "99", "--duration", "7m", "--target", "a\u{7}b"];
    let all = said(&url, &wrong, 1);
    for words in [
        "START is not a multiple of five minutes",
        "--scientist: there is no such scientist",
        "--duration should be a multiple of 5 minutes",
        "--target has a control character",
    ] {
        assert!(all.starts_with("sctec: not booked: ") && all.contains(words), "{words}: {all}");
    }
    assert!(!all.contains("free starts"), "{all}");
    let no_proposal = said(&url, &["book", &at("04:00"), "--scientist", "7", "--proposal", "9"], 1);
    assert!(no_proposal.contains("--proposal: there is no such proposal"), "{no_proposal}");
    let past = said(&url, &["book", "2020-01-01 03:00", "--scientist", "7", "--telescope", "Webb-Acad"], 1);
    assert!(past.contains("START has passed, and this telescope takes no bookings in the past"), "{past}");
    let unknown = said(&url, &["book", &start, "--scientist", "7", "--telescope", "Hubble"], 1);
    assert!(unknown.contains("not booked: --telescope: there is no such telescope"), "{unknown}");
    assert!(unknown.contains("did you mean Hubble-Acad? The server has: Hubble-Acad, Webb-Acad"), "{unknown}");
    assert_eq!(said(&url, &["cancel", "9"], 1), "sctec: not cancelled: there is no such booking\n");
    let reason = "x".repeat(501);
    let wrong = said(&url, &["cancel", "1", "--reason", &reason], 1);
    assert!(wrong.contains("not cancelled: --reason"), "{wrong}");
    assert_eq!(services.list("").len(), 1);
    assert_eq!(services.list("?status=AGENDADO").len(), 1);
}

#[test]
fn an_observation_that_has_begun_is_not_cancelled() {
    // The scheduler says in the booking's links, and then in its answer, what it does not allow.
    for (start, link, answer, words) in [
        ("2020-01-01T03:00:00Z", false, "", "the observation has begun, and cannot be cancelled any more"),
        ("2090-01-01T03:00:00Z", false, "", "its start is too near: a rule of the telescope"),
        ("2090-01-01T03:00:00Z", true, "observacao_iniciada", "the observation has begun"),
        (
            "2090-01-01T03:00:00Z",
            true,
            "recurso_ocupado",
            "another request is changing this slot now, or has just booked it",
        ),
    ] {
        let url = peer::start(move |method, path, _| match (method, path) {
            (_, "/") => (
                200,
                json!({"_links": {
                    "hora": {"href": "/t"}, "agendamento": {"href": "/b/{id}", "templated": true}
                }}),
            ),
            (_, "/t") => (200, json!({"recebido_utc": at("03:00"), "enviado_utc": at("03:00")})),
            ("GET", _) => {
                let links = if link { json!({"cancelar": {"href": "/b/1", "method": "DELETE"}}) } else { json!({}) };
                (200, with_links(booking(start), &links))
            }
            _ => (409, json!({"codigo": answer, "detail": "Não."})),
        });
        let refused = said(&url, &["cancel", "1"], 1);
        assert!(refused.starts_with("sctec: not cancelled: ") && refused.contains(words), "{refused}");
    }
}

fn booking(start: &str) -> Value {
    json!({
        "id": 1, "telescopio": "Webb-Acad", "cientista_id": 7, "status": "AGENDADO", "alvo": null,
        "horario_inicio_utc": start, "horario_fim_utc": "2091-01-01T00:00:00Z"
    })
}

fn with_links(mut document: Value, links: &Value) -> Value {
    document["_links"] = links.clone();
    document
}

#[test]
fn what_could_not_run_has_a_status_of_its_own() {
    let services = Services::start(&[]);
    let url = services.agenda("");
    for (arguments, words) in [
        (&["book", "--scientist", "7"][..], "START"),
        (&["book", "tomorrow", "--scientist", "7"], "START \"tomorrow\" is not a start; give 03:00 (today)"),
        (&["book", "25:00", "--scientist", "7"], "START \"25:00\" does not exist"),
        (
            &["book", "03:00", "--scientist", "7", "--duration", "30"],
            "should be hours and minutes, as 30m, 1h or 1h30m",
        ),
        (&["book", "03:00", "--scientist", "0"], "should be a whole number from 1"),
        (&["book", "03:00"], "say who observes: with --scientist N or SCTEC_SCIENTIST=N"),
        (&["cancel"], "ID"),
        (&["cancel", "0"], "should be a whole number from 1"),
        (&["cancel", "x"], "should be a whole number from 1"),
    ] {
        let refused = said(&url, arguments, 2);
        assert!(refused.contains(words), "{arguments:?}: {refused}");
    }
    for arguments in [&["book", "03:00", "--scientist", "7"][..], &["cancel", "1"]] {
        let coordinator = said(&services.locks(""), arguments, 2);
        assert!(coordinator.contains("is --url the entry point of a scheduler?"), "{coordinator}");
        let silence = said(&nobody(), arguments, 2);
        assert!(silence.contains("start the scheduler (sctec serve-all)"), "{silence}");
    }
    assert_eq!(services.list("").len(), 0);
    for (status, code, words) in [
        (401, "sem_identificacao", "answered 401: it has to know who asks: give a token"),
        (403, "falta_papel", "answered 403: it does not allow this"),
        (429, "requisicoes_demais", "answered 429: it takes no more requests from one client"),
        (503, "coordenador_indisponivel", "answered 503: bookings are paused"),
        (503, "encerrando", "answered 503: it is stopping"),
    ] {
        let scheduler = services.agenda("");
        let url = between(&scheduler, move |_| (status, json!({"codigo": code, "detail": "Não."})));
        let refused = said(&url, &["book", &at("03:00"), "--scientist", "7"], 2);
        assert!(refused.contains(words), "{refused}");
    }
}

/// Between a command and the scheduler: what is answered to a request that changes something is what `answers` makes of it.
fn between(scheduler: &str, answers: impl Fn(&dyn Fn()) -> (u16, Value) + Send + Sync + 'static) -> String {
    let scheduler = scheduler.to_owned();
    peer::start(move |method, path, body| {
        let ask = || {
            let text = body.to_string();
            let body = (!body.is_null()).then_some(("application/json", text.as_str()));
            http(method, &format!("{scheduler}{path}"), body)
        };
        if method == "GET" {
            let answer = ask();
            return (answer.status, answer.json());
        }
        answers(&|| assert!(ask().status < 300))
    })
}

#[test]
fn a_lost_answer_is_looked_for_in_the_list() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let (url, book) = (services.agenda(""), at("03:00"));
    let book = ["book", &book, "--scientist", "7"];
    // Nothing comes; the answer of a proxy; the scheduler does not know itself.
    let lost = [(peer::HANGS_UP, json!(null)), (502, json!("<p>")), (503, json!({"codigo": "resultado_incerto"}))];
    for (number, (status, answer)) in (1..).zip(lost) {
        let told = answer.clone();
        let not_done = between(&url, move |_| (status, told.clone()));
        let unknown = said(&not_done, &book, 3);
        let expected = format!(
            "it is not known whether it was booked: the booking is not in the list now; before you try again, look with: \
             sctec bookings --scientist 7 --from {}\n",
            at("03:00")
        );
        assert!(unknown.ends_with(&expected), "{unknown}");
        let told = answer.clone();
        // Each command acts once: what stands between knows nothing of keys, and the scheduler gets none.
        let acted = AtomicUsize::new(0);
        let done = between(&url, move |act| {
            if acted.fetch_add(1, Ordering::SeqCst).is_multiple_of(4) {
                act();
            }
            (status, told.clone())
        });
        let (ended, line, told) = run_at(&done, &book);
        assert_eq!((ended, line.starts_with(&format!("{number}\t{}\t", at("03:00")))), (0, true), "{line}{told}");
        assert!(told.contains("but the booking was made: it is in the list\n"), "{told}");
        let id = number.to_string();
        let unknown = said(&not_done, &["cancel", &id], 3);
        let words = "it is not known whether it was cancelled: the booking is active now; the same command may be given again\n";
        assert!(unknown.ends_with(words), "{unknown}");
        let (ended, line, told) = run_at(&done, &["cancel", &id]);
        assert_eq!((ended, line.contains("\tCANCELADO\t")), (0, true), "{line}{told}");
        assert!(told.contains("but the booking was cancelled"), "{told}");
    }
    assert_eq!(services.list("").len(), 3);
    // A booking of the same slot by the same scientist, from another request, is not taken for it.
    assert_eq!(services.book_as(&Asked::by(7, &at("03:00"))).0, 201);
    let not_done = between(&url, |_| (peer::HANGS_UP, json!(null)));
    assert!(said(&not_done, &book, 3).contains("the booking is not in the list now"));
}

#[test]
fn a_token_says_who_one_is_and_what_one_may_do() {
    let services = Services::start(&["--access", "token"]);
    let url = services.agenda("");
    let [curie, leavitt, reader, operator] = [
        &["curie", "--role", "cientista", "--scientist", "7"][..],
        &["leavitt", "--role", "cientista", "--scientist", "4"],
        &["leitora", "--role", "leitor"],
        &["chefe", "--role", "operador"],
    ]
    .map(|args| give(services.data_dir(), args).token);
    let run = |token: &str, arguments: &[&str]| {
        let output = sctec().args(arguments).args(["--url", &url]).env("SCTEC_TOKEN", token).output().unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let (status, line, said) = run(&curie, &["book", &at("03:00")]);
    assert!(status == 0 && line.contains("\t7\tAGENDADO"), "{said}");
    let (status, line, said) = run(&operator, &["book", &at("05:00"), "--scientist", "4"]);
    assert!(status == 0 && line.contains("\t4\tAGENDADO"), "{said}");
    for (token, arguments, words) in [
        (&curie, &["book", &at("04:00"), "--scientist", "4"][..], "answered 403: it does not allow this"),
        (&reader, &["book", &at("04:00"), "--scientist", "4"], "does not allow this with your roles (leitor)"),
        (&leavitt, &["cancel", "1"], "booking 1 is of scientist 7: only they or an operator may cancel it"),
        (&reader, &["cancel", "1"], "does not allow this with your roles (leitor)"),
        (&String::new(), &["cancel", "1"], "has to know who asks: give a token with --token-file FILE"),
    ] {
        let (status, out, said) = run(token, arguments);
        assert!(status == 2 && out.is_empty() && said.contains(words), "{arguments:?}: {said}");
    }
    assert_eq!(run(&operator, &["cancel", "1"]).0, 0);
    assert_eq!(run(&leavitt, &["cancel", "2"]).0, 0);
}

#[test]
fn every_path_is_found_by_links() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let url = renamed(&services);
    assert!(printed(&url, &["book", &at("03:00"), "--scientist", "7"]).starts_with("1\t"));
    assert!(said(&url, &["book", &at("03:00"), "--scientist", "4"], 1).contains("the nearest free starts"));
    assert!(printed(&url, &["cancel", "1"]).contains("\tCANCELADO\t"));
}

#[test]
fn a_booking_that_cannot_be_shown_is_named() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let start = at("03:00");
    for (arguments, words) in [
        (&["book", &start, "--scientist", "7"][..], "sctec: booking 1 was made, and could not be shown: cannot write"),
        (&["cancel", "1"], "sctec: booking 1 was cancelled, and this could not be shown: cannot write to stdout"),
    ] {
        let output = sctec().args(arguments).args(["--url", &services.agenda("")]).stdout(full()).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.starts_with(words), "{said}");
    }
}

#[test]
fn what_a_server_says_steers_no_terminal() {
    let hostile = "a\u{1b}[2J\tb";
    let url = peer::start(move |method, path, _| match (method, path) {
        (_, "/") => (
            200,
            json!({"_links": {
                "hora": {"href": "/t"}, "agendar": {"href": "/b", "method": "POST"},
                "agendamento": {"href": "/b/{id}", "templated": true}
            }}),
        ),
        (_, "/t") => (200, json!({"recebido_utc": at("03:00"), "enviado_utc": at("03:00")})),
        ("POST", _) => (
            409,
            json!({
                "codigo": "horario_ocupado", "horario_inicio_utc": at("03:00"), "agendamento_id": 1, "cientista_id": 7,
                "cientista": hostile
            }),
        ),
        ("DELETE", _) => (409, json!({"codigo": hostile, "detail": hostile})),
        _ => (200, with_links(booking(&at("03:00")), &json!({"cancelar": {"href": "/b/1", "method": "DELETE"}}))),
    });
    for arguments in [&["book", "03:00", "--scientist", "7"][..], &["cancel", "1"]] {
        let shown = Terminal::start(80, sctec().args(arguments).args(["--url", &url])).end_with(1);
        let shown = without_colours(&shown);
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
        assert!(shown.contains("a\\u001b[2J\\tb"), "{shown}");
    }
}
