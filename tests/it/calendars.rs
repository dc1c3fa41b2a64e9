//! Calendars that other programs subscribe to: what they read, and the secret addresses at which they read it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::access::{Given, give, revoke};
use crate::common::{Answer, Asked, Services, http, http_with, wait_until};

/// One request with a token, or without any.
fn ask(method: &str, url: &str, token: Option<&str>, body: Option<&Value>) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
    let body = body.map(Value::to_string);
    http_with(method, url, body.as_deref().map(|body| ("application/json", body)), &headers)
}

/// The values of a property in a calendar, with folded lines put together.
fn values(calendar: &str, name: &str) -> Vec<String> {
    let whole = calendar.replace("\r\n ", "");
    let found = whole.split("\r\n").filter_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.to_owned()));
    found.collect()
}

fn read(url: &str) -> String {
    let answer = http("GET", url, None);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/calendar; charset=utf-8")), "{url}");
    assert!(answer.body.split("\r\n").all(|line| line.len() <= 75 && !line.contains('\n')), "{}", answer.body);
    answer.body
}

#[test]
fn a_booking_is_an_event_that_stays_the_same_and_grows() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let asked = Asked::by(7, "2031-03-14T15:00:00Z")
        .minutes(30)
        .with("alvo", "M31, a galáxia; vista de cá")
        .with("observacoes", "linha 1\nlinha 2");
    let booked = services.book_as(&asked);
    assert_eq!(booked.0, 201);
    let scientist = http("GET", &services.agenda("/cientistas/7"), None).json();
    let own = services.agenda(scientist["_links"]["calendario"]["href"].as_str().expect("a link"));
    let telescope = http("GET", &services.agenda("/telescopios/Hubble-Acad"), None).json();
    let shared = services.agenda(telescope["_links"]["calendario"]["href"].as_str().expect("a link"));
    let first = [read(&own), read(&shared)];
    for calendar in &first {
        assert_eq!(values(calendar, "DTSTART"), ["20310314T150000Z"]);
        assert_eq!(values(calendar, "DTEND"), ["20310314T153000Z"]);
        assert_eq!(
            (values(calendar, "SEQUENCE"), values(calendar, "STATUS")),
            (vec!["0".into()], vec!["CONFIRMED".into()])
        );
        assert!(values(calendar, "DESCRIPTION")[0].ends_with("\\nObservações: linha 1\\nlinha 2"), "{calendar}");
        assert_eq!(values(calendar, "DTSTAMP"), values(calendar, "LAST-MODIFIED"));
    }
    assert_eq!(
        values(&first[0], "SUMMARY"),
        ["M31\\, a galáxia\\; vista de cá · Telescópio Espacial Acadêmico Hubble"]
    );
    assert_eq!(values(&first[1], "SUMMARY"), ["M31\\, a galáxia\\; vista de cá · Marie Curie"]);
    assert_eq!(values(&first[0], "UID"), values(&first[1], "UID"));
    // What has not changed is not sent again.
    let tag = http("GET", &own, None).header("etag").expect("a tag").to_owned();
    let again = http_with("GET", &own, None, &[("If-None-Match", &tag)]);
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let cancelled = services.follow(&booked.1, "cancelar");
    assert_eq!(cancelled.status, 200);
    let changed = http_with("GET", &own, None, &[("If-None-Match", &tag)]);
    assert_eq!(changed.status, 200);
    assert_eq!(values(&changed.body, "UID"), values(&first[0], "UID"));
    assert_eq!(
        (values(&changed.body, "SEQUENCE"), values(&changed.body, "STATUS")),
        (vec!["1".into()], vec!["CANCELLED".into()])
    );
    assert_eq!(values(&changed.body, "TRANSP"), ["TRANSPARENT"]);
}

