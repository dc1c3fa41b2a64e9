//! Properties of the decision, over random changes to a small agenda.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::change::Around;
use super::*;
use crate::agenda::alteration::{Alteration, Destination, Texts};
use crate::agenda::rules::{Rules, days_around};
use crate::agenda::{
    Booking, Cancellation, NewBooking, Place, Scientist, SlotRange, Status, Telescope, Wait, WaitStatus,
};
use crate::audit::chain::ChainHead;
use crate::audit::record::{Cause, Process, Why};
use crate::store::outcomes::{AlterRefused, Altered, BookRefused, CancelRefused, Cancelled, Fence};
use crate::store::waits::{NotEntered, NotLeft, Placed};
use crate::time::{Timestamp, minutes_in_micros};

const TELESCOPES: [(&str, bool); 2] = [("Hubble-Acad", true), ("Webb-Acad", false)];
const SLOTS: i64 = 8;

/// When every transaction of these tests began.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The start of slot number `nth`. The clock of [`agenda`] stands just before slot 2.
fn at(nth: i64) -> Timestamp {
    Timestamp::from_micros(minutes_in_micros(1_000_000 + 5 * nth)).unwrap()
}

fn just_before(instant: Timestamp) -> Timestamp {
    Timestamp::from_micros(instant.as_micros() - 1).unwrap()
}

fn request(id: &str) -> Cause {
    Cause::of_test(id)
}

fn genesis() -> ChainHead {
    ChainHead::genesis("of a test")
}

fn scientist(id: i64) -> Scientist {
    Scientist {
        id,
        name: format!("Scientist {id}"),
        institution: "Institution".to_owned(),
        country: "BR".to_owned(),
        active: true,
    }
}

/// An agenda without bookings: two telescopes, scientists 1 to 3.
fn agenda() -> View {
    let mut view = View::empty(just_before(at(2)), *BEGAN, genesis(), 1);
    view.next_wait_id = 1;
    for (code, simulated) in TELESCOPES {
        let telescope = Telescope::new(code.to_owned(), code.to_owned(), simulated);
        view.telescopes.insert(code.to_owned(), telescope);
    }
    view.scientists.extend((1..=3).map(|id| (id, scientist(id))));
    view
}

/// Any change, for batches of several kinds.
#[derive(Clone, Debug)]
enum Any {
    Book(Box<Book>),
    Cancel(Cancel),
    Alter(Box<Alter>),
    Enter(Box<Enter>),
    Leave(Leave),
    Record(Record),
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Booked(Result<Booking, BookRefused>),
    Cancelled(Result<Cancelled, CancelRefused>),
    Altered(Result<Altered, AlterRefused>),
    Entered(Result<Placed, NotEntered>),
    Left(Result<Wait, NotLeft>),
    Recorded,
}

impl Change for Any {
    type Answer = Said;

    fn booking_id(&self) -> Option<i64> {
        match self {
            Self::Book(change) => change.booking_id(),
            Self::Cancel(change) => change.booking_id(),
            Self::Alter(change) => change.booking_id(),
            Self::Enter(_) | Self::Leave(_) => None,
            Self::Record(change) => change.booking_id(),
        }
    }

    fn around<'a>(&'a self, view: &'a View) -> Option<Around<'a>> {
        match self {
            Self::Book(change) => change.around(view),
            Self::Cancel(change) => change.around(view),
            Self::Alter(change) => change.around(view),
            Self::Enter(change) => change.around(view),
            Self::Leave(change) => change.around(view),
            Self::Record(change) => change.around(view),
        }
    }

    fn waits<'a>(&'a self, view: &'a View) -> Option<WaitRows<'a>> {
        match self {
            Self::Cancel(change) => change.waits(view),
            Self::Alter(change) => change.waits(view),
            Self::Enter(change) => change.waits(view),
            Self::Book(_) | Self::Leave(_) | Self::Record(_) => None,
        }
    }

    fn wait_id(&self) -> Option<i64> {
        if let Self::Leave(change) = self { change.wait_id() } else { None }
    }

    fn beside<'a>(&'a self, view: &'a View) -> Option<Around<'a>> {
        if let Self::Alter(change) = self { change.beside(view) } else { None }
    }

