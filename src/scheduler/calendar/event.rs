//! Bookings and maintenances as events of a calendar (iCalendar, [RFC 5545](https://www.rfc-editor.org/rfc/rfc5545)). Pure.
//!
//! An event keeps its UID for ever, also when its booking moves to another telescope. Its SEQUENCE grows with each change, the cancellation
//! included: by both, a calendar program finds what it has and knows which is newer.

use std::borrow::Cow;

use icalendar::{Calendar, Component, Event, EventLike, EventStatus, Property};

use crate::agenda::maintenance::{Maintenance, Removed};
use crate::agenda::{Booking, Status};
use crate::time::Timestamp;

/// The last line of a calendar.
pub const END: &str = "END:VCALENDAR\r\n";
/// How often a program should read a calendar again.
const REFRESH: &str = "PT15M";
/// The most octets of a line, without its end.
const OCTETS: usize = 75;
/// The end of each UID.
const DOMAIN: &str = "@sctec";

/// What is said of a booking in a calendar.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The telescope's name.
    pub telescope: &'a str,
    /// The scientist's name, and where they are from.
    pub scientist: (&'a str, &'a str),
    /// Whether it is the scientist's own calendar: the time is theirs then, and the telescope is what they want to know.
    pub is_own: bool,
    /// Whether its reader may read its notes.
    pub with_notes: bool,
}

/// The beginning of a calendar, up to its events.
pub fn head(name: &str) -> String {
    let mut calendar = Calendar::empty();
    let mut refresh = Property::new("REFRESH-INTERVAL", REFRESH);
    refresh.add_parameter("VALUE", "DURATION");
    calendar
        .append_property(Property::new("VERSION", "2.0"))
        .append_property(Property::new("PRODID", "-//sctec//servico-agendamento//PT"))
        .append_property(Property::new("CALSCALE", "GREGORIAN"))
        .append_property(Property::new("X-WR-CALNAME", clean(name)))
        .append_property(refresh)
        .append_property(Property::new("X-PUBLISHED-TTL", REFRESH));
    let whole = calendar.to_string();
    whole.strip_suffix(END).unwrap_or(&whole).to_owned()
}

/// A booking.
pub fn of_booking(booking: &Booking, told: Told<'_>) -> String {
    let cancelled = booking.status == Status::Cancelled;
    let what = booking.target.as_deref().map_or_else(|| "Observação".to_owned(), clean);
    let (who, from) = told.scientist;
    let whose = if told.is_own { told.telescope } else { who };
    let mut lines = vec![format!("Cientista: {} ({})", clean(who), clean(from))];
    lines.extend(booking.target.as_deref().map(|target| format!("Alvo: {}", clean(target))));
    let notes = booking.notes.as_deref().filter(|_| told.with_notes);
    lines.extend(notes.map(|notes| format!("Observações: {}", clean(notes))));
    let reason = booking.cancel_reason.as_deref().filter(|_| cancelled);
    lines.extend(reason.map(|reason| format!("Motivo do cancelamento: {}", clean(reason))));
    let changed = booking.cancelled_at.or(booking.changed_at).unwrap_or(booking.created_at);
    let mut event = Event::new();
    event
        .uid(&format!("agendamento-{}-{}{DOMAIN}", booking.id, booking.created_at.as_micros()))
        .sequence(u32::try_from(booking.version - 1).unwrap_or(0))
        .summary(&format!("{what} · {}", clean(whose)))
        .description(&lines.join("\n"))
        .add_property("CREATED", utc(booking.created_at))
        .add_property("LAST-MODIFIED", utc(changed))
        .add_property("DTSTAMP", utc(changed))
        .add_property("DTSTART", utc(booking.slots.start()))
        .add_property("DTEND", utc(booking.slots.end()))
        .add_property("TRANSP", if told.is_own && !cancelled { "OPAQUE" } else { "TRANSPARENT" })
        .location(&clean(told.telescope))
        .status(if cancelled { EventStatus::Cancelled } else { EventStatus::Confirmed });
    written(&event)
}

/// A maintenance of a telescope. `today` is the first instant of the day: nothing says when the maintenance was made.
pub fn of_maintenance(maintenance: &Maintenance, telescope: &str, today: Timestamp) -> String {
    written(&maintained(maintenance, telescope, maintenance.when.start.min(today)))
}

/// A maintenance that was taken away: the same event, which is cancelled. A maintenance changes only once.
pub fn of_removed(removed: &Removed, telescope: &str) -> String {
    let mut event = maintained(&removed.maintenance, telescope, removed.at);
    event.sequence(1).add_property("LAST-MODIFIED", utc(removed.at)).status(EventStatus::Cancelled);
    written(&event)
}

