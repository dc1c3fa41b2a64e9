//! Which lines a filter finds, rejects or calls broken, in all the ways that JSON can write a record.

use proptest::prelude::*;

use super::*;
use crate::access::Caller;
use crate::agenda::{Booking, Scientist, SlotRange, Status};
use crate::audit::chain;
use crate::audit::record::{Event, LEVEL};
use crate::http::request_id::RequestId;

fn instant(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn is_wanted(wanted: Wanted, line: &[u8]) -> bool {
    matches!(Filter::new(wanted).judge(line), Verdict::Wanted(_))
}

fn is_broken(line: &[u8]) -> bool {
    matches!(Filter::new(Wanted::default()).judge(line), Verdict::Broken)
}

fn event(name: &str) -> Wanted {
    Wanted { event: Some(name.to_owned()), ..Wanted::default() }
}

const CREATED: &str = "AGENDAMENTO_CRIADO";
const CANCELLED: &str = "AGENDAMENTO_CANCELADO";

#[test]
fn the_level_of_the_filter_is_the_level_of_a_record() {
    assert_eq!(LEVEL_VALUE, format!("\"{LEVEL}\"").as_bytes());
}

#[test]
fn a_record_is_an_object_whose_level_is_audit() {
    for line in [
        r#"{"level":"AUDIT"}"#,
        "{ \"level\" :\t\"AUDIT\" } \r",
        " \t{\"level\":\"AUDIT\"}",
        "\u{feff}{\"level\":\"AUDIT\"}",
        r#"{"level":"AUD\u0049T"}"#,
        r#"{"l\u0065vel":"AUDIT"}"#,
        r#"{"level":"AUDIT","details":7,"timestamp_utc":[],"seq":"um"}"#,
    ] {
        assert!(is_wanted(Wanted::default(), line.as_bytes()), "{line}");
    }
    for line in [
        "",
        "{}",
        "{",
        r#"["level","AUDIT"]"#,
        r#"INFO:2025-10-26T18:00:04.500Z:x:{"level":"AUDIT"}"#,
        r#"{"level":"INFO","msg":"{\"level\":\"AUDIT\"}"}"#,
        r#"{"level":"INFO","msg":{"level":"AUDIT"}}"#,
        r#"{"level":"AUDITORIA"}"#,
    ] {
        let verdict = Filter::new(Wanted::default()).judge(line.as_bytes());
        assert!(matches!(verdict, Verdict::Other), "{line}: {verdict:?}");
    }
}

#[test]
fn a_line_that_looks_like_a_record_but_is_not_whole_is_broken() {
    for line in [
        r#"{"timestamp_utc":"2025-10-26T18:0"#,
        r#"{"timestamp_utc":"2025-10-26T18:00:05.123456Z","lev"#,
        r#"{"timestamp_utc":"2025-10-26T18:00:05.123456Z","level":"AUD"#,
        r#"{"timestamp_utc":"2025-10-26T18:00:05.123456Z","level":"AUDIT","ev"#,
        r#"{"level":"AUDIT","details":{}"#,
        r#"{"level":"AUDIT"}{"level":"AUDIT"}"#,
        r#"{"level":"AUDIT","level":"AUDIT"}"#,
    ] {
        assert!(is_broken(line.as_bytes()), "{line}");
    }
    // A torn line of a log in JSON.
    assert!(!is_broken(br#"{"timestamp_utc":"2025-10-26T18:00:05.123Z","level":"INFO","msg":"AUDIT"#));
}

#[test]
fn an_event_written_with_escapes_is_found() {
    let line = br#"{"level":"AUDIT","event_type":"AGENDAMENTO\u005fCRIADO"}"#;
    assert!(is_wanted(event(CREATED), line));
    assert!(is_wanted(event("a\"b"), br#"{"level":"AUDIT","event_type":"a\"b"}"#));
}

#[test]
fn a_number_is_found_however_it_is_written() {
    let scientist = |scientist, written: &str| {
        let line = format!("{{\"level\":\"AUDIT\",\"details\":{{\"cientista_id\":{written}}}}}");
        is_wanted(Wanted { scientist: Some(scientist), ..Wanted::default() }, line.as_bytes())
    };
    for written in ["7", "7.0", "7e0", "70E-1", "0.7e+1"] {
        assert!(scientist(7, written), "{written}");
        assert!(!scientist(8, written) && !scientist(70, written), "{written}");
    }
    for written in ["7.5", "70", "77", "-7", "\"7\"", "7e1"] {
        assert!(!scientist(7, written), "{written}");
    }
    assert!(scientist(0, "-0") && scientist(-7, "-7"));
}

#[test]
fn a_slot_is_found_however_a_time_is_written_and_most_other_records_are_not_parsed() {
    let line = |start: &str, end: &str| {
        format!(r#"{{"level":"AUDIT","details":{{"horario_inicio_utc" : "{start}","horario_fim_utc":"{end}"}}}}"#)
    };
    let filter = |slot| Filter::new(Wanted { slot: Some(instant(slot)), ..Wanted::default() });
    let is_found =
        |slot, start: &str, end: &str| matches!(filter(slot).judge(line(start, end).as_bytes()), Verdict::Wanted(_));
    for (start, end) in [
        ("2025-12-01T03:00:00Z", "2025-12-01T03:05:00Z"),
        ("2025-12-01T00:00:00-03:00", "2025-12-01T03:05:00.000Z"),
        ("2025-12-01t03:00:00z", "2025-12-01T03:05:00+00:00"),
        (r"2025-12-01T03:00:00\u005a", "2025-12-01T03:05:00Z"),
        ("2025-12-01T02:59:60Z", "2025-12-01T03:05:00Z"),
        ("2025-12-01T02:00:00Z", "2025-12-02T02:00:00Z"),
    ] {
        for slot in ["2025-12-01T03:00:00Z", "2025-12-01T03:00:00.000001Z", "2025-12-01T03:04:59.999999Z"] {
            // There is no leap second at this instant, so the time is invalid.
            assert_eq!(is_found(slot, start, end), !start.contains(":60"), "{slot} in {start}, {end}");
        }
    }
    let is_read = |slot, start: &str, end: &str| filter(slot).slot.unwrap().may_be_in(line(start, end).as_bytes());
    // The quick check does not reject a leap second.
    assert!(is_read("2025-12-31T23:59:59Z", "2025-12-31T23:59:60Z", "2026-01-01T00:05:00Z"));
    for slot in ["2025-12-01T03:05:00Z", "2025-12-01T02:59:59.999999Z", "2026-12-01T03:00:00Z"] {
        assert!(!is_found(slot, "2025-12-01T03:00:00Z", "2025-12-01T03:05:00Z"), "{slot}");
        assert!(!is_read(slot, "2025-12-01T03:00:00Z", "2025-12-01T03:05:00Z"), "{slot}");
        assert!(is_read(slot, "2025-12-01T03:00:00+00:00", "2025-12-01T03:05:00+00:00"), "{slot}");
    }
}

#[test]
fn a_record_whose_wanted_details_cannot_be_read_is_broken() {
    let line = br#"{"level":"AUDIT","details":{"cientista_id":7,"cientista_id":8}}"#;
    for scientist in [7, 8] {
        let filter = Filter::new(Wanted { scientist: Some(scientist), ..Wanted::default() });
        assert!(matches!(filter.judge(line), Verdict::Broken));
    }
    // A search without a condition on the details does not read them.
    assert!(is_wanted(Wanted::default(), line));
    assert!(matches!(
        Filter::new(Wanted { scientist: Some(7), ..Wanted::default() })
            .judge(br#"{"level":"AUDIT","details":7,"x":{"cientista_id":7}}"#),
        Verdict::Other
    ));
}

#[test]
fn since_is_inclusive_and_until_is_not() {
    let line = br#"{"timestamp_utc":"2025-10-26T18:00:05.123456Z","level":"AUDIT"}"#;
    let since = |text| is_wanted(Wanted { since: Some(instant(text)), ..Wanted::default() }, line);
    let until = |text| is_wanted(Wanted { until: Some(instant(text)), ..Wanted::default() }, line);
    assert!(since("2025-10-26T15:00:05.123456-03:00"));
    assert!(!since("2025-10-26T18:00:05.123457Z"));
    assert!(until("2025-10-26T18:00:05.123457Z"));
    assert!(!until("2025-10-26T18:00:05.123456Z"));
    // A record without an instant is outside every range.
    let wanted = Wanted { since: Some(Timestamp::MIN), ..Wanted::default() };
    assert!(!is_wanted(wanted, br#"{"level":"AUDIT","timestamp_utc":"ontem"}"#));
}

/// A record in the form that the scheduler writes, and its values.
#[derive(Debug)]
struct Made {
    line: Vec<u8>,
    at: Timestamp,
    event: &'static str,
    scientist: i64,
    booking: i64,
}

impl Made {
    fn own_values(&self) -> Wanted {
        Wanted {
            event: Some(self.event.to_owned()),
            scientist: Some(self.scientist),
            booking: Some(self.booking),
            slot: Some(instant("2025-12-01T03:04:59.999999Z")),
            telescope: Some("Hubble-Acad".to_owned()),
            request: Some("6b1f-2a".to_owned()),
            author: Some("anonimo".to_owned()),
            ip: Some("192.0.2.10".parse().unwrap()),
            since: Some(self.at),
            until: Some(self.at.saturating_add(std::time::Duration::from_micros(1))),
        }
    }
}

/// Any text, also texts that could deceive a search on bytes.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just(format!("\",\"event_type\":\"{CREATED}\",\"x\":\"")),
        Just(format!("\"event_type\":\"{CANCELLED}\",\"level\":\"AUDIT\"}}\n{{\"level\":\"AUDIT\"")),
    ]
}

prop_compose! {
    fn records()(
        micros in 0..Timestamp::MAX.as_micros(),
        id in any::<i64>(),
        scientist_id in any::<i64>(),
        name in texts(),
        free_text in proptest::option::of(texts()),
        token in any::<Option<u64>>(),
        created in any::<bool>(),
    ) -> Made {
        let at = Timestamp::from_micros(micros).unwrap();
        let booking = Booking {
            id,
            telescope: "Hubble-Acad".to_owned(),
            scientist_id,
            proposal_id: None,
            slots: SlotRange::new(instant("2025-12-01T03:00:00Z"), 5).unwrap(),
            status: Status::Active,
            target: free_text.clone(),
            notes: None,
            clicked_at: None,
            stamped_at: None,
            is_contested: false,
            created_at: at,
            version: 1,
            changed_at: None,
            cancelled_at: None,
            cancel_reason: free_text,
            receipt: None,
            opens_at: None,
        };
        let scientist = Scientist { id: scientist_id, name, institution: String::new(), country: String::new(), active: true };
        let event = if created {
            Event::BookingCreated { booking: &booking, scientist: &scientist, token, wait_id: None, stamp: None }
        } else {
            Event::BookingCancelled { booking: &booking, scientist_name: &scientist.name, token }
        };
        let line = chain::ChainHead::genesis("abc").append(event.open_json(at), Some(&RequestId::of_test("6b1f-2a")), &Caller::anonymous("192.0.2.10:1".parse().unwrap())).into_bytes();
        Made { line, at, event: event.event_type(), scientist: scientist_id, booking: id }
    }
}

proptest! {
    #[test]
    fn a_record_matches_its_own_values(made in records()) {
        prop_assert!(is_wanted(Wanted::default(), &made.line));
        prop_assert!(is_wanted(made.own_values(), &made.line));
    }

    #[test]
    fn a_record_matches_no_other_value(made in records()) {
        let own = || made.own_values();
        let other = if made.event == CREATED { CANCELLED } else { CREATED };
        for wanted in [
            Wanted { event: Some(other.to_owned()), ..own() },
            Wanted { event: Some(made.event[..made.event.len() - 1].to_owned()), ..own() },
            Wanted { scientist: Some(made.scientist.wrapping_add(1)), ..own() },
            Wanted { booking: Some(made.booking.wrapping_add(1)), ..own() },
            Wanted { slot: Some(instant("2025-12-01T03:05:00Z")), ..own() },
            Wanted { slot: Some(instant("2025-12-01T02:59:59Z")), ..own() },
            Wanted { telescope: Some("Hubble-Aca".to_owned()), ..own() },
            Wanted { request: Some("6b1f-2".to_owned()), ..own() },
            Wanted { since: own().until, ..own() },
            Wanted { until: own().since, ..own() },
        ] {
            prop_assert!(!is_wanted(wanted.clone(), &made.line), "{:?}", wanted);
        }
    }

    #[test]
    fn what_is_surely_wanted_is_wanted(
        made in records(),
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), prop::sample::select(b"\"\\{}[],:0 9a".to_vec())],
        cut in 0..3usize,
        is_of_event in any::<bool>(),
        is_of_time in any::<bool>(),
    ) {
        let own = made.own_values();
        let wanted = Wanted {
            event: own.event.filter(|_| is_of_event),
            since: own.since.filter(|_| is_of_time),
            until: own.until.filter(|_| is_of_time),
            ..Wanted::default()
        };
        let filter = Filter::new(wanted.clone());
        prop_assert!(filter.surely_wants(&made.line));
        // One byte is another one, or bytes are put in or left out.
        let mut changed = made.line.clone();
        let at = at.index(changed.len());
        changed.splice(at..(at + cut).min(made.line.len()), [byte]);
        prop_assert!(!filter.surely_wants(&changed) || is_wanted(wanted, &changed), "{}", String::from_utf8_lossy(&changed));
        let other = Filter::new(event("X"));
        prop_assert!(!other.surely_wants(&made.line));
    }

    #[test]
    fn a_torn_record_never_matches_and_is_seen_as_torn(made in records(), cut in any::<prop::sample::Index>()) {
        let torn = &made.line[..cut.index(made.line.len())];
        prop_assert!(!is_wanted(Wanted::default(), torn));
        prop_assert_eq!(is_broken(torn), torn.len() >= shape::FIRST_FIELD.len());
    }

    #[test]
    fn spaces_between_the_parts_change_nothing(made in records()) {
        let value: serde_json::Value = serde_json::from_slice(&made.line).unwrap();
        let spaced = serde_json::to_string_pretty(&value).unwrap().replace('\n', " ");
        prop_assert!(is_wanted(made.own_values(), spaced.as_bytes()));
    }

    #[test]
    fn no_line_panics(line in prop::collection::vec(any::<u8>(), 0..80), start in prop::sample::select(vec![
        "", "{", "{\"level\":", "{\"timestamp_utc\":\"", "{\"level\":\"AUDIT\",",
    ])) {
        let line = [start.as_bytes(), &line].concat();
        let _ = Filter::new(event(CREATED)).judge(&line);
    }
}

#[test]
fn a_line_is_a_record_by_its_form_or_by_what_it_says() {
    for (line, is) in [
        (r#"{"level":"AUDIT"}"#, true),
        ("\u{feff}{\"level\":\"AUDIT\"}\r", true),
        (r#"{"level":"AUDIX"}"#, false),
        (r#"x{"level":"AUDIT"}"#, false),
        (r#"{"level":"AUDIT""#, false),
        ("", false),
    ] {
        assert_eq!((is_record(line.as_bytes()), reads_as_record(line.as_bytes())), (is, is), "{line}");
    }
}
