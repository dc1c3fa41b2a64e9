//! Changes of the catalogue: what every storage has to do.

use std::time::Duration;

use super::{Fixture, Opened, after, request};
use crate::agenda::maintenance::NewMaintenance;
use crate::agenda::rules::{BrokenRule, Rules};
use crate::agenda::{NotCancellable, Rejection, Scientist, ScientistPatch, Telescope, TelescopePatch};
use crate::audit::catalogued::CATALOGUE_CHANGED;
use crate::http::precondition::IfMatch;
use crate::store::{BookRefused, CancelRefused, Cancelling, NotCancelled, NotChanged};
use crate::time::Timestamp;

pub async fn a_changed_telescope_binds_at_once_and_has_its_record<F: Fixture>() {
    let opened = Opened::<F>::new();
    let before = opened.new_booking(7, "Hubble-Acad", after(0), 60).await;
    let change =
        async |patch| opened.store.change_telescope("Hubble-Acad".to_owned(), patch, None, request()).await.unwrap();
    let patch = TelescopePatch {
        name: Some("Hubble II".to_owned()),
        duration_max_min: Some(Some(30)),
        day_max_min: Some(Some(45)),
        cancel_notice_min: Some(Some(60)),
        opens_at_min: Some(Some(750)),
        ..TelescopePatch::default()
    };
    let changed = change(patch.clone()).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.rules.duration_max_min), ("Hubble II", Some(30)));
    assert_eq!(opened.store.catalogue().await.unwrap().telescope("Hubble-Acad"), Some(&changed));
    // What was checked before the change is refused by it.
    let refused = opened.book(before.clone(), 1).await;
    assert_eq!(refused, Err(BookRefused::Broken(Rejection::Rule(BrokenRule::Duration(30)))));
    let booked = opened.book(opened.new_booking(7, "Hubble-Acad", after(0), 30).await, 1).await.unwrap();
    let refused = opened.book(opened.new_booking(7, "Hubble-Acad", after(10), 20).await, 1).await;
    assert!(matches!(refused, Err(BookRefused::Broken(Rejection::Rule(BrokenRule::Day { most: 45, used: 30, .. })))));
    opened.clock.set(Timestamp::from_micros(after(0).as_micros() - 59 * 60_000_000).unwrap());
    let late = opened.cancel(booked.id, 2).await;
    assert_eq!(late, Err(CancelRefused::Not(NotCancelled::Not(NotCancellable::TooLate(60)))));
    // The same again changes nothing and has no record, and null takes the rules away.
    assert_eq!(change(patch).await, Ok(changed.clone()));
    let bare = change(TelescopePatch::without_rules()).await.unwrap();
    assert_eq!((bare.name.as_str(), bare.rules), ("Hubble II", Rules::default()));
    opened.cancel(booked.id, 2).await.unwrap();
    opened.book(before, 2).await.unwrap();
    let unknown = opened.store.change_telescope("Nenhum".to_owned(), TelescopePatch::without_rules(), None, request());
    assert_eq!(unknown.await.unwrap(), Err(NotChanged::Unknown));
    let lines = opened.records().await;
    let changes: Vec<_> = lines.iter().filter(|line| line.contains(CATALOGUE_CHANGED)).collect();
    assert_eq!(changes.len(), 2, "{lines:#?}");
    let state = |name: &str, values: [&str; 4]| {
        let [length, cancel, opens, day] = values;
        format!(
            r#"{{"nome":"{name}","simulado":true,"ativo":true,"regras":{{"duracao_max_min":{length},"antecedencia_min_min":null,"cancelamento_min_min":{cancel},"horizonte_dias":null,"abre_as_utc":{opens},"cota_ativas":null,"cota_dia_min":{day},"horas_de_operacao":null,"exige_proposta":false,"disputa":"ordem"}}}}"#
        )
    };
    let with_rules = state("Hubble II", ["30", "60", r#""12:30""#, "45"]);
    assert!(changes[0].contains(&format!(r#""depois":{with_rules}"#)), "{}", changes[0]);
    let without = state("Hubble II", ["null"; 4]);
    assert!(changes[1].contains(&format!(r#""antes":{with_rules},"depois":{without}"#)), "{}", changes[1]);
}

pub async fn what_the_catalogue_gets_is_there_for_the_next_change<F: Fixture>() {
    let opened = Opened::<F>::new();
    let store = &opened.store;
    let known = store.catalogue().await.unwrap();
    assert!(store.catalogue_unless(known.edition()).await.unwrap().is_none());
    let vera = Scientist {
        id: 0,
        name: "Vera".to_owned(),
        institution: "Carnegie".to_owned(),
        country: "US".to_owned(),
        active: true,
    };
    let numbers = futures_util::future::join_all((0..3).map(|_| store.create_scientist(vera.clone(), request()))).await;
    let mut numbers: Vec<i64> = numbers.into_iter().map(|made| made.unwrap().id).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [11, 12, 13]);
    let telescope = known.telescope("Hubble-Acad").unwrap();
    let taken = store.create_telescope(telescope.clone(), request()).await.unwrap();
    assert_eq!(taken, Err(telescope.clone()));
    let new = Telescope { code: "T".to_owned(), ..telescope.clone() };
    assert_eq!(store.create_telescope(new.clone(), request()).await.unwrap(), Ok(new.clone()));
    let fresh = store.catalogue_unless(known.edition()).await.unwrap().unwrap();
    assert_eq!(fresh.telescope("T"), Some(&new));
    let booked = opened.book(opened.new_booking(12, "T", after(0), 5).await, 1).await.unwrap();
    assert_eq!((booked.telescope.as_str(), booked.scientist_id), ("T", 12));

    // A scientist who may not book any more is refused, although the booking was checked before.
    let asked = opened.new_booking(12, "T", after(1), 5).await;
    let version = fresh.scientist(12).unwrap().version();
    let change = async |version: String| {
        let patch = ScientistPatch { active: Some(false), ..ScientistPatch::default() };
        store.change_scientist(12, patch, Some(IfMatch::Versions(vec![version])), request()).await.unwrap()
    };
    let other = change("x".to_owned()).await;
    assert_eq!(other, Err(NotChanged::OtherVersion(version.clone())));
    assert!(!change(version).await.unwrap().active);
    let refused = opened.book(asked, 1).await;
    assert_eq!(refused, Err(BookRefused::Broken(Rejection::InactiveScientist(12))));
    opened.cancel(booked.id, 2).await.unwrap();
    assert_eq!(opened.records().await.iter().filter(|line| line.contains(CATALOGUE_CHANGED)).count(), 5);
}

pub async fn a_maintenance_that_was_taken_away_is_still_known<F: Fixture>() {
    let opened = Opened::<F>::new();
    let store = &opened.store;
    let closed = async |telescope: &str, first: i64, weekly: Option<i64>| {
        let when = NewMaintenance {
            start: after(first),
            end: after(first + 12),
            reason: format!("espelho {first}"),
            weekly_until: weekly.map(after),
        };
        store
            .close(telescope.to_owned(), when, Cancelling::Nothing, Duration::ZERO, request())
            .await
            .unwrap()
            .unwrap()
            .maintenance
    };
    // The second comes again a week later, which is 2016 slots.
    let all = [
        closed("Hubble-Acad", 0, None).await,
        closed("Hubble-Acad", 100, Some(2116)).await,
        closed("Hubble-Acad", 200, None).await,
        closed("Webb-Acad", 0, None).await,
    ];
    let removed = async |from: i64, until: i64, limit: usize| {
        let found = store.removed_maintenances("Hubble-Acad", (after(from), after(until)), limit).await.unwrap();
        found.into_iter().map(|one| (one.maintenance.id, one.at)).collect::<Vec<_>>()
    };
    assert_eq!(removed(0, 10_000, 10).await, []);
    let mut at = [opened.clock.now(); 4];
    for (nth, telescope) in [(1, "Hubble-Acad"), (0, "Hubble-Acad"), (3, "Webb-Acad")] {
        opened.clock.set(Timestamp::from_micros(opened.clock.now().as_micros() + 1).unwrap());
        at[nth] = opened.clock.now();
        let gone = store.reopen(telescope.to_owned(), all[nth].id, Duration::ZERO, request()).await.unwrap().unwrap();
        assert_eq!(gone.maintenance, all[nth]);
    }
    let (first, second) = ((all[0].id, at[0]), (all[1].id, at[1]));
    assert_eq!(removed(0, 10_000, 10).await, [first, second]);
    assert_eq!(removed(0, 10_000, 1).await, [first]);
    assert_eq!((removed(11, 100, 10).await, removed(12, 100, 10).await), (vec![first], vec![]));
    assert_eq!((removed(2127, 9999, 10).await, removed(2128, 9999, 10).await), (vec![second], vec![]));
    let told = store.removed_maintenances("Hubble-Acad", (after(0), after(1)), 10).await.unwrap();
    assert_eq!(told.into_iter().map(|one| one.maintenance).collect::<Vec<_>>(), all[..1]);
    assert_eq!(store.removed_maintenances("nenhum", (after(0), after(1)), 10).await.unwrap(), []);
    // What stands is what was not taken away.
    let standing = store.catalogue().await.unwrap().telescope("Hubble-Acad").unwrap().maintenance.to_vec();
    assert_eq!(standing, all[2..3]);
}
