//! Changes of the catalogue: what every storage has to do.

use super::{Fixture, Opened, after, request};
use crate::agenda::rules::{BrokenRule, Rules};
use crate::agenda::{NotCancellable, Rejection, Scientist, ScientistPatch, Telescope, TelescopePatch};
use crate::audit::catalogued::CATALOGUE_CHANGED;
use crate::http::precondition::IfMatch;
use crate::store::{BookRefused, CancelRefused, NotCancelled, NotChanged};
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
