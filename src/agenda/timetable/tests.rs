//! Each slot's state and the nearest free slots, by examples and by properties.

use proptest::prelude::*;

use super::*;
use crate::agenda::rules::Rules;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn booking(id: i64, start: Timestamp, slots: i64) -> (i64, SlotRange) {
    (id, SlotRange::new(start, slots * SLOT_MIN).unwrap())
}

const NOW: &str = "2025-12-01T10:07:00Z";

fn period(from: Option<&str>, until: Option<&str>) -> Result<(String, String), PeriodError> {
    let period = Period::new(from.map(at), until.map(at), at(NOW))?;
    Ok((period.start().seconds().to_string(), period.end().seconds().to_string()))
}

#[test]
fn a_period_is_a_day_by_default() {
    let days = |from: &str, until: &str| Ok((from.to_owned(), until.to_owned()));
    assert_eq!(period(None, None), days("2025-12-01T00:00:00Z", "2025-12-02T00:00:00Z"));
    assert_eq!(period(Some("2025-01-01T05:00:00Z"), None), days("2025-01-01T05:00:00Z", "2025-01-02T05:00:00Z"));
    assert_eq!(period(None, Some("2025-01-01T05:00:00Z")), days("2025-01-01T00:00:00Z", "2025-01-01T05:00:00Z"));
    // The end is exclusive, so midnight is the end of the day before.
    assert_eq!(period(None, Some("2025-01-02T00:00:00Z")), days("2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z"));
    let touched = period(Some("2025-01-01T05:04:59Z"), Some("2025-01-01T05:05:01Z"));
    assert_eq!(touched, days("2025-01-01T05:00:00Z", "2025-01-01T05:10:00Z"));
    assert_eq!(Period::day_of(at(NOW)), Period::new(None, None, at(NOW)).unwrap());
}

#[test]
fn a_period_is_at_most_a_week_and_within_the_range_of_instants() {
    let (start, week) = ("2025-12-01T00:00:00Z", "2025-12-08T00:00:00Z");
    assert_eq!(Period::new(Some(at(start)), Some(at(week)), at(NOW)).unwrap().starts().count(), 2016);
    assert_eq!(period(Some(start), Some("2025-12-08T00:00:00.000001Z")), Err(PeriodError::TooLong));
    assert_eq!(period(Some(start), Some(start)), Err(PeriodError::Order));
    assert_eq!(period(None, Some("1970-01-01T00:00:00Z")), Err(PeriodError::Order));
    assert_eq!(period(Some("9998-12-31T23:55:00Z"), None), Err(PeriodError::TooLate));
    let last = Period::new(Some(at("9998-12-31T23:00:00Z")), None, at(NOW)).unwrap();
    assert_eq!(last.end(), at("9998-12-31T23:55:00Z"));
    assert_eq!((last.after(), Period::day_of(at("1970-01-01T12:00:00Z")).before()), (None, None));
    let day = Period::day_of(at(NOW));
    assert_eq!((day.before().unwrap().after(), day.after().unwrap().before()), (Some(day), Some(day)));
}

fn telescope(simulated: bool) -> Telescope {
    Telescope::new("Hubble-Acad".into(), "Hubble".into(), simulated)
}