    fn decide(&self, view: &View) -> Decision<Said> {
        fn as_said<A>(decision: Decision<A>, said: impl FnOnce(A) -> Said) -> Decision<Said> {
            Decision { answer: said(decision.answer), writes: decision.writes }
        }
        match self {
            Self::Book(change) => as_said(change.decide(view), Said::Booked),
            Self::Cancel(change) => as_said(change.decide(view), Said::Cancelled),
            Self::Alter(change) => as_said(change.decide(view), Said::Altered),
            Self::Enter(change) => as_said(change.decide(view), Said::Entered),
            Self::Leave(change) => as_said(change.decide(view), Said::Left),
            Self::Record(change) => as_said(change.decide(view), |()| Said::Recorded),
        }
    }
}

impl Said {
    fn is_refusal(&self) -> bool {
        match self {
            Self::Booked(booked) => booked.is_err(),
            Self::Cancelled(cancelled) => cancelled.is_err(),
            // What changes nothing is written as little as what is refused.
            Self::Altered(altered) => !matches!(altered, Ok(Altered { changed: true, .. })),
            Self::Entered(entered) => entered.is_err(),
            Self::Left(left) => left.is_err(),
            Self::Recorded => false,
        }
    }
}

fn new_booking(telescope: usize, scientist: i64, nth: i64, slots: i64) -> NewBooking {
    let (code, simulated) = TELESCOPES[telescope];
    NewBooking {
        telescope: Telescope::new(code.to_owned(), code.to_owned(), simulated).into(),
        scientist: self::scientist(scientist).into(),
        proposal_id: None,
        slots: SlotRange::new(at(nth), 5 * slots).unwrap(),
        target: (nth % 2 == 0).then(|| "M31".to_owned()),
        notes: None,
        clicked_at: None,
        stamp: None,
        contest: None,
        opens_at: None,
    }
}

fn fence(token: u64, in_time: bool) -> Fence {
    Fence { token, deadline: if in_time { *BEGAN + Duration::from_secs(3600) } else { *BEGAN } }
}

fn book(telescope: usize, nth: i64, slots: i64, token: u64) -> Any {
    let new = new_booking(telescope, 1, nth, slots);
    Any::Book(Box::new(Book { new, fence: fence(token, true), cause: request("r-1") }))
}

fn cancel(id: i64, token: u64) -> Any {
    Any::Cancel(Cancel {
        id,
        from: somewhere(),
        asked: Cancellation::default(),
        fence: fence(token, true),
        cause: request("r-2"),
    })
}

/// Any change but for the race's: scientist 4 is in no catalogue, and a booking may be unknown.
fn changes(most: usize) -> impl Strategy<Value = Vec<Any>> {
    let in_time = prop::bool::weighted(0.9);
    let books = (0..2_usize, 1..=4_i64, 0..SLOTS, 1..=3_i64, 0..20_u64, in_time).prop_map(
        |(telescope, scientist, nth, slots, token, in_time)| {
            let new = new_booking(telescope, scientist, nth, slots);
            Any::Book(Box::new(Book { new, fence: fence(token, in_time), cause: request("r-1") }))
        },
    );
    let cancels = (1..12_i64, 0..20_u64, in_time, any::<bool>()).prop_map(|(id, token, in_time, with_reason)| {
        let asked = Cancellation { reason: with_reason.then(|| "clouds".to_owned()), ..Cancellation::default() };
        Any::Cancel(Cancel { id, from: somewhere(), asked, fence: fence(token, in_time), cause: request("r-2") })
    });
    // Mostly somewhere else, and sometimes with a wrong length of the rest.
    let alters = (1..12_i64, 0..4_i64, (0..2_usize, 0..SLOTS, 1..=3_i64), 0..20_u64, in_time).prop_map(
        |(id, kind, (telescope, nth, slots), token, in_time)| {
            let texts = Texts { target: (kind == 3).then(|| Some(format!("M{nth}"))), notes: None };
            let destination = match kind {
                0 | 1 => Destination::Elsewhere(Box::new(new_booking(telescope, 1, nth, slots))),
                2 => Destination::Shorter(SlotRange::new(at(nth), 5 * slots).unwrap()),
                _ => Destination::Here,
            };
            let fence = (kind != 3).then(|| fence(token, in_time));
            let asked = Alteration { texts, destination, from: somewhere(), expected: None, lead: Duration::ZERO };
            Any::Alter(Box::new(Alter { id, asked, fence, cause: request("r-4") }))
        },
    );
    let enters = (0..2_usize, 1..=4_i64, 0..SLOTS, 1..=3_i64).prop_map(|(telescope, scientist, nth, slots)| {
        let new = new_booking(telescope, scientist, nth, slots);
        Any::Enter(Box::new(Enter { new, cause: request("r-5") }))
    });
    let leaves = (1..8_i64).prop_map(|id| Any::Leave(Leave { id, cause: request("r-6") }));
    let process = Process { version: "1", mode: "com_trava", pid: 7, address: "127.0.0.1:1".to_owned() };
    let records = (0..3).prop_map(move |kind| {
        Any::Record(match kind {
            0 => Record::Start(process.clone()),
            1 => Record::Stop { process: process.clone(), up_ms: 5 },
            _ => Record::Refusal {
                asked: Box::new(new_booking(0, 2, 1, 1)),
                why: Why { code: "horario_ocupado", detail: "taken".to_owned(), taken_by: Some(1), moving: None },
                cause: request("r-3"),
            },
        })
    });
    prop::collection::vec(
        prop_oneof![5 => books, 3 => cancels, 4 => alters, 4 => enters, 1 => leaves, 1 => records],
        0..most,
    )
}

