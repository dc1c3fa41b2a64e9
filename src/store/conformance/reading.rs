//! Lists, periods and the trail: what every storage has to do.

use super::{Fixture, Opened, after};
use crate::agenda::timetable::Standing;
use crate::agenda::{Booking, Status};
use crate::audit::export::{Exported, Extent, Source};
use crate::audit::filter::Wanted;
use crate::audit::record::{BOOKING_REFUSED, Cause, Process, SERVICE_STARTED, SERVICE_STOPPED, Why};
use crate::store::Filter;

pub async fn a_list_has_every_booking_once_on_pages_of_any_size<F: Fixture>() {
    let opened = Opened::<F>::new();
    for nth in 0..12 {
        let telescope = if nth % 3 == 0 { "Webb-Acad" } else { "Hubble-Acad" };
        // Later numbers start earlier.
        let new = opened.new_booking(1 + nth % 2, telescope, after(40 - 3 * nth), 5 * (1 + nth % 3)).await;
        let booking = opened.book(new, 1).await.unwrap();
        if nth % 4 == 0 {
            opened.cancel(booking.id, 2).await.unwrap();
        }
    }
    let mut plain = Vec::new();
    for id in 1..=12 {
        plain.push(opened.store.booking(id).await.unwrap().unwrap());
    }
    plain.sort_by_key(|booking| (booking.slots.start(), booking.id));
    let filters = [
        Filter::default(),
        Filter { telescope: Some("Webb-Acad".to_owned()), ..Filter::default() },
        Filter { telescope: Some("nenhum".to_owned()), ..Filter::default() },
        Filter { scientist_id: Some(2), ..Filter::default() },
        Filter { status: Some(Status::Cancelled), ..Filter::default() },
        Filter { from: Some(after(20)), ..Filter::default() },
        Filter { until: Some(after(20)), status: Some(Status::Active), ..Filter::default() },
        Filter { from: Some(after(15)), until: Some(after(30)), scientist_id: Some(1), ..Filter::default() },
    ];
    for filter in &filters {
        let mut expected = plain.clone();
        expected.retain(|booking| {
            filter.telescope.as_ref().is_none_or(|code| *code == booking.telescope)
                && filter.scientist_id.is_none_or(|id| id == booking.scientist_id)
                && filter.status.is_none_or(|status| status == booking.status)
                && filter.from.is_none_or(|from| booking.slots.end() > from)
                && filter.until.is_none_or(|until| booking.slots.start() < until)
        });
        for limit in [1, 2, 5, 100] {
            assert_eq!(opened.list(filter, limit).await, expected, "{filter:?}, {limit} on a page");
        }
    }
}

pub async fn what_stands_and_what_is_taken_agree_in_any_period<F: Fixture>() {
    let opened = Opened::<F>::new();
    for (nth, minutes) in [(0, 10), (3, 5), (4, 15), (9, 5)] {
        opened.book(opened.new_booking(1, "Hubble-Acad", after(nth), minutes).await, 1).await.unwrap();
    }
    opened.book(opened.new_booking(1, "Webb-Acad", after(1), 30).await, 1).await.unwrap();
    opened.cancel(2, 2).await.unwrap();
    for (from, until, expected) in [(0, 10, vec![1, 3, 4]), (1, 5, vec![1, 3]), (2, 4, vec![]), (6, 7, vec![3])] {
        let (_, standing) = opened.standing("Hubble-Acad", from, until).await;
        assert_eq!(standing.iter().map(|booking| booking.id).collect::<Vec<_>>(), expected, "{from} to {until}");
        let taken = opened.store.taken("Hubble-Acad", after(from), after(until)).await.unwrap();
        for nth in from..until {
            let is_taken = taken.iter().any(|(start, end)| *start <= after(nth) && after(nth) < *end);
            let stands = |booking: &Booking| booking.slots.start() <= after(nth) && after(nth) < booking.slots.end();
            assert_eq!(is_taken, standing.iter().any(stands), "slot {nth} of {from} to {until}");
        }
    }
    assert_eq!(opened.standing("nenhum", 0, 10).await, (Standing::default(), Vec::new()));
    assert!(opened.store.taken("nenhum", after(0), after(10)).await.unwrap().is_empty());
}

