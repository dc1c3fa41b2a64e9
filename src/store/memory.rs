//! A store in memory, for tests: the seam is real where two storages stand behind it.
//!
//! It decides as every storage does ([`decide`](super::decide)), and keeps the whole agenda in one [`View`].
//!
//! # Locking
//!
//! A std mutex around the state, held for one change or one reading.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::changing::Changing;
use super::decide::{Change, Decision, Record, View, Write};
use super::outbox::Outbox;
use super::waits::{Placed, WaitFilter, WaitPage};
use super::{Answer, Backend, Counted, Filter, LatestRecord, Page, StandingReader, Store, StoreError, TrailPage};
use crate::agenda::keeping::{Digest, KEPT_FOR, Kept};
use crate::agenda::maintenance::{NewMaintenance, Removed, Stretch};
use crate::agenda::timetable::{SAME_MAX, Standing};
use crate::agenda::{Booking, Catalogue, NewBooking, Scientist, SlotRange, Status, Telescope, Wait, WaitStatus};
use crate::audit::chain::ChainHead;
use crate::audit::export::{Exported, Extent, Source};
use crate::audit::filter::{Filter as TrailFilter, Verdict, Wanted};
use crate::audit::record::Process;
use crate::clock::keys::{SigningKey, renew};
use crate::time::{Clock, Timestamp};

/// An agenda that ends with the process.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    clock: Clock,
    /// The keys that are held.
    keys: Arc<Mutex<BTreeSet<Digest>>>,
}

/// A key that is held.
struct HeldKey(Arc<Mutex<BTreeSet<Digest>>>, Digest);

impl Drop for HeldKey {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

struct State {
    view: View,
    /// How many changes were made.
    changes: i64,
    beginning: ChainHead,
    lines: Vec<String>,
    exported: Exported,
    kept: BTreeMap<Digest, (Timestamp, Kept)>,
    signing: Vec<SigningKey>,
    /// Maintenances that were taken away, each with its telescope.
    removed: Vec<(String, Removed)>,
}

impl MemoryStore {
    /// An agenda without bookings.
    fn new(catalogue: &Catalogue, clock: Clock) -> Self {
        let beginning = ChainHead::genesis("in memory");
        let mut view = View::empty(clock.now(), Instant::now(), beginning.clone(), 1);
        for telescope in catalogue.telescopes() {
            view.telescopes.insert(telescope.code.clone(), telescope.clone());
        }
        for scientist in catalogue.scientists() {
            view.scientists.insert(scientist.id, scientist.clone());
            view.next_scientist_id = view.next_scientist_id.max(scientist.id + 1);
        }
        (view.next_maintenance_id, view.next_proposal_id, view.next_wait_id) = (1, 1, 1);
        let state = State {
            view,
            changes: 0,
            beginning,
            lines: Vec::new(),
            exported: Exported::default(),
            kept: BTreeMap::new(),
            signing: Vec::new(),
            removed: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), clock, keys: Arc::default() }
    }

    /// Removes a scientist from the catalogue.
    fn remove_scientist(&self, id: i64) {
        self.state().view.scientists.remove(&id);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T: Send + 'static>(&self, read: impl FnOnce(&State) -> T) -> Answer<'_, T> {
        let read = read(&self.state());
        Box::pin(async { Ok(read) })
    }
}

impl State {
    fn catalogue(&self) -> Catalogue {
        let scientists = self.view.scientists.values().cloned().collect();
        let catalogue = Catalogue::new(scientists, self.view.telescopes.values().cloned().collect());
        catalogue.with_proposals(self.view.proposals.values().cloned().collect()).of_edition(self.changes)
    }