#[test]
fn a_calendar_has_its_window_and_a_telescopes_maintenances() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    assert_eq!(services.book(7, "2020-01-01T00:00:00Z").0, 201);
    assert_eq!(services.book(5, "2031-01-01T00:00:00Z").0, 201);
    let closed = json!({"inicio_utc": "2030-01-01T22:00:00Z", "fim_utc": "2030-01-02T02:00:00Z", "motivo": "espelho",
        "semanal_ate_utc": "2030-03-01T00:00:00Z"});
    let made = ask("POST", &services.agenda("/telescopios/Hubble-Acad/manutencoes"), None, Some(&closed));
    assert_eq!(made.status, 201);
    let url = services.agenda("/telescopios/Hubble-Acad/agenda.ics");
    assert_eq!(values(&read(&url), "DTSTART"), ["20300101T220000Z", "20310101T000000Z"]);
    assert_eq!(values(&read(&url), "RRULE"), ["FREQ=WEEKLY;UNTIL=20300301T000000Z"]);
    assert_eq!(
        values(&read(&format!("{url}?de=2019-01-01T00:00:00Z&ate=2021-01-01T00:00:00Z")), "DTSTART"),
        ["20200101T000000Z"]
    );
    assert_eq!(values(&read(&services.agenda("/cientistas/5/agenda.ics")), "DTSTART"), ["20310101T000000Z"]);
    assert_eq!(values(&read(&services.agenda("/cientistas/1/agenda.ics")), "BEGIN"), ["VCALENDAR"]);
    for (path, status) in [
        ("/telescopios/x/agenda.ics", 404),
        ("/cientistas/77/agenda.ics", 404),
        ("/cientistas/x/agenda.ics", 404),
        ("/cientistas/7/agenda.ics?de=ontem", 422),
        ("/cientistas/7/agenda.ics?de=2031-01-01T00:00:00Z&ate=2030-01-01T00:00:00Z", 422),
        ("/cientistas/7/agenda.ics?dias=3", 422),
        ("/calendarios", 404),
    ] {
        assert_eq!(http("GET", &services.agenda(path), None).status, status, "{path}");
    }
}

#[test]
fn a_maintenance_that_was_taken_away_is_cancelled_in_the_calendar() {
    let services = Services::start(&[]);
    let url = services.agenda("/telescopios/Hubble-Acad/agenda.ics");
    let closed = |start: &str, end: &str, weekly: Option<&str>| {
        let body = json!({"inicio_utc": start, "fim_utc": end, "motivo": "espelho", "semanal_ate_utc": weekly});
        let made = ask("POST", &services.agenda("/telescopios/Hubble-Acad/manutencoes"), None, Some(&body));
        assert_eq!(made.status, 201, "{}", made.body);
        made.json()
    };
    let weekly = closed("2030-01-01T22:00:00Z", "2030-01-02T02:00:00Z", Some("2030-03-01T00:00:00Z"));
    closed("2030-01-05T22:00:00Z", "2030-01-05T23:00:00Z", None);
    let before = read(&url);
    assert_eq!(values(&before, "STATUS"), ["CONFIRMED", "CONFIRMED"]);
    assert_eq!(services.follow(&weekly, "retirar").status, 200);
    let after = read(&url);
    // What stands comes first.
    let both = |calendar: &str, name: &str| {
        let found = values(calendar, name);
        (found[0].clone(), found[1].clone())
    };
    let reversed = |(first, second): (String, String)| (second, first);
    for name in ["UID", "DTSTART", "DTEND", "SUMMARY"] {
        assert_eq!(both(&after, name), reversed(both(&before, name)), "{after}");
    }
    assert_eq!(values(&after, "STATUS"), ["CONFIRMED", "CANCELLED"]);
    assert_eq!(values(&after, "SEQUENCE"), ["0", "1"]);
    assert_eq!(values(&after, "RRULE"), values(&before, "RRULE"));
    // A time between two of its times has nothing of it.
    let between = |from: &str, until: &str| values(&read(&format!("{url}?de={from}&ate={until}")), "STATUS");
    assert_eq!(between("2030-01-08T22:00:00Z", "2030-01-08T23:00:00Z"), ["CANCELLED"]);
    assert_eq!(between("2030-01-09T22:00:00Z", "2030-01-09T23:00:00Z"), [""; 0]);
    // It stands nowhere else.
    let list = http("GET", &services.agenda("/telescopios/Hubble-Acad/manutencoes"), None).json();
    assert_eq!(list["manutencoes"].as_array().map(Vec::len), Some(1), "{list}");
}

#[test]
fn a_calendar_without_an_end_has_as_many_bookings_as_it_may_have() {
    let services = Services::start(&[]);
    let many = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 10199) \
        INSERT INTO agendamentos (id, telescopio_id, cientista_id, inicio_us, fim_us, status, criado_us, cancelado_us, req) \
        SELECT 1 + i, 1, 7, 1924992000000000 + CAST(i AS BIGINT) * 300000000, 1924992300000000 + CAST(i AS BIGINT) * 300000000, 'CANCELADO', 1, 1, 'x' FROM n";
    services.sql(many);
    let url = services.agenda("/telescopios/Hubble-Acad/agenda.ics");
    let packed = http_with("GET", &url, None, &[("Accept-Encoding", "gzip")]);
    assert_eq!((packed.header("content-encoding"), packed.header("vary")), (Some("gzip"), Some("Accept-Encoding")));
    let starts = values(&packed.body, "DTSTART");
    assert_eq!((starts.len(), starts[0].as_str()), (10_000, "20310101T000000Z"));
    let tag = packed.header("etag").expect("a tag");
    assert_eq!(http_with("GET", &url, None, &[("Accept-Encoding", "gzip"), ("If-None-Match", tag)]).status, 304);
    let until = |until: &str| http("GET", &format!("{url}?ate={until}"), None).status;
    assert_eq!((until("2031-01-31T00:00:00Z"), until("2031-12-31T00:00:00Z")), (200, 422));
}