#[test]
fn the_rules_close_what_is_too_near_or_not_open_yet() {
    // It is 10:08 at the telescope: with 10 minutes' notice 10:20 is the first start, and the day after is not open.
    let rules = Rules { notice_min: Some(10), horizon_days: Some(0), duration_max_min: Some(30), ..Rules::default() };
    let telescope = Telescope { rules, ..telescope(false) };
    let now = at("2025-12-01T10:08:00Z");
    let of = |from: &str, until: &str| {
        let period = Period::new(Some(at(from)), Some(at(until)), now).unwrap();
        let all = states(period, &Standing::default(), &telescope, now).into_iter();
        all.map(|(_, state)| state.name()).collect::<Vec<_>>()
    };
    let near = of("2025-12-01T10:05:00Z", "2025-12-01T10:25:00Z");
    assert_eq!(near, ["passado", "fechado", "fechado", "livre"]);
    assert_eq!(of("2025-12-01T23:55:00Z", "2025-12-02T00:05:00Z"), ["livre", "fechado"]);
    let found = |near: &str, duration_min| {
        let search = Search::new(at(near), duration_min, &telescope, now).unwrap();
        let (from, until) = search.looks_at();
        assert!(from <= until);
        search.nearest(&[], 1).first().map(|run| run.start().seconds().to_string())
    };
    assert_eq!(found("2025-12-01T09:00:00Z", 5).as_deref(), Some("2025-12-01T10:20:00Z"));
    assert_eq!(found("2025-12-03T00:00:00Z", 30).as_deref(), Some("2025-12-01T23:30:00Z"));
    assert_eq!(found("2025-12-01T12:00:00Z", 35), None);
    assert_eq!(found("2026-12-01T12:00:00Z", 5), None);
    // A notice that is longer than a search is wide.
    let telescope = Telescope { rules: Rules { notice_min: Some(20 * 24 * 60), ..Rules::default() }, ..telescope };
    let found = Search::new(now, 5, &telescope, now).unwrap().nearest(&[], 1);
    assert_eq!(found[0].start(), at("2025-12-21T10:10:00Z"));
}

#[test]
fn a_slot_is_free_booked_or_past() {
    let period = Period::new(Some(at("2025-12-01T10:00:00Z")), Some(at("2025-12-01T10:25:00Z")), at(NOW)).unwrap();
    let bookings = vec![booking(3, at("2025-12-01T10:15:00Z"), 2), booking(2, at("2025-12-01T09:55:00Z"), 2)];
    let standing = Standing { bookings, ..Standing::default() };
    let of = |simulated| states(period, &standing, &telescope(simulated), at(NOW)).into_iter().map(|(_, state)| state);
    let booked = |first| SlotState::Booked { first, times: 1 };
    let (past, free) = (SlotState::Past, SlotState::Free);
    assert!(of(false).eq([booked(2), past, free, booked(3), booked(3)]));
    assert!(of(true).eq([booked(2), free, free, booked(3), booked(3)]));
    // A slot can be booked until the instant at which it starts.
    assert!(is_open(at(NOW), false, at(NOW)));
}

#[test]
fn a_slot_that_was_sold_several_times_counts_all_of_its_bookings() {
    let start = at("2025-12-01T10:00:00Z");
    let period = Period::new(Some(start), Some(at("2025-12-01T10:15:00Z")), at(NOW)).unwrap();
    let (long, short) = (booking(4, start, 2), booking(2, at("2025-12-01T10:05:00Z"), 1));
    let beyond = vec![(short.1, 30)];
    let standing = Standing { bookings: vec![long, booking(5, start, 2), short], beyond, ..Standing::default() };
    let states: Vec<_> =
        states(period, &standing, &telescope(true), at(NOW)).into_iter().map(|(_, state)| state).collect();
    assert_eq!(states[..2], [SlotState::Booked { first: 4, times: 2 }, SlotState::Booked { first: 2, times: 33 }]);
    assert_eq!(states.iter().map(|state| state.times()).collect::<Vec<_>>(), [2, 33, 0]);
}

#[test]
fn the_nearest_slots_come_first_and_of_two_equally_near_the_later() {
    let near = at("2025-12-01T03:00:00Z");
    let taken = [(near, at("2025-12-01T03:05:00Z"))];
    let found = |duration_min, limit| -> Vec<String> {
        let search = Search::new(near, duration_min, &telescope(true), at(NOW)).unwrap();
        let starts = search.nearest(&taken, limit).into_iter().map(|run| run.start().seconds().to_string());
        starts.map(|start| start[11..16].to_owned()).collect()
    };
    assert_eq!(found(5, 4), ["03:05", "02:55", "03:10", "02:50"]);
    // A run of two slots before the taken slot must not overlap it.
    assert_eq!(found(10, 3), ["03:05", "03:10", "02:50"]);
    assert_eq!(found(5, 50).len(), 50);
}