    /// The bookings that a filter finds, in the order of a list.
    fn matching(&self, filter: &Filter) -> Vec<Booking> {
        let is_wanted = |booking: &&Booking| {
            filter.telescope.as_ref().is_none_or(|code| *code == booking.telescope)
                && filter.scientist_id.is_none_or(|id| id == booking.scientist_id)
                && filter.status.is_none_or(|status| status == booking.status)
                && filter.from.is_none_or(|from| booking.slots.end() > from)
                && filter.until.is_none_or(|until| booking.slots.start() < until)
        };
        let mut found: Vec<Booking> = self.view.bookings.values().filter(is_wanted).cloned().collect();
        found.sort_by_key(place);
        found
    }

    /// An entry as it stands at `now`, with its place.
    fn placed(&self, wait: &Wait, now: Timestamp) -> Placed {
        let is_simulated = self.view.telescopes.get(&wait.telescope).is_some_and(|telescope| telescope.simulated);
        let status = wait.status_at(is_simulated, now);
        let stretch = (wait.slots.start(), wait.slots.end());
        let is_before = |one: &Wait| {
            one.is_for(&wait.telescope, stretch) && one.status_at(is_simulated, now) == WaitStatus::Waiting
        };
        let before = self.view.waits.range(..wait.id).filter(|(_, one)| is_before(one));
        let place = (status == WaitStatus::Waiting).then(|| 1 + before.count() as u64);
        Placed { wait: Wait { status, ..wait.clone() }, place }
    }

    /// The active bookings of a period.
    fn active(&self, telescope: &str, from: Timestamp, until: Timestamp) -> Vec<Booking> {
        self.matching(&Filter {
            telescope: Some(telescope.to_owned()),
            status: Some(Status::Active),
            from: Some(from),
            until: Some(until),
            scientist_id: None,
        })
    }

    /// The active bookings of a period, the first of each start and end; and what is known of them before that.
    fn standing(&self, telescope: &str, from: Timestamp, until: Timestamp) -> (Standing, Vec<Booking>) {
        let mut seen: BTreeMap<(Timestamp, Timestamp), (SlotRange, u64)> = BTreeMap::new();
        let mut bookings = self.active(telescope, from, until);
        bookings.retain(|booking| {
            let (_, count) = seen.entry((booking.slots.start(), booking.slots.end())).or_insert((booking.slots, 0));
            *count += 1;
            *count <= u64::from(SAME_MAX)
        });
        let beyond = seen.into_values().filter_map(|(slots, count)| {
            let more = count.saturating_sub(u64::from(SAME_MAX));
            (more > 0).then_some((slots, more))
        });
        let length = |text: &Option<String>| text.as_ref().map_or(0, |text| text.len() as u64);
        let standing = Standing {
            bookings: bookings.iter().map(|booking| (booking.id, booking.slots)).collect(),
            beyond: beyond.collect(),
            opening: self.opening(telescope, from, until),
            text_bytes: bookings.iter().map(|booking| length(&booking.target) + length(&booking.notes)).sum(),
        };
        (standing, bookings)
    }

    fn opening(&self, telescope: &str, from: Timestamp, until: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let claims = self.view.slots.get(telescope).into_iter().flat_map(|claims| claims.range(from..until));
        claims.filter_map(|(start, claim)| Some((*start, claim.opens_at?))).collect()
    }
}

fn place(booking: &Booking) -> (Timestamp, i64) {
    (booking.slots.start(), booking.id)
}

impl Changing for MemoryStore {
    fn change<C: Change>(&self, change: C) -> Answer<'_, C::Answer> {
        let mut state = self.state();
        (state.view.now, state.view.began) = (self.clock.now(), Instant::now());
        let Decision { answer, writes } = change.decide(&state.view);
        state.changes += 1;
        for write in writes {
            if let Write::AppendRecord { line, .. } = &write {
                state.lines.push(line.clone());
            }
            if let Write::KeepAnswer { kept, at } = &write {
                state.kept.insert(kept.key, (*at, (**kept).clone()));
            }
            if let Write::RemoveMaintenance { telescope, id, at, .. } = &write {
                let all = state.view.telescopes.get(telescope).map(|known| known.maintenance.clone());
                let gone = all.iter().flat_map(|all| all.iter()).find(|one| one.id == *id).cloned();
                let gone = gone.map(|maintenance| (telescope.clone(), Removed { maintenance, at: *at }));
                state.removed.extend(gone);
            }
            state.view.apply(write);
        }
        Box::pin(async { Ok(answer) })
    }
}