/// A service that asks who its callers are, and the tokens of a scientist, of a reader and of an operator.
fn asking() -> (Services, [Given; 3]) {
    let services = Services::start(&["--lock-retention-ms", "0", "--access", "token"]);
    let given = [
        give(services.data_dir(), &["ana", "--role", "cientista", "--scientist", "7"]),
        give(services.data_dir(), &["bia", "--role", "leitor"]),
        give(services.data_dir(), &["chefe", "--role", "operador", "--role", "auditor"]),
    ];
    let url = services.agenda("/telescopios");
    for given in &given {
        wait_until("the token is known", || ask("GET", &url, Some(&given.token), None).status == 200);
    }
    (services, given)
}

/// Makes an address; gives it, and what was answered.
fn made(services: &Services, token: &str, body: &Value) -> (String, Value) {
    let answer = ask("POST", &services.agenda("/calendarios"), Some(token), Some(body));
    assert_eq!(answer.status, 201, "{}", answer.body);
    let made = answer.json();
    assert_eq!(answer.header("location"), made["_links"]["self"]["href"].as_str());
    (services.agenda(made["_links"]["calendario"]["href"].as_str().expect("an address")), made)
}

#[test]
fn a_secret_address_reads_one_calendar_without_notes() {
    let (services, [ana, bia, _]) = asking();
    let booking = Asked::by(7, "2031-03-14T15:00:00Z").with("alvo", "M31").with("observacoes", "só para mim");
    let booked = ask("POST", &services.agenda("/agendamentos"), Some(&ana.token), Some(booking.body()));
    assert_eq!(booked.status, 201);
    let (url, _) = made(&services, &ana.token, &json!({"cientista_id": 7}));
    assert!(!read(&url).contains("mim"), "no notes at a secret address");
    let plain = url.split('?').next().unwrap();
    let with_token = ask("GET", plain, Some(&ana.token), None).body;
    assert!(with_token.contains("só para mim"), "her own token may read them");
    assert_eq!(ask("GET", plain, None, None).status, 401);
    let (telescopes, _) = made(&services, &bia.token, &json!({"telescopio": "Hubble-Acad"}));
    assert_eq!(values(&read(&telescopes), "SUMMARY"), ["M31 · Marie Curie"]);
    // It leads to no other calendar, and to nothing else.
    let secret = url.split_once("?chave=").unwrap().1;
    for path in ["/cientistas/5/agenda.ics", "/telescopios/Hubble-Acad/agenda.ics", "/telescopios/x/agenda.ics"] {
        let refused = http("GET", &services.agenda(&format!("{path}?chave={secret}")), None);
        assert_eq!((refused.status, &refused.json()["codigo"]), (401, &json!("token_recusado")), "{path}");
    }
    for path in ["/agendamentos", "/calendarios", "/telescopios/Hubble-Acad/agenda"] {
        assert_eq!(http("GET", &services.agenda(&format!("{path}?chave={secret}")), None).status, 401, "{path}");
    }
    assert_eq!(ask("GET", &services.agenda("/cientistas/7/agenda.ics"), Some(secret), None).status, 401);
}