fn somewhere() -> Place {
    Place { telescope: TELESCOPES[0].0.to_owned(), slots: SlotRange::new(at(0), 5).unwrap() }
}

/// The change as one asks for it who has just read the booking: its place is locked, it goes somewhere as itself, and what is shorter is a
/// part of it.
fn aimed(view: &View, change: &Any) -> Any {
    let mut change = change.clone();
    let Some(booking) = change.booking_id().and_then(|id| view.bookings.get(&id)) else { return change };
    match &mut change {
        Any::Cancel(cancel) => cancel.from = booking.place(),
        Any::Alter(alter) => {
            alter.asked.from = booking.place();
            match &mut alter.asked.destination {
                Destination::Elsewhere(new) => Arc::make_mut(&mut new.scientist).id = booking.scientist_id,
                Destination::Shorter(slots) => {
                    let minutes = slots.duration_min().min(booking.slots.duration_min());
                    *slots = SlotRange::new(booking.slots.start(), minutes).unwrap();
                }
                Destination::Here => {}
            }
        }
        Any::Book(_) | Any::Enter(_) | Any::Leave(_) | Any::Record(_) => {}
    }
    change
}

/// Decides one change and carries it out on the view alone; gives the answer and what was written.
fn carry_out(view: &mut View, change: &Any) -> (Said, Vec<Write>) {
    let change = aimed(view, change);
    let Decision { answer, writes } = change.decide(view);
    for write in &writes {
        view.apply(write.clone());
    }
    (answer, writes)
}

/// What a backend has to load of a scientist's bookings, and nothing more.
fn held(database: &View, telescope: &Telescope, scientist: i64, counted: SlotRange) -> Held {
    let is_theirs = |booking: &&Booking| {
        booking.status == Status::Active && booking.telescope == telescope.code && booking.scientist_id == scientist
    };
    let mut standing: Vec<&Booking> = database.bookings.values().filter(is_theirs).collect();
    standing.sort_by_key(|booking| booking.slots.start());
    let (day, after) = days_around(counted);
    let of_day =
        standing.clone().into_iter().filter(|booking| booking.slots.end() > day && booking.slots.start() < after);
    let most = telescope.rules.standing_max.map_or(0, |most| usize::try_from(most).unwrap() + 1);
    let standing = standing.iter().copied().filter(|booking| booking.slots.end() > database.now).take(most);
    standing.chain(of_day).map(|booking| (booking.id, booking.slots)).collect()
}