impl Backend for MemoryStore {
    fn find_conflict(&self, new: &NewBooking) -> Answer<'_, Option<Booking>> {
        let filter = Filter::conflicts_with(new);
        self.read(|state| state.matching(&filter).into_iter().next())
    }

    fn wait(&self, id: i64, now: Timestamp) -> Answer<'_, Option<Placed>> {
        self.read(|state| state.view.waits.get(&id).map(|wait| state.placed(wait, now)))
    }

    fn waits(&self, filter: WaitFilter, after: i64, limit: u16) -> Answer<'_, WaitPage> {
        self.read(|state| {
            let rest = state.view.waits.range(after + 1..).map(|(_, wait)| state.placed(wait, filter.now));
            let is_wanted = |Placed { wait, .. }: &Placed| {
                filter.scientist_id.is_none_or(|id| id == wait.scientist_id)
                    && filter.telescope.as_ref().is_none_or(|code| *code == wait.telescope)
                    && filter.status.is_none_or(|status| status == wait.status)
            };
            let mut waits: Vec<Placed> = rest.filter(is_wanted).take(usize::from(limit) + 1).collect();
            let has_more = waits.len() > usize::from(limit);
            waits.truncate(usize::from(limit));
            let next = waits.last().filter(|_| has_more).map(|placed| placed.wait.id);
            WaitPage { waits, next }
        })
    }

    fn booking(&self, id: i64) -> Answer<'_, Option<Booking>> {
        self.read(|state| state.view.bookings.get(&id).cloned())
    }

    fn list(&self, filter: Filter, after: Option<(Timestamp, i64)>, limit: u16) -> Answer<'_, Page> {
        self.read(|state| {
            let mut bookings = state.matching(&filter);
            bookings.retain(|booking| after.is_none_or(|after| place(booking) > after));
            let is_full = bookings.len() > usize::from(limit);
            bookings.truncate(usize::from(limit));
            let next = if is_full { bookings.last().map(place) } else { None };
            Page { bookings, next }
        })
    }

    fn standing(
        &self,
        telescope: &str,
        from: Timestamp,
        until: Timestamp,
        mut reader: Box<dyn StandingReader>,
    ) -> Answer<'_, ()> {
        self.read(|state| {
            let (standing, bookings) = state.standing(telescope, from, until);
            if reader.begin(standing).is_continue() {
                for booking in &bookings {
                    reader.booking(booking);
                }
            }
        })
    }

    fn taken(&self, telescope: &str, from: Timestamp, until: Timestamp) -> Answer<'_, Vec<(Timestamp, Timestamp)>> {
        self.read(|state| {
            let active = state.active(telescope, from, until);
            let mut taken: Vec<_> = active.iter().map(|booking| (booking.slots.start(), booking.slots.end())).collect();
            taken.dedup();
            taken
        })
    }

    fn catalogue(&self) -> Answer<'_, Catalogue> {
        self.read(State::catalogue)
    }

    fn catalogue_unless(&self, known: i64) -> Answer<'_, Option<Catalogue>> {
        self.read(|state| (state.changes != known).then(|| state.catalogue()))
    }

    fn counted(&self, new: &NewBooking, moving: Option<i64>, _now: Timestamp) -> Answer<'_, Counted> {
        let (telescope, scientist_id, proposal) = (new.telescope.code.clone(), new.scientist.id, new.proposal_id);
        self.read(move |state| {
            let held = state.view.held(&telescope, scientist_id, moving).collect();
            let used_min = proposal.map_or(0, |id| {
                let moving = moving.and_then(|id| state.view.bookings.get(&id));
                let given_back = moving.map_or(0, |booking| booking.charged_min(id, &telescope));
                state.view.used_min.get(&(id, telescope.clone())).copied().unwrap_or(0) - given_back
            });
            Counted { held, used_min, edition: state.changes }
        })
    }

    fn used_min(&self, proposal: i64) -> Answer<'_, BTreeMap<String, i64>> {
        self.read(|state| {
            let used = state.view.used_min.iter().filter(|((id, _), _)| *id == proposal);
            used.map(|((_, telescope), minutes)| (telescope.clone(), *minutes)).collect()
        })
    }

    fn met_by(
        &self,
        telescope: &str,
        when: &NewMaintenance,
        after: Timestamp,
        limit: usize,
    ) -> Answer<'_, Vec<Booking>> {
        self.read(|state| {
            let active =
                Filter { telescope: Some(telescope.to_owned()), status: Some(Status::Active), ..Filter::default() };
            let is_met = |booking: &Booking| {
                booking.slots.end() > after && when.meets(booking.slots.start(), booking.slots.end()).is_some()
            };
            state.matching(&active).into_iter().filter(is_met).take(limit).collect()
        })
    }

    fn removed_maintenances(&self, telescope: &str, (from, until): Stretch, limit: usize) -> Answer<'_, Vec<Removed>> {
        self.read(|state| {
            let was_then = |one: &NewMaintenance| one.start < until && one.ends() > from;
            let of_it = state.removed.iter().filter(|(code, one)| code == telescope && was_then(&one.maintenance.when));
            let mut found: Vec<Removed> = of_it.map(|(_, one)| one.clone()).collect();
            found.sort_by_key(|one| std::cmp::Reverse((one.at, one.maintenance.id)));
            found.truncate(limit);
            found
        })
    }

    fn hold(&self, key: Digest) -> Answer<'_, Option<Box<dyn Send + Sync>>> {
        let is_free = self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        let held = is_free.then(|| Box::new(HeldKey(Arc::clone(&self.keys), key)) as Box<_>);
        Box::pin(async { Ok(held) })
    }

    fn kept(&self, key: Digest, now: Timestamp) -> Answer<'_, Option<Kept>> {
        self.read(|state| {
            let counts = |at: &Timestamp| at.saturating_add(KEPT_FOR) > now;
            state.kept.get(&key).filter(|(at, _)| counts(at)).map(|(_, kept)| kept.clone())
        })
    }

    fn remove_old_answers(&self, now: Timestamp, most: u32) -> Answer<'_, usize> {
        let mut state = self.state();
        let old = state.kept.iter().filter(|(_, (at, _))| at.saturating_add(KEPT_FOR) <= now);
        let old: Vec<Digest> = old.map(|(key, _)| *key).take(most as usize).collect();
        for key in &old {
            state.kept.remove(key);
        }
        Box::pin(async move { Ok(old.len()) })
    }

    fn signing_keys(&self, most: u32) -> Answer<'_, Vec<SigningKey>> {
        self.read(move |state| state.signing.iter().rev().take(most as usize).rev().cloned().collect())
    }

    fn offer_signing_key(&self, offered: SigningKey) -> Answer<'_, Vec<SigningKey>> {
        let signing = &mut self.state().signing;
        let renewal = renew(signing, offered.made_at);
        for key in signing.iter_mut().filter(|key| renewal.forgotten.contains(&key.public)) {
            key.seed = None;
        }
        signing.extend(renewal.is_added.then_some(offered));
        let keys = signing.clone();
        Box::pin(async move { Ok(keys) })
    }

    fn record_start(&self, process: Process) -> Answer<'_, ()> {
        self.change(Record::Start(process))
    }

    fn record_stop(&self, process: Process, up_ms: u64) -> Answer<'_, ()> {
        self.change(Record::Stop { process, up_ms })
    }

    fn trail_page(&self, wanted: Wanted, after: u64, limit: u16) -> Answer<'_, TrailPage> {
        self.read(|state| {
            let filter = TrailFilter::new(wanted);
            let mut page = TrailPage { lines: Vec::new(), next: None };
            let mut reached = after;
            for (seq, line) in (1_u64..).zip(&state.lines).filter(|(seq, _)| *seq > after) {
                if page.lines.len() == usize::from(limit) {
                    page.next = Some(reached);
                    break;
                }
                if matches!(filter.judge(line.as_bytes()), Verdict::Wanted(_)) {
                    page.lines.push(line.clone());
                }
                reached = seq;
            }
            page
        })
    }

    fn latest_record(&self) -> Answer<'_, LatestRecord> {
        self.read(|state| LatestRecord { head: state.view.head.clone(), line: state.lines.last().cloned() })
    }

    fn highest_token(&self) -> Answer<'_, u64> {
        self.read(|state| {
            let claims = state.view.slots.values().flat_map(|slots| slots.values());
            claims.map(|claim| claim.token).max().unwrap_or(0)
        })
    }

    fn probe(&self) -> Answer<'_, ()> {
        self.read(|_| ())
    }

    fn fault(&self) -> Option<String> {
        None
    }

    fn described(&self) -> Answer<'_, Vec<(&'static str, String)>> {
        Box::pin(std::future::ready(Ok(vec![("kind", "memory".to_owned())])))
    }

    fn log_bytes(&self) -> Option<u64> {
        None
    }

    fn warnings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn outbox(&self, _: &Path) -> Result<Outbox, StoreError> {
        Ok(Outbox::new(MemoryOutbox(self.clone())))
    }
}