#[test]
fn an_address_is_its_owners_until_it_is_revoked_or_its_owner_may_not_read_any_more() {
    let (services, [ana, bia, chefe]) = asking();
    let (url, own) = made(&services, &ana.token, &json!({"cientista_id": 7}));
    let (telescopes, _) = made(&services, &bia.token, &json!({"telescopio": "Hubble-Acad"}));
    let secret = url.split_once("?chave=").unwrap().1;
    // Each sees their own, and an operator sees all.
    let seen = |token: &str| {
        let list = ask("GET", &services.agenda("/calendarios"), Some(token), None);
        assert!(!list.body.contains(secret), "{}", list.body);
        list.json()["calendarios"].as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((seen(&ana.token), seen(&bia.token), seen(&chefe.token)), (vec![1], vec![2], vec![1, 2]));
    let path = services.agenda(own["_links"]["self"]["href"].as_str().unwrap());
    assert_eq!(ask("DELETE", &path, Some(&bia.token), None).status, 404);
    let another = services.another_scheduler(&["--access", "token"]);
    let elsewhere = url.replace(&services.agenda(""), &another.url());
    assert_eq!(http("GET", &elsewhere, None).status, 200);
    for _ in 0..2 {
        let revoked = ask("DELETE", &path, Some(&ana.token), None);
        assert_eq!((revoked.status, &revoked.json()["estado"]), (200, &json!("revogado")));
        assert!(revoked.json()["_links"].get("revogar").is_none());
    }
    assert_eq!(http("GET", &url, None).status, 401);
    wait_until("it is revoked at the other scheduler", || http("GET", &elsewhere, None).status == 401);
    // The reader's address ends with the reader's token.
    revoke(services.data_dir(), &bia);
    wait_until("it ends with its owner's right", || http("GET", &telescopes, None).status == 401);
    let records = ask("GET", &services.agenda("/auditoria"), Some(&chefe.token), None).json();
    let records: Vec<_> = records["registros"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["event_type"].as_str().unwrap().starts_with("CALENDARIO"))
        .collect();
    let told: Vec<_> = records
        .iter()
        .map(|one| (one["event_type"].as_str().unwrap(), one["autor"].as_str().unwrap(), one["details"].clone()))
        .collect();
    let of_ana = json!({"calendario_id": 1, "telescopio": null, "cientista_id": 7, "dono": "ana"});
    let of_bia = json!({"calendario_id": 2, "telescopio": "Hubble-Acad", "cientista_id": null, "dono": "bia"});
    assert_eq!(
        told,
        [
            ("CALENDARIO_CRIADO", "ana", of_ana.clone()),
            ("CALENDARIO_CRIADO", "bia", of_bia),
            ("CALENDARIO_REVOGADO", "ana", of_ana)
        ]
    );
}

#[test]
fn the_secret_of_an_address_is_in_no_log_no_record_and_no_database() {
    let (services, [ana, ..]) = asking();
    let (url, _) = made(&services, &ana.token, &json!({"cientista_id": 7}));
    let secret = url.split_once("?chave=").unwrap().1.to_owned();
    let trace = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    for wrong in [
        url.clone(),
        format!("{url}&x=1"),
        format!("{url}&chave={secret}"),
        format!("{url}&de=ontem"),
        url.replace("/cientistas/7/", "/cientistas/8/"),
        url.replace("/agenda.ics", "/agenda.icsx"),
        url[..url.len() - 1].to_owned(),
    ] {
        let answer = http_with("GET", &wrong, None, &[trace, ("Referer", &url), ("X-Request-Id", "um-id")]);
        assert!(!answer.body.contains(&secret[..40]), "{}", answer.body);
    }
    let answer = http("GET", &url, None);
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(http("POST", &url, Some(("application/json", "{}"))).status, 405);
    services.log_lines("app.log", "agenda.ics");
    for entry in std::fs::read_dir(services.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        assert!(memchr::memmem::find(&bytes, &secret.as_bytes()[..40]).is_none(), "{}", path.display());
    }
}

#[test]
fn one_principal_has_a_bounded_number_of_addresses() {
    let (services, [ana, bia, _]) = asking();
    let url = services.agenda("/calendarios");
    for _ in 0..50 {
        made(&services, &ana.token, &json!({"cientista_id": 7}));
    }
    let refused = ask("POST", &url, Some(&ana.token), Some(&json!({"cientista_id": 7})));
    assert_eq!((refused.status, &refused.json()["codigo"]), (409, &json!("calendarios_demais")));
    made(&services, &bia.token, &json!({"cientista_id": 7}));
    assert_eq!(ask("DELETE", &format!("{url}/1"), Some(&ana.token), None).status, 200);
    made(&services, &ana.token, &json!({"cientista_id": 7}));
    for (body, field) in [
        (json!({}), "telescopio"),
        (json!({"telescopio": "x"}), "telescopio"),
        (json!({"cientista_id": 77}), "cientista_id"),
        (json!({"cientista_id": 7, "telescopio": "Hubble-Acad"}), "cientista_id"),
    ] {
        let refused = ask("POST", &url, Some(&bia.token), Some(&body));
        assert_eq!((refused.status, &refused.json()["erros"][0]["campo"]), (422, &json!(field)), "{body}");
    }
}

/// What Python's icalendar reads in a calendar: for each event its UID, its sequence, its status, its begin and its words.
const READER: &str = r#"
import json, sys
from icalendar import Calendar
calendar = Calendar.from_ical(sys.stdin.buffer.read())
assert not calendar.errors, calendar.errors
events = []
for event in calendar.walk("VEVENT"):
    assert not event.errors, event.errors
    for name in ("DTSTART", "DTEND", "DTSTAMP"):
        assert event.decoded(name).utcoffset().total_seconds() == 0, name
    events.append([str(event["UID"]), int(event["SEQUENCE"]), str(event["STATUS"]), event.decoded("DTSTART").isoformat(),
                   str(event["SUMMARY"]), str(event.get("DESCRIPTION", ""))])
json.dump([str(calendar["X-WR-CALNAME"]), events], sys.stdout)
"#;

fn read_by_python(calendar: &str) -> (String, Vec<Value>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = std::env::var("SCTEC_TEST_ICALENDAR")
        .unwrap_or_else(|_| root.join("target/icalendar/bin/python").to_str().unwrap().to_owned());
    let mut child = Command::new(&program)
        .args(["-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    child.stdin.take().unwrap().write_all(calendar.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{calendar}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
#[ignore = "needs python icalendar"]
fn another_program_reads_a_change_and_a_cancellation_as_the_same_event() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let target = "M31, a galáxia; \\n vista de cá: BEGIN:VEVENT \"x\" 🔭 com um nome bem longo, para dobrar a linha";
    let asked = Asked::by(7, "2031-03-14T15:00:00Z").with("alvo", target).with("observacoes", "linha 1\r\nlinha 2");
    let booked = services.book_as(&asked);
    assert_eq!(booked.0, 201, "{}", booked.1);
    let urls = ["/cientistas/7/agenda.ics", "/telescopios/Hubble-Acad/agenda.ics"].map(|path| services.agenda(path));
    let both = || urls.each_ref().map(|url| read_by_python(&read(url)));
    let [(own, first), (_, of_telescope)] = both();
    assert_eq!(own, "Marie Curie");
    let event = &first[0];
    assert_eq!(
        (&event[1], &event[2], &event[3]),
        (&json!(0), &json!("CONFIRMED"), &json!("2031-03-14T15:00:00+00:00"))
    );
    assert_eq!(event[4], format!("{target} · Telescópio Espacial Acadêmico Hubble"));
    assert!(event[5].as_str().unwrap().ends_with("\nObservações: linha 1\nlinha 2"), "{event}");
    assert_eq!(event[0], of_telescope[0][0]);
    let moved = ask(
        "PATCH",
        &services.agenda("/agendamentos/1"),
        None,
        Some(&json!({"horario_inicio_utc": "2031-03-15T16:00:00Z"})),
    );
    assert_eq!(moved.status, 200, "{}", moved.body);
    for (_, events) in both() {
        assert_eq!(events.len(), 1);
        assert_eq!(
            (&events[0][0], &events[0][1], &events[0][3]),
            (&event[0], &json!(1), &json!("2031-03-15T16:00:00+00:00"))
        );
    }
    assert_eq!(services.follow(&moved.json(), "cancelar").status, 200);
    for (_, events) in both() {
        assert_eq!(events.len(), 1);
        assert_eq!((&events[0][0], &events[0][1], &events[0][2]), (&event[0], &json!(2), &json!("CANCELLED")));
    }
}

#[test]
#[ignore = "needs python icalendar"]
fn another_program_reads_a_maintenance_that_was_taken_away_as_the_same_event() {
    let services = Services::start(&[]);
    let url = services.agenda("/telescopios/Hubble-Acad/agenda.ics");
    let closed = json!({"inicio_utc": "2030-01-01T22:00:00Z", "fim_utc": "2030-01-02T02:00:00Z", "motivo": "espelho, e óptica",
        "semanal_ate_utc": "2030-03-01T00:00:00Z"});
    let made = ask("POST", &services.agenda("/telescopios/Hubble-Acad/manutencoes"), None, Some(&closed));
    assert_eq!(made.status, 201, "{}", made.body);
    let (_, stands) = read_by_python(&read(&url));
    assert_eq!(services.follow(&made.json(), "retirar").status, 200);
    let (_, gone) = read_by_python(&read(&url));
    assert_eq!((stands.len(), gone.len()), (1, 1));
    assert_eq!((&stands[0][1], &stands[0][2]), (&json!(0), &json!("CONFIRMED")));
    assert_eq!((&gone[0][1], &gone[0][2]), (&json!(1), &json!("CANCELLED")));
    for part in [0, 3, 4] {
        assert_eq!(gone[0][part], stands[0][part], "{gone:?}");
    }
    assert_eq!(gone[0][4], "Manutenção: espelho, e óptica");
}
