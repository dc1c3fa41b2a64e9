//! Answers that are kept, keys that are held, and the keys that sign: what every storage has to do.

use std::sync::Arc;
use std::time::Duration;

use super::{Fixture, Opened, fence, request};
use crate::access::Author;
use crate::agenda::Telescope;
use crate::agenda::keeping::{KEPT_FOR, Keeping, KeptAnswer, Made};
use crate::audit::record::Cause;
use crate::clock::keys::SigningKey;
use crate::time::Timestamp;

/// A request with a key, whose answer says what was made.
fn keyed(key: u8) -> Cause {
    let render = |made: Made<'_>, now: Timestamp| KeptAnswer {
        status: 201,
        location: None,
        etag: Some("\"1\"".to_owned()),
        body: format!("{made:?} {now:?}").into_bytes(),
    };
    let keeping = Keeping::new(Author::ANONYMOUS, ([key; 32], [key; 32]), Box::new(()), Box::new(render));
    Cause { keeping: Some(Arc::new(keeping)), ..request() }
}

pub async fn an_answer_is_kept_with_what_it_answers_and_for_a_day<F: Fixture>() {
    let opened = Opened::<F>::new();
    let (store, now) = (&opened.store, opened.clock.now());
    let kept = async |key: u8, at: Timestamp| store.kept([key; 32], at).await.unwrap();
    let cause = keyed(1);
    let booking = store.book(opened.slot(0).await, fence(1), cause.clone()).await.unwrap().unwrap();
    let answer = kept(1, now).await.expect("kept");
    assert_eq!(answer.answer.body, format!("{:?} {now:?}", Made::Booking(&booking)).into_bytes());
    assert_eq!((Some(answer.answer), answer.request_id.as_str()), (cause.keeping.unwrap().answer(), "r-1"));
    // A refusal keeps nothing, and so does a request without a key.
    let refused = keyed(2);
    assert!(store.book(opened.slot(0).await, fence(2), refused.clone()).await.unwrap().is_err());
    assert!(kept(2, now).await.is_none() && refused.keeping.unwrap().answer().is_none());
    opened.book(opened.slot(1).await, 3).await.unwrap();
    let telescope = Telescope::new("SALSA".to_owned(), "Onsala".to_owned(), false);
    store.create_telescope(telescope, keyed(3)).await.unwrap().unwrap();
    let scientist = store.catalogue().await.unwrap().scientist(7).unwrap().clone();
    store.create_scientist(scientist, keyed(4)).await.unwrap();
    let until = now.saturating_add(KEPT_FOR);
    let last = Timestamp::from_micros(until.as_micros() - 1).unwrap();
    for key in [1, 3, 4] {
        assert!(kept(key, last).await.is_some() && kept(key, until).await.is_none(), "{key}");
    }
    assert_eq!(store.remove_old_answers(last, 10).await.unwrap(), 0);
    assert_eq!(store.remove_old_answers(until, 2).await.unwrap(), 2);
    assert_eq!(store.remove_old_answers(until, 2).await.unwrap(), 1);
    assert!(kept(1, now).await.is_none());
    let race = Opened::<F>::of_kind(true);
    race.store.book_unguarded(race.slot(0).await, keyed(9)).await.unwrap().unwrap();
    assert!(race.store.kept([9; 32], race.clock.now()).await.unwrap().is_some());
    // The key can be another request's then.
    store.book(opened.slot(2).await, fence(4), keyed(1)).await.unwrap().unwrap();
    assert!(kept(1, now).await.is_some());
}

pub async fn a_new_signing_key_is_taken_once_a_day_and_an_old_one_is_erased<F: Fixture>() {
    let opened = Opened::<F>::new();
    let (store, now) = (&opened.store, opened.clock.now());
    let key = |hours: u64| SigningKey::random(now.saturating_add(Duration::from_secs(hours * 3600))).unwrap();
    assert_eq!(store.signing_keys(9).await.unwrap(), []);
    let (first, second) = (key(0), key(24));
    assert_eq!(store.offer_signing_key(first.clone()).await.unwrap(), std::slice::from_ref(&first));
    // Another scheduler was as fast.
    assert_eq!(store.offer_signing_key(key(0)).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(store.offer_signing_key(second.clone()).await.unwrap(), [first.clone(), second.clone()]);
    let erased = SigningKey { seed: None, ..first };
    assert_eq!(store.offer_signing_key(key(25)).await.unwrap(), [erased.clone(), second.clone()]);
    assert_eq!(store.signing_keys(9).await.unwrap(), [erased, second.clone()]);
    assert_eq!(store.signing_keys(1).await.unwrap(), [second]);
}

pub async fn a_key_is_held_once_until_it_is_given_back<F: Fixture>() {
    let opened = Opened::<F>::new();
    let hold = async |key: u8| opened.store.hold([key; 32]).await.unwrap();
    let held = hold(1).await.expect("free");
    assert!(hold(1).await.is_none() && hold(2).await.is_some());
    drop(held);
    assert!(hold(1).await.is_some());
}