struct MemoryOutbox(MemoryStore);

impl Source for MemoryOutbox {
    fn lines_after(&self, seq: u64, limit: u32, text: &mut Vec<u8>) -> Result<Option<u64>, String> {
        let state = self.0.state();
        let lines = (1_u64..).zip(&state.lines).filter(|(number, _)| *number > seq).take(limit as usize);
        Ok(lines.inspect(|(_, line)| text.extend([line.as_bytes(), b"\n"].concat())).last().map(|(number, _)| number))
    }

    fn line(&self, seq: u64) -> Result<Option<String>, String> {
        let state = self.0.state();
        Ok((1_u64..).zip(&state.lines).find(|(number, _)| *number == seq).map(|(_, line)| line.clone()))
    }

    fn bytes_between(&self, first: u64, last: u64) -> Result<u64, String> {
        let state = self.0.state();
        let lines = (1_u64..).zip(&state.lines).filter(|(number, _)| (first..=last).contains(number));
        Ok(lines.map(|(_, line)| line.len() as u64 + 1).sum())
    }

    fn beginning(&self) -> Result<String, String> {
        Ok(self.0.state().beginning.hash.clone())
    }

    fn head(&self) -> Result<u64, String> {
        Ok(self.0.state().view.head.seq)
    }

    fn exported(&self) -> Result<Exported, String> {
        Ok(self.0.state().exported)
    }

    fn note_exported(&self, seq: u64, file: Extent) -> Result<(), String> {
        self.0.state().exported = Exported { seq, file: Some(file) };
        Ok(())
    }
}

impl super::conformance::Fixture for MemoryStore {
    /// The race needs no kind of its own: nothing here looks at claims but a booking under a lease.
    fn open(_race: bool, clock: Clock) -> Self {
        let scientists = (1..=10).map(|id| Scientist {
            id,
            name: if id == 7 { "Marie Curie".to_owned() } else { format!("Cientista {id}") },
            institution: "Universidade".to_owned(),
            country: "BR".to_owned(),
            active: true,
        });
        let telescope = |code: &str| Telescope::new(code.to_owned(), code.to_owned(), code == "Hubble-Acad");
        let telescopes = ["Hubble-Acad", "Webb-Acad"].map(telescope);
        Self::new(&Catalogue::new(scientists.collect(), telescopes.into()), clock)
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.clone())
    }

    fn remove_scientist(&self, id: i64) {
        Self::remove_scientist(self, id);
    }
}

super::conformance::conformance!(MemoryStore);