pub async fn every_change_has_one_record_and_a_refusal_only_the_one_that_is_asked_for<F: Fixture>() {
    const OF_SERVICE: &str = r#""req":"-","autor":"servico-agendamento","ip":null,"#;
    let opened = Opened::<F>::new();
    let process = Process { version: "1", mode: "com_trava", pid: 7, address: "127.0.0.1:1".to_owned() };
    opened.store.record_start(process.clone()).await.unwrap();
    let booking = opened.book(opened.slot(0).await, 1).await.unwrap();
    assert!(opened.book(opened.slot(0).await, 2).await.is_err());
    let why =
        Why { code: "horario_ocupado", detail: "já agendado".to_owned(), taken_by: Some(booking.id), moving: None };
    opened.store.record_refusal(opened.slot(0).await, why, Cause::of_test("r-9")).await.unwrap();
    opened.cancel(booking.id, 3).await.unwrap();
    opened.store.record_stop(process, 5).await.unwrap();
    let records = opened.records().await;
    let expected = [
        [SERVICE_STARTED, r#""pid":7"#, OF_SERVICE],
        ["AGENDAMENTO_CRIADO", r#""token":1"#, r#""req":"r-1","autor":"anonimo","ip":"192.0.2.10","#],
        [BOOKING_REFUSED, "já agendado", r#""req":"r-9","autor":"anonimo","ip":"192.0.2.10","#],
        ["AGENDAMENTO_CANCELADO", r#""motivo":"nuvens""#, r#""req":"r-1","autor":"anonimo","ip":"192.0.2.10","#],
        [SERVICE_STOPPED, r#""ativo_ha_ms":5"#, OF_SERVICE],
    ];
    assert_eq!(records.len(), expected.len(), "{records:#?}");
    for (record, parts) in records.iter().zip(expected) {
        assert!(parts.iter().all(|part| record.contains(part)), "{parts:?} in {record}");
        assert!(record.contains(r#""timestamp_utc":"2030-01-01T00:00:00.000000Z""#), "{record}");
    }
}

pub async fn the_trail_is_read_in_pages_and_by_its_outbox<F: Fixture>() {
    let opened = Opened::<F>::new();
    assert_eq!(opened.store.latest_record().await.unwrap().line, None);
    for nth in 0..7 {
        opened.book(opened.slot(nth).await, 1).await.unwrap();
    }
    opened.cancel(3, 2).await.unwrap();
    let records = opened.records().await;
    let read = async |wanted: Wanted, limit: u16| {
        let (mut lines, mut after) = (Vec::new(), 0);
        loop {
            let page = opened.store.trail_page(wanted.clone(), after, limit).await.unwrap();
            assert!(page.lines.len() <= usize::from(limit));
            lines.extend(page.lines);
            match page.next {
                Some(next) => after = next,
                None => return lines,
            }
        }
    };
    for limit in [1, 3, 100] {
        assert_eq!(read(Wanted::default(), limit).await, records);
        let of_booking = Wanted { booking: Some(3), ..Wanted::default() };
        assert_eq!(read(of_booking, limit).await, [records[2].clone(), records[7].clone()]);
        let of_slot = Wanted { slot: Some(after(5)), ..Wanted::default() };
        assert_eq!(read(of_slot, limit).await, [records[5].clone()]);
    }
    let outbox = opened.store.outbox(&opened.trail()).unwrap();
    let mut text = Vec::new();
    assert_eq!(outbox.lines_after(2, 3, &mut text), Ok(Some(5)));
    assert_eq!(String::from_utf8(text).unwrap(), records[2..5].join("\n") + "\n");
    assert_eq!(outbox.lines_after(8, 3, &mut Vec::new()), Ok(None));
    assert_eq!((outbox.line(4), outbox.line(9)), (Ok(Some(records[3].clone())), Ok(None)));
    let bytes = records[1..4].iter().map(|line| line.len() as u64 + 1).sum();
    assert_eq!(outbox.bytes_between(2, 4), Ok(bytes));
    assert_eq!(outbox.exported(), Ok(Exported::default()));
    let file = Extent { before: 0, bytes: 1234 };
    // It waits for the writer.
    let noted = tokio::task::spawn_blocking(move || (outbox.note_exported(5, file), outbox.exported())).await.unwrap();
    assert_eq!(noted, (Ok(()), Ok(Exported { seq: 5, file: Some(file) })));
}

pub async fn a_store_that_is_well_says_so<F: Fixture>() {
    let opened = Opened::<F>::new();
    opened.store.probe().await.unwrap();
    assert_eq!((opened.store.fault(), opened.records().await.len()), (None, 0));
    let catalogue = opened.store.catalogue().await.unwrap();
    assert_eq!(catalogue.scientist(7).map(|scientist| scientist.name.as_str()), Some("Marie Curie"));
    assert_eq!(catalogue.default_telescope().map(|telescope| telescope.code.as_str()), Some("Hubble-Acad"));
    assert!(catalogue.telescopes().all(|telescope| telescope.simulated == (telescope.code == "Hubble-Acad")));
}