#[test]
fn a_search_ends_after_a_week_at_the_range_of_instants_and_at_the_present() {
    let near = at("2025-12-01T10:08:00Z");
    let all = |search: Search| search.nearest(&[], usize::MAX);
    assert_eq!(all(Search::new(near, 5, &telescope(true), at(NOW)).unwrap()).len(), 4032);
    let ahead = all(Search::new(near, 5, &telescope(false), at(NOW)).unwrap());
    assert_eq!((ahead[0].start(), ahead.len()), (at("2025-12-01T10:10:00Z"), 2016));
    assert!(all(Search::new(near, 5, &telescope(false), at("2026-12-01T00:00:00Z")).unwrap()).is_empty());
    for edge in [Timestamp::MIN, Timestamp::MAX] {
        let runs = all(Search::new(edge, 1440, &telescope(true), at(NOW)).unwrap());
        assert!(!runs.is_empty() && runs.iter().all(|run| run.duration_min() == 1440), "{edge:?}");
        assert!(all(Search::new(edge, 5, &telescope(false), Timestamp::MAX).unwrap()).is_empty());
    }
    assert!(Search::new(near, 7, &telescope(true), at(NOW)).is_err());
    let (from, until) = Search::new(near, 5, &telescope(true), at(NOW)).unwrap().looks_at();
    assert!(Search::new(near, 5, &telescope(true), at(NOW)).unwrap().nearest(&[(from, until)], 5).is_empty());
}