/// Copies what `change` touches from `database` into `view`, as a backend loads it.
fn load(database: &View, view: &mut View, change: &Any) {
    if let Some(booking) = change.booking_id().and_then(|id| database.bookings.get(&id)) {
        view.bookings.entry(booking.id).or_insert_with(|| booking.clone());
    }
    if let Some(wait) = change.wait_id().and_then(|id| database.waits.get(&id)) {
        view.waits.insert(wait.id, wait.clone());
    }
    for beside in [false, true] {
        let around = if beside { change.beside(view) } else { change.around(view) };
        let around =
            around.map(|around| (around.telescope.to_owned(), around.scientist_id, around.slots, around.counted));
        if let Some(around) = around {
            load_around(database, view, around);
        }
    }
    let found: Vec<Wait> = match change.waits(view) {
        None => Vec::new(),
        Some(WaitRows::For(code, stretches)) => {
            let is_met = |wait: &&Wait| stretches.iter().any(|stretch| wait.is_for(code, *stretch));
            database.waits.values().filter(is_met).cloned().collect()
        }
        Some(WaitRows::Beside(new)) => {
            let is_beside = |wait: &&Wait| {
                let code = &new.telescope.code;
                let is_own = wait.telescope == *code && wait.scientist_id == new.scientist.id;
                is_own || wait.is_for(code, (new.slots.start(), new.slots.end()))
            };
            database.waits.values().filter(is_beside).cloned().collect()
        }
    };
    if matches!(change.waits(view), Some(WaitRows::For(..))) {
        for wait in &found {
            let (scientist, slots) = (Some(wait.scientist_id), Some(wait.slots));
            load_around(database, view, (wait.telescope.clone(), scientist, slots, slots));
        }
    }
    view.waits.extend(found.into_iter().map(|wait| (wait.id, wait)));
}

fn load_around(
    database: &View,
    view: &mut View,
    (code, scientist_id, slots, counted): (String, Option<i64>, Option<SlotRange>, Option<SlotRange>),
) {
    if let Some(telescope) = database.telescopes.get(&code) {
        view.telescopes.insert(code.clone(), telescope.clone());
    }
    let scientist = scientist_id.and_then(|id| database.scientists.get_key_value(&id));
    view.scientists.extend(scientist.map(|(id, scientist)| (*id, scientist.clone())));
    let telescope = database.telescopes.get(&code);
    if let (Some(telescope), Some(scientist), Some(counted)) = (telescope, scientist_id, counted) {
        let held = held(database, telescope, scientist, counted);
        view.held_mut(&code, scientist).extend(held);
    }
    if let Some(slots) = slots {
        let claims: Vec<_> = database.claims(&code, slots).collect();
        view.slots.entry(code).or_default().extend(claims);
    }
}

/// A view of `database` with nothing loaded.
fn nothing_of(database: &View) -> View {
    let mut view = View::empty(database.now, database.began, database.head.clone(), database.next_booking_id);
    view.next_wait_id = database.next_wait_id;
    view
}

/// Decides a change in the batch whose view this is, and by itself. Both have to say the same. The database has all rows, as after a
/// commit of each change on its own.
fn decide_in_both(database: &mut View, view: &mut View, change: &Any) -> Result<(), TestCaseError> {
    let change = &aimed(database, change);
    let mut alone = nothing_of(database);
    load(database, &mut alone, change);
    let one_by_one = change.decide(&alone);
    // As a backend does: right before it is decided.
    load(database, view, change);
    let of_batch = carry_out(view, change);
    prop_assert_eq!(&of_batch, &(one_by_one.answer, one_by_one.writes.clone()));
    for write in one_by_one.writes {
        database.apply(write);
    }
    Ok(())
}

/// Every slot has at most one active booking, and its claim says which.
fn check_slots(view: &View) -> Result<(), TestCaseError> {
    for (code, _) in TELESCOPES {
        for nth in 0..SLOTS + 3 {
            let slot = SlotRange::new(at(nth), 5).unwrap();
            let has_it = |booking: &&Booking| {
                let slots = booking.slots;
                let is_here = slots.start() <= slot.start() && slot.start() < slots.end();
                booking.telescope == code && booking.status == Status::Active && is_here
            };
            let active: Vec<i64> = view.bookings.values().filter(has_it).map(|booking| booking.id).collect();
            let claimed = view.claims(code, slot).find_map(|(_, claim)| claim.taken).map(|taken| taken.booking_id);
            prop_assert!(active.len() <= 1, "{code} slot {nth}: {active:?}");
            prop_assert_eq!(active.first().copied(), claimed, "{} slot {}", code, nth);
        }
    }
    Ok(())
}