fn maintained(maintenance: &Maintenance, telescope: &str, stamp: Timestamp) -> Event {
    let when = &maintenance.when;
    let mut event = Event::new();
    event
        .uid(&format!("manutencao-{}-{}{DOMAIN}", maintenance.id, when.start.as_micros()))
        .sequence(0)
        .summary(&format!("Manutenção: {}", clean(&when.reason)))
        .add_property("DTSTAMP", utc(stamp))
        .add_property("DTSTART", utc(when.start))
        .add_property("DTEND", utc(when.end))
        .add_property("TRANSP", "TRANSPARENT")
        .location(&clean(telescope))
        .status(EventStatus::Confirmed);
    if let Some(until) = when.weekly_until {
        event.add_property("RRULE", format!("FREQ=WEEKLY;UNTIL={}", utc(until)));
    }
    event
}

fn written(event: &Event) -> String {
    // Writing to memory does not fail.
    let text = event.try_into_string().expect("memory takes an event");
    text.split_inclusive("\r\n").map(folded).collect()
}

/// A line of at most [`OCTETS`]. The library leaves one octet more to the last part of a folded line.
fn folded(line: &str) -> Cow<'_, str> {
    let content = line.trim_end_matches("\r\n");
    match content.char_indices().next_back() {
        Some((last, _)) if content.len() > OCTETS => Cow::Owned(format!("{}\r\n {}", &line[..last], &line[last..])),
        _ => Cow::Borrowed(line),
    }
}

/// An instant in UTC: `20251201T030000Z`.
fn utc(at: Timestamp) -> String {
    at.seconds().to_string().replace(['-', ':'], "")
}