proptest! {
    #[test]
    fn a_search_finds_exactly_the_nearest_free_slots(
        near in 0_i64..6_000_000_000_000, duration in 1_i64..12, limit in 1_usize..60,
        bookings in proptest::collection::vec((0_i64..20_000, 1_i64..40), 0..60),
    ) {
        let grid = |slot: i64| Timestamp::from_micros(slot * SLOT_US).unwrap();
        let near = Timestamp::from_micros(near).unwrap();
        let taken: Vec<_> = bookings.iter().map(|(start, slots)| (grid(*start), grid(start + slots))).collect();
        let overlaps = |start: i64| bookings.iter().any(|(from, slots)| start < from + slots && *from < start + duration);
        let distance = |slot: i64| (slot * SLOT_US - near.as_micros()).abs();
        let mut expected: Vec<i64> = (0..30_000).filter(|&slot| distance(slot) <= PERIOD_US_MAX && !overlaps(slot)).collect();
        expected.sort_by_key(|&slot| (distance(slot), -slot));
        expected.truncate(limit);
        let search = Search::new(near, duration * SLOT_MIN, &telescope(true), near).unwrap();
        let found: Vec<i64> =
            search.nearest(&taken, limit).iter().map(|run| run.start().as_micros() / SLOT_US).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn no_period_panics(from in proptest::option::of(0..=Timestamp::MAX.as_micros()),
                        until in proptest::option::of(0..=Timestamp::MAX.as_micros()),
                        now in 0..=Timestamp::MAX.as_micros()) {
        let at = |micros: i64| Timestamp::from_micros(micros).unwrap();
        if let Ok(period) = Period::new(from.map(at), until.map(at), at(now)) {
            prop_assert!((1..=2017).contains(&period.starts().count()));
            prop_assert!(period.start() < period.end());
        }
    }
}

#[test]
fn a_search_that_follows_an_instant_begins_there_and_goes_on_until_the_horizon() {
    let telescope = |simulated, rules| Telescope { rules, ..Telescope::new("T".into(), "T".into(), simulated) };
    let first = |search: Search, taken: &[(Timestamp, Timestamp)]| {
        search.nearest(taken, 1).first().map(|run| run.start().seconds().to_string())
    };
    let simulated = telescope(true, Rules::default());
    let from = |text, telescope: &Telescope| Search::following(at(text), 10, telescope, at(NOW)).unwrap();
    let search = from("2025-12-01T03:02:00Z", &simulated);
    assert_eq!(first(search, &[]).as_deref(), Some("2025-12-01T03:05:00Z"));
    let taken = [(at("2025-12-01T03:10:00Z"), at("2025-12-01T03:15:00Z"))];
    assert_eq!(first(search, &taken).as_deref(), Some("2025-12-01T03:15:00Z"));
    // A week that is taken as a whole has none, and the next one begins after its last start.
    let whole = [search.looks_at()];
    assert_eq!((first(search, &whole), search.goes_on()), (None, Some(at("2025-12-08T03:10:00Z"))));
    // What has begun, and what the notice refuses, is not looked at.
    let real = telescope(false, Rules::default());
    assert_eq!(first(from("2025-01-01T00:00:00Z", &real), &[]).as_deref(), Some("2025-12-01T10:10:00Z"));
    let careful = telescope(true, Rules { notice_min: Some(60), ..Rules::default() });
    assert_eq!(first(from("2025-12-01T10:00:00Z", &careful), &[]).as_deref(), Some("2025-12-01T11:10:00Z"));
    // The horizon ends it, and so does a run that no booking may be as long as.
    let near = telescope(true, Rules { horizon_days: Some(2), ..Rules::default() });
    let search = from("2025-12-03T23:45:00Z", &near);
    assert_eq!((first(search, &[]).as_deref(), search.goes_on()), (Some("2025-12-03T23:45:00Z"), None));
    let beyond = from("2025-12-03T23:55:00Z", &near);
    assert_eq!((first(beyond, &[]), beyond.goes_on()), (None, None));
    let short = telescope(true, Rules { duration_max_min: Some(5), ..Rules::default() });
    let search = from("2025-12-01T03:00:00Z", &short);
    assert_eq!((first(search, &[]), search.goes_on()), (None, None));
}

#[test]
fn a_slot_says_when_it_opens_only_if_that_is_known_and_to_come() {
    // Today and the day after are open from noon on; it is 10:07, so tomorrow opens in two hours.
    let rules = Rules { horizon_days: Some(1), opens_at_min: Some(720), notice_min: Some(60), ..Rules::default() };
    let telescope = Telescope { rules, ..telescope(false) };
    let (now, freed) = (at(NOW), at("2025-12-01T15:00:00Z"));
    let lead = |us: i64| Timestamp::from_micros(now.as_micros() + us).unwrap();
    let opens = |telescope: &Telescope, start: Timestamp, opens_us: i64| {
        let period = Period::new(Some(start), None, now).unwrap();
        let found = states(period, &Standing::default(), telescope, now)[0];
        let freed = HashMap::from([(freed, lead(opens_us))]);
        (found.1.name(), opens_at(found, &freed, telescope, now))
    };
    assert_eq!(opens(&telescope, freed, 100), ("livre", Some(lead(100))));
    assert_eq!(opens(&telescope, freed, 0), ("livre", None), "it is open");
    assert_eq!(opens(&telescope, at("2025-12-01T15:05:00Z"), 100), ("livre", None));
    let noon = at("2025-12-01T12:00:00Z");
    assert_eq!(opens(&telescope, at("2025-12-02T15:00:00Z"), 100), ("fechado", Some(noon)));
    // It is closed because it is too near, or because the telescope is not active: no instant opens it.
    assert_eq!(opens(&telescope, at("2025-12-01T10:30:00Z"), 100), ("fechado", None));
    let inactive = Telescope { active: false, ..telescope };
    assert_eq!(opens(&inactive, at("2025-12-02T15:00:00Z"), 100), ("fechado", None));
}