/// Nobody who waits is left behind, and nobody gets two bookings for one wait: who waits although all of the slots are free was told why.
fn check_waits(view: &View) -> Result<(), TestCaseError> {
    for wait in view.waits.values().filter(|wait| wait.status == WaitStatus::Waiting) {
        let is_free = view.claims(&wait.telescope, wait.slots).all(|(_, claim)| claim.taken.is_none());
        prop_assert!(!is_free || wait.passed_over.is_some(), "{:?}", wait);
    }
    let served: Vec<i64> = view.waits.values().filter_map(|wait| wait.booking_id).collect();
    let distinct: std::collections::BTreeSet<i64> = served.iter().copied().collect();
    prop_assert_eq!(served.len(), distinct.len());
    prop_assert!(distinct.iter().all(|id| view.bookings.contains_key(id)));
    Ok(())
}

/// No slot of `after` has seen a smaller token than in `before`.
fn check_tokens(before: &View, after: &View) -> Result<(), TestCaseError> {
    for (code, claims) in &before.slots {
        for (start, claim) in claims {
            let now = after.slots.get(code).and_then(|claims| claims.get(start));
            prop_assert!(now.is_some_and(|now| now.token >= claim.token), "{code} {start:?}: {claim:?} {now:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_slot_has_one_booking_tokens_never_fall_and_a_refusal_writes_nothing(changes in changes(40)) {
        let (mut view, mut head) = (agenda(), genesis());
        for change in &changes {
            let before = view.clone();
            let (answer, writes) = carry_out(&mut view, change);
            prop_assert_eq!(answer.is_refusal(), writes.is_empty(), "{:?}", answer);
            check_slots(&view)?;
            check_waits(&view)?;
            check_tokens(&before, &view)?;
            // Each change that is not refused has its record, and more only for those who waited; each follows the one before.
            let lines: Vec<&String> = writes.iter().filter_map(|write| match write {
                Write::AppendRecord { line, .. } => Some(line),
                _ => None,
            }).collect();
            let of_waits = lines.iter().filter(|line| line.contains("ESPERA_ATENDIDA") || line.contains("ESPERA_PRETERIDA"));
            let created = lines.iter().filter(|line| line.contains("\"espera_id\"") && line.contains("AGENDAMENTO_CRIADO"));
            let of_others = of_waits.count() + created.count();
            prop_assert_eq!(lines.len(), usize::from(!answer.is_refusal()) + of_others);
            prop_assert!(lines.iter().all(|line| head.follow(line.as_bytes())));
            prop_assert_eq!(&head, &view.head);
        }
    }

    #[test]
    fn a_batch_is_answered_as_its_changes_one_by_one_from_the_rows_that_each_touches(
        before in changes(20),
        batch in changes(20),
    ) {
        let mut database = agenda();
        for change in &before {
            carry_out(&mut database, change);
        }
        // As one batch: first the rows of all changes are loaded, then one change after the other is decided.
        let mut view = nothing_of(&database);
        for change in &batch {
            load(&database, &mut view, change);
        }
        for change in &batch {
            decide_in_both(&mut database, &mut view, change)?;
        }
        prop_assert_eq!(view.head, database.head);
    }

    #[test]
    fn a_cancelled_slot_can_be_booked_with_a_newer_token(
        before in changes(30),
        nth in 3..SLOTS,
        telescope in 0..2_usize,
    ) {
        let mut view = agenda();
        for change in &before {
            carry_out(&mut view, change);
        }
        let slot = SlotRange::new(at(nth), 5).unwrap();
        let taken = view.claims(TELESCOPES[telescope].0, slot).find_map(|(_, claim)| claim.taken);
        let id = match taken {
            Some(taken) => taken.booking_id,
            None => match carry_out(&mut view, &book(telescope, nth, 1, 100)).0 {
                Said::Booked(Ok(booking)) => booking.id,
                other => panic!("{other:?}"),
            },
        };
        // Without those who wait, so that nobody else gets the slot.
        view.waits.clear();
        let refused = carry_out(&mut view, &book(telescope, nth, 1, 101)).0;
        let is_taken = matches!(refused, Said::Booked(Err(BookRefused::Taken { booking_id, .. })) if booking_id == id);
        prop_assert!(is_taken, "{:?}", refused);
        prop_assert!(!carry_out(&mut view, &cancel(id, 102)).0.is_refusal());
        // The cancellation's token counts.
        prop_assert!(carry_out(&mut view, &book(telescope, nth, 1, 101)).0.is_refusal());
        let Said::Booked(Ok(booking)) = carry_out(&mut view, &book(telescope, nth, 1, 102)).0 else {
            return Err(TestCaseError::fail("it is free"));
        };
        prop_assert!(booking.id > id);
        check_slots(&view)?;
    }

    #[test]
    fn bookings_of_different_slots_do_not_depend_on_their_order(
        before in changes(20),
        (first, second) in (0..2_usize, 0..2_usize),
        (nth, other) in (0..SLOTS, 0..SLOTS),
    ) {
        prop_assume!(first != second || nth != other);
        let mut view = agenda();
        for change in &before {
            carry_out(&mut view, change);
        }
        let changes = [book(first, nth, 1, 100), book(second, other, 1, 100)];
        let run = |order: [usize; 2]| {
            let mut view = view.clone();
            let mut answers = order.map(|index| (index, carry_out(&mut view, &changes[index]).0.is_refusal()));
            answers.sort_unstable();
            let tokens = |claim: &Claim| (claim.taken.is_some(), claim.token);
            let slots: Vec<_> = view.slots.values().map(|slots| slots.values().map(tokens).collect::<Vec<_>>()).collect();
            (answers, slots)
        };
        prop_assert_eq!(run([0, 1]), run([1, 0]));
    }
}

proptest! {
    #[test]
    fn no_scientist_has_more_than_the_quotas_one_by_one_and_in_a_batch(
        before in changes(30),
        batch in changes(30),
        standing_max in prop::option::of(0..4_i64),
        day_max in prop::option::of((0..8_i64).prop_map(|slots| 5 * slots)),
        duration_max in prop::option::of(Just(10_i64)),
    ) {
        let mut database = agenda();
        for telescope in database.telescopes.values_mut() {
            let rules = Rules { standing_max, day_max_min: day_max, duration_max_min: duration_max, ..Rules::default() };
            telescope.rules = rules;
        }
        for change in &before {
            carry_out(&mut database, change);
        }
        let mut view = nothing_of(&database);
        for change in &batch {
            load(&database, &mut view, &aimed(&database, change));
            decide_in_both(&mut database, &mut view, change)?;
        }
        for (code, _) in TELESCOPES {
            for scientist in 1..=3 {
                let held: Vec<_> = database.held(code, scientist, None).collect();
                let standing = held.iter().filter(|held| held.end() > database.now).count();
                prop_assert!(standing_max.is_none_or(|most| standing <= usize::try_from(most).unwrap()), "{held:?}");
                prop_assert!(duration_max.is_none_or(|most| held.iter().all(|held| held.duration_min() <= most)));
                let (day, after) = days_around(SlotRange::new(at(2), 5).unwrap());
                let today = held.iter().filter(|held| held.start() >= day && held.end() <= after);
                let minutes = today.map(|held| held.duration_min()).sum::<i64>();
                prop_assert!(day_max.is_none_or(|most| minutes <= most), "{held:?}");
            }
        }
    }
}

#[test]
fn the_race_writes_a_second_booking_for_one_slot_and_claims_none() {
    let mut view = agenda();
    for id in 1..=2 {
        let new = new_booking(0, 1, 0, 2);
        let unguarded = BookUnguarded { new, cause: request("r-1") };
        let Decision { answer, writes } = unguarded.decide(&view);
        assert_eq!(answer.unwrap().id, id);
        for write in writes {
            view.apply(write);
        }
    }
    assert!(view.slots.values().all(Slots::is_empty));
    assert_eq!(view.head.seq, 2);
}

#[test]
fn what_is_broken_first_is_the_answer() {
    // The lease's time, then the rules, then the slots in their order.
    let mut view = agenda();
    carry_out(&mut view, &book(1, 3, 1, 10));
    let past = new_booking(1, 4, 0, 5);
    let asked = |fence| Any::Book(Box::new(Book { new: past.clone(), fence, cause: request("r-1") }));
    let answer = |change: &Any| match change.decide(&view).answer {
        Said::Booked(Err(refused)) => refused,
        other => panic!("{other:?}"),
    };
    assert!(matches!(answer(&asked(fence(20, false))), BookRefused::Fence(_)));
    assert!(matches!(answer(&asked(fence(20, true))), BookRefused::Broken(_)));
    assert!(
        matches!(answer(&book(1, 2, 3, 5)), BookRefused::Taken { start, booking_id: 1, scientist_id: 1 } if start == at(3))
    );
}