/// A text without characters that a calendar cannot have. A carriage return would end its line.
fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agenda::SlotRange;
    use crate::agenda::maintenance::NewMaintenance;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn booking(target: Option<&str>, notes: Option<&str>) -> Booking {
        Booking {
            id: 123,
            telescope: "Hubble-Acad".to_owned(),
            scientist_id: 7,
            proposal_id: None,
            slots: SlotRange::new(at("2025-12-01T03:00:00Z"), 30).unwrap(),
            status: Status::Active,
            target: target.map(str::to_owned),
            notes: notes.map(str::to_owned),
            clicked_at: None,
            stamped_at: None,
            is_contested: false,
            created_at: at("2025-10-26T18:00:05.123456Z"),
            version: 1,
            changed_at: None,
            cancelled_at: None,
            cancel_reason: None,
            receipt: None,
            opens_at: None,
        }
    }

    const TOLD: Told<'static> = Told {
        telescope: "Hubble; o grande",
        scientist: ("Marie Curie", "Universidade de Paris, FR"),
        is_own: false,
        with_notes: false,
    };

    /// The lines of an event, with folded ones put together again.
    fn lines(event: &str) -> Vec<String> {
        assert!(event.ends_with("\r\n") && !event.replace("\r\n", "").contains(['\r', '\n']), "{event:?}");
        assert!(event.split("\r\n").all(|line| line.len() <= OCTETS), "{event}");
        event.trim_end().replace("\r\n ", "").split("\r\n").map(str::to_owned).collect()
    }

    /// The value of a property.
    fn value(event: &str, name: &str) -> String {
        let found: Vec<String> = lines(event)
            .iter()
            .filter_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.to_owned()))
            .collect();
        assert_eq!(found.len(), 1, "{name} in {event}");
        found[0].clone()
    }

    /// The text that a property's value stands for.
    fn text(value: &str) -> String {
        let (mut plain, mut chars) = (String::new(), value.chars());
        while let Some(c) = chars.next() {
            match c {
                '\\' => plain.push(match chars.next().unwrap() {
                    'n' => '\n',
                    other => other,
                }),
                c => plain.push(c),
            }
        }
        plain
    }

    #[test]
    fn an_event_has_its_bookings_time_in_utc_and_its_words() {
        let event = of_booking(&booking(Some("M31, a galáxia"), Some("segredo")), TOLD);
        for (name, expected) in [
            ("UID", "agendamento-123-1761501605123456@sctec"),
            ("SEQUENCE", "0"),
            ("DTSTAMP", "20251026T180005Z"),
            ("LAST-MODIFIED", "20251026T180005Z"),
            ("CREATED", "20251026T180005Z"),
            ("DTSTART", "20251201T030000Z"),
            ("DTEND", "20251201T033000Z"),
            ("STATUS", "CONFIRMED"),
            ("TRANSP", "TRANSPARENT"),
            ("SUMMARY", "M31\\, a galáxia · Marie Curie"),
            ("LOCATION", "Hubble\\; o grande"),
            ("DESCRIPTION", "Cientista: Marie Curie (Universidade de Paris\\, FR)\\nAlvo: M31\\, a galáxia"),
        ] {
            assert_eq!(value(&event, name), expected, "{event}");
        }
        assert!(event.starts_with("BEGIN:VEVENT\r\n") && event.ends_with("END:VEVENT\r\n"));
        let own = of_booking(&booking(None, Some("segredo")), Told { is_own: true, with_notes: true, ..TOLD });
        assert_eq!(value(&own, "SUMMARY"), "Observação · Hubble\\; o grande");
        assert!(value(&own, "DESCRIPTION").ends_with("\\nObservações: segredo") && value(&own, "TRANSP") == "OPAQUE");
    }

    #[test]
    fn a_change_and_a_cancellation_keep_the_uid_and_raise_the_sequence() {
        let first = booking(Some("M31"), None);
        let slots = SlotRange::new(at("2026-01-01T00:00:00Z"), 5).unwrap();
        let changed = Some(at("2025-11-01T00:00:00Z"));
        let moved =
            Booking { telescope: "Webb-Acad".to_owned(), slots, version: 2, changed_at: changed, ..first.clone() };
        let cancelled = Booking {
            status: Status::Cancelled,
            version: 3,
            cancelled_at: Some(at("2025-11-02T00:00:00Z")),
            cancel_reason: Some("nuvens".to_owned()),
            ..moved.clone()
        };
        let events = [&first, &moved, &cancelled].map(|booking| of_booking(booking, TOLD));
        assert!(events.iter().all(|event| value(event, "UID") == value(&events[0], "UID")));
        assert_eq!(events.each_ref().map(|event| value(event, "SEQUENCE")), ["0", "1", "2"]);
        assert_eq!(value(&events[1], "DTSTAMP"), "20251101T000000Z");
        assert_eq!(
            (value(&events[2], "STATUS"), value(&events[2], "DTSTAMP")),
            ("CANCELLED".into(), "20251102T000000Z".into())
        );
        assert!(value(&events[2], "DESCRIPTION").ends_with("\\nMotivo do cancelamento: nuvens"));
    }

    #[test]
    fn a_maintenance_comes_again_each_week() {
        let when = NewMaintenance {
            start: at("2030-01-01T22:00:00Z"),
            end: at("2030-01-02T02:00:00Z"),
            reason: "espelho, e óptica".to_owned(),
            weekly_until: Some(at("2030-03-01T00:00:00Z")),
        };
        let maintenance = Maintenance { id: 4, when };
        let event = of_maintenance(&maintenance, "Hubble", at("2026-11-27T00:00:00Z"));
        assert_eq!(value(&event, "RRULE"), "FREQ=WEEKLY;UNTIL=20300301T000000Z");
        assert_eq!(value(&event, "SUMMARY"), "Manutenção: espelho\\, e óptica");
        assert_eq!((value(&event, "DTSTAMP"), value(&event, "SEQUENCE")), ("20261127T000000Z".into(), "0".into()));
        // Taken away it is the same event, later.
        let removed = Removed { maintenance, at: at("2026-11-27T15:00:01.5Z") };
        let cancelled = of_removed(&removed, "Hubble");
        for name in ["UID", "DTSTART", "DTEND", "RRULE", "SUMMARY", "LOCATION", "TRANSP"] {
            assert_eq!(value(&cancelled, name), value(&event, name), "{cancelled}");
        }
        for (name, expected) in [
            ("STATUS", "CANCELLED"),
            ("SEQUENCE", "1"),
            ("DTSTAMP", "20261127T150001Z"),
            ("LAST-MODIFIED", "20261127T150001Z"),
        ] {
            assert_eq!(value(&cancelled, name), expected, "{cancelled}");
        }
    }

    #[test]
    fn a_calendar_begins_with_its_name() {
        let head = head("Hubble, o grande");
        assert!(head.starts_with("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//sctec//"), "{head}");
        assert!(head.contains("\r\nX-WR-CALNAME:Hubble\\, o grande\r\n") && !head.contains("END:"), "{head}");
        assert!(head.contains("\r\nREFRESH-INTERVAL;VALUE=DURATION:PT15M\r\n"), "{head}");
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_property(target in r#"([\\,;:\r\n"=]|BEGIN:VEVENT|\PC|\u{7}){0,120}"#) {
            let event = of_booking(&booking(Some(&target), None), TOLD);
            let expected = format!("{} · Marie Curie", clean(&target));
            prop_assert_eq!(text(&value(&event, "SUMMARY")), expected);
            prop_assert_eq!(lines(&event).iter().filter(|line| line.starts_with("BEGIN:")).count(), 1);
        }
    }
}
