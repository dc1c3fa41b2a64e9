//! Finds the telescope, the slots and the URL of a booking, from the entry point by links alone, as every client should.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail};
use hyper::Method;
use iri_string::spec::UriSpec;
use iri_string::template::UriTemplateStr;
use iri_string::template::simple_context::SimpleContext;
use rust_i18n::t;
use serde::{Deserialize, Serialize};

use super::wire::Browser;
use crate::http::client::Url;
use crate::http::links::ReadLink;
use crate::http::suggest::nearest;
use crate::time::{Clock, Timestamp};

/// The length of a slot, and the step of the grid.
const SLOT: Duration = Duration::from_secs(5 * 60);
/// How far ahead a free slot is looked for: on a page that shows the coming day at first. A random slot, and not the next free
/// one, so that two runs at the same time do not meet.
const HORIZONS: [u64; 5] = [DAY_SLOTS, 30 * DAY_SLOTS, 365 * DAY_SLOTS, 2 * 365 * DAY_SLOTS, 4 * 365 * DAY_SLOTS];
/// The slots of a day.
const DAY_SLOTS: u64 = 24 * 12;
/// How far the first slot is from now at the least: a clock that is off, or a long run, must not reach the past.
const MARGIN: Duration = Duration::from_secs(60 * 60);
/// How many random places are tried within each horizon.
const TRIES_PER_HORIZON: usize = 8;
/// The server's largest page.
const PAGE_SIZE: &str = "500";
/// The most pages that are read: more mean that the links `proxima` go in circles.
const PAGES_MAX: usize = 10_000;
/// The variables that the template of the list must have: without one of them the list would have other bookings too.
const LIST_VARIABLES: [&str; 5] = ["telescopio", "status", "de", "ate", "limite"];

/// The links of a document.
type Links = HashMap<String, ReadLink>;

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    modo: Option<String>,
    #[serde(rename = "_links")]
    links: Links,
}

#[derive(Deserialize)]
struct Telescope {
    id: String,
}

#[derive(Deserialize)]
struct Page<T> {
    #[serde(alias = "agendamentos", alias = "telescopios")]
    items: Vec<T>,
    #[serde(rename = "_links")]
    links: Links,
}

/// A booking that was there before the run.
#[derive(Deserialize)]
struct Occupant {
    id: i64,
    cientista_id: i64,
    horario_inicio_utc: String,
    #[serde(default, rename = "_links")]
    links: Links,
}

#[derive(Deserialize)]
struct Scientist {
    nome: String,
}

/// A booking, as the server lists it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Listed {
    /// Its identifier.
    pub id: i64,
    /// The scientist who booked.
    pub cientista_id: i64,
    /// When it starts.
    pub horario_inicio_utc: String,
}

/// Consecutive slots.
#[derive(Clone, Debug)]
pub struct Slots {
    starts: Vec<Timestamp>,
    end: Timestamp,
}

impl Slots {
    /// `count` slots, at least one, the first at `base`; `None` when they would leave the calendar.
    fn starting(base: Timestamp, count: u32) -> Option<Self> {
        let at = |index: u32| {
            let micros = i64::try_from(SLOT.as_micros()).ok()?.checked_mul(i64::from(index))?;
            Timestamp::from_micros(base.as_micros().checked_add(micros)?)
        };
        let starts = (0..count.max(1)).map(at).collect::<Option<Vec<_>>>()?;
        Some(Self { starts, end: at(count.max(1))? })
    }

    /// The first one's start.
    pub fn first(&self) -> Timestamp {
        self.starts[0]
    }

    /// The start of the slot of request `index`: its own slot, or the one slot of all requests.
    pub fn of_request(&self, index: usize) -> Timestamp {
        self.starts[index % self.starts.len()]
    }
}

/// An instant as it goes over the wire. It keeps its fraction: the server has to see it, and to refuse it.
pub fn wire_instant(at: Timestamp) -> String {
    let whole_seconds = at.as_micros() % 1_000_000 == 0;
    if whole_seconds { at.seconds().to_string() } else { at.micros().to_string() }
}

/// The telescope and the URLs that were found by following links from the entry point.
#[derive(Debug)]
pub struct Target {
    /// The telescope's identifier.
    pub telescope: String,
    /// The method of a booking.
    pub book_method: Method,
    /// The URL of a booking.
    pub book: Url,
    /// Whether the scheduler says that it takes no locks.
    pub without_locks: bool,
    /// The URL of the document with the list's template.
    list_base: Url,
    /// The template of the list of bookings.
    list_template: String,
}

impl Target {
    /// Follows the links from `entry`. `telescope` is an identifier; `None` is the first telescope.
    ///
    /// # Errors
    /// When the server does not answer, is no scheduler, or does not know the telescope.
    pub async fn find(browser: &mut Browser, entry: &Url, telescope: Option<&str>) -> anyhow::Result<Self> {
        let document: Entry = browser.get(entry).await?;
        let link = |relation: &str| {
            document.links.get(relation).with_context(|| {
                t!(
                    "%{url} has no link \"%{relation}\"; is --url the entry point of a scheduler that takes bookings?",
                    url = entry,
                    relation = relation
                )
            })
        };
        let list = link("agendamentos")?;
        check_template(list)?;
        let book = link("agendar")?;
        let method = book.method.as_deref().unwrap_or("GET");
        // The default is the first of all.
        let (mut ids, mut next, mut left) = (Vec::new(), Some(link("telescopios")?.clone()), PAGES_MAX);
        while let Some(link) = next.filter(|_| left > 0 && (telescope.is_some() || ids.is_empty())) {
            let page: Page<Telescope> = browser.get(&entry.join(&link.href)?).await?;
            ids.extend(page.items.into_iter().map(|telescope| telescope.id));
            (next, left) = (page.links.get("proxima").cloned(), left - 1);
        }
        let index = choose_telescope(&ids, telescope)?;
        Ok(Self {
            telescope: ids.swap_remove(index),
            book_method: method.parse().with_context(|| {
                t!("the link \"agendar\" has a wrong method, %{method}", method = format!("{method:?}"))
            })?,
            book: entry.join(&book.href)?,
            without_locks: document.modo.as_deref() == Some("sem_trava"),
            list_base: entry.clone(),
            list_template: list.href.clone(),
        })
    }

    /// The bookings that occupy any of `slots`, without the cancelled ones.
    ///
    /// # Errors
    /// When the server does not answer, or its pages never end.
    pub async fn listed(&self, browser: &mut Browser, slots: &Slots) -> anyhow::Result<Vec<Listed>> {
        let mut url = self.list_url(slots, PAGE_SIZE)?;
        let mut listed = Vec::new();
        for _ in 0..PAGES_MAX {
            let page: Page<Listed> = browser.get(&url).await?;
            listed.extend(page.items);
            match page.links.get("proxima") {
                Some(next) => url = url.join(&next.href)?,
                None => return Ok(listed),
            }
        }
        bail!("{}", t!("%{url} lists more than %{n} pages", url = self.list_base, n = PAGES_MAX))
    }

    /// The first booking that occupies any of `slots`, if there is one.
    async fn occupant(&self, browser: &mut Browser, slots: &Slots) -> anyhow::Result<Option<Occupant>> {
        let page: Page<Occupant> = browser.get(&self.list_url(slots, "1")?).await?;
        Ok(page.items.into_iter().next())
    }

    /// A booking in words, with its scientist's name if the server tells it.
    async fn described(&self, browser: &mut Browser, occupant: &Occupant) -> String {
        let Occupant { id, cientista_id, horario_inicio_utc, links } = occupant;
        let name = match links.get("cientista").map(|link| self.list_base.join(&link.href)) {
            Some(Ok(url)) => browser.get(&url).await.ok().map(|Scientist { nome }| nome),
            _ => None,
        };
        let name = name.unwrap_or_else(|| t!("scientist %{id}", id = cientista_id).into_owned());
        t!("booking %{id} of %{name} (%{start})", id = id, name = name, start = horario_inicio_utc).into_owned()
    }

    fn list_url(&self, slots: &Slots, limit: &str) -> anyhow::Result<Url> {
        let mut values = SimpleContext::new();
        values.insert("telescopio", self.telescope.as_str());
        values.insert("status", "AGENDADO");
        values.insert("de", wire_instant(slots.first()));
        values.insert("ate", wire_instant(slots.end));
        values.insert("limite", limit);
        let template = UriTemplateStr::new(&self.list_template)?;
        Ok(self.list_base.join(&template.expand::<UriSpec, _>(&values)?.to_string())?)
    }
}

fn check_template(list: &ReadLink) -> anyhow::Result<()> {
    let href = &list.href;
    let template = UriTemplateStr::new(href)
        .with_context(|| t!("the link \"agendamentos\" is not a URI template: %{link}", link = format!("{href:?}")))?;
    for name in LIST_VARIABLES {
        if !list.templated || !template.variables().any(|variable| variable.as_str() == name) {
            bail!(
                "{}",
                t!(
                    "the link \"agendamentos\" has no parameter \"%{name}\": %{link}",
                    name = name,
                    link = format!("{href:?}")
                )
            );
        }
    }
    Ok(())
}

/// Which of the telescopes is meant: its place in the list. `None` is the first one.
///
/// # Errors
/// When the server has no such telescope, or none at all. The message names those that it has.
pub(crate) fn choose_telescope(ids: &[String], wanted: Option<&str>) -> anyhow::Result<usize> {
    let known = ids.join(", ");
    let Some(wanted) = wanted else {
        return if ids.is_empty() { bail!("{}", t!("the server has no telescope")) } else { Ok(0) };
    };
    if let Some(index) = ids.iter().position(|id| id == wanted) {
        return Ok(index);
    }
    let quoted = format!("{wanted:?}");
    let Some(near) = nearest(wanted, ids.iter().map(String::as_str)) else {
        bail!("{}", t!("unknown telescope %{wanted}; the server has: %{known}", wanted = quoted, known = known))
    };
    let said = t!(
        "unknown telescope %{wanted}; did you mean %{near}? The server has: %{known}",
        wanted = quoted,
        near = near,
        known = known
    );
    bail!("{said}")
}

/// The slots to book: `count` slots from `base` on; without it, from a random place where all of them are free.
///
/// # Errors
/// When no free place was found, when one of the slots from `base` on is booked already, or when the server does not answer.
pub async fn choose_slots(
    browser: &mut Browser,
    target: &Target,
    base: Option<Timestamp>,
    count: u32,
) -> anyhow::Result<Slots> {
    if let Some(base) = base {
        let slots = Slots::starting(base, count).with_context(|| {
            t!(
                "%{n} slots from %{start} on go past the end of the calendar; use an earlier --slot",
                n = count,
                start = base.seconds()
            )
        })?;
        if let Some(occupant) = target.occupant(browser, &slots).await? {
            let booking = target.described(browser, &occupant).await;
            bail!(
                "{}",
                t!(
                    "%{booking} was there before this run, so nothing was sent; leave out --slot to take a free slot, choose another, or start the scheduler with a fresh data folder",
                    booking = booking
                )
            );
        }
        return Ok(slots);
    }
    let now = Clock::system().now();
    for horizon in HORIZONS.into_iter().flat_map(|horizon| [horizon; TRIES_PER_HORIZON]) {
        let base = grid_slot_after(now.saturating_add(MARGIN), getrandom::u64()? % horizon);
        let slots =
            base.and_then(|base| Slots::starting(base, count)).context(t!("this machine's clock is far off"))?;
        if target.occupant(browser, &slots).await?.is_none() {
            return Ok(slots);
        }
    }
    let tries = HORIZONS.len() * TRIES_PER_HORIZON;
    bail!(
        "{}",
        t!(
            "no place with enough free slots (%{n}) was found in %{tries} tries; name one with --slot, or use a smaller -n",
            n = count,
            tries = tries
        )
    )
}

/// The start of the slot that is `ahead` slots after the first one at `at` or later.
fn grid_slot_after(at: Timestamp, ahead: u64) -> Option<Timestamp> {
    let step = u64::try_from(SLOT.as_micros()).ok()?;
    let first = u64::try_from(at.as_micros()).ok()?.div_ceil(step);
    let micros = first.checked_add(ahead)?.checked_mul(step)?;
    Timestamp::from_micros(i64::try_from(micros).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn random_slots_are_on_the_grid() {
        let after = |text: &str, ahead| grid_slot_after(at(text), ahead).unwrap().seconds().to_string();
        assert_eq!(after("2025-12-01T03:00:00Z", 0), "2025-12-01T03:00:00Z");
        assert_eq!(after("2025-12-01T03:00:00.000001Z", 0), "2025-12-01T03:05:00Z");
        assert_eq!(after("2025-12-01T03:04:59Z", 12), "2025-12-01T04:05:00Z");
        assert_eq!(grid_slot_after(Timestamp::MAX, 0), None);
    }

    #[test]
    fn slots_follow_one_another_and_stay_in_the_calendar() {
        let slots = Slots::starting(at("2025-12-01T03:00:00Z"), 3).unwrap();
        assert_eq!(slots.of_request(2), at("2025-12-01T03:10:00Z"));
        assert_eq!(slots.end, at("2025-12-01T03:15:00Z"));
        let one = Slots::starting(at("2025-12-01T03:00:00Z"), 1).unwrap();
        assert_eq!(one.of_request(2), one.first());
        assert!(Slots::starting(at("9998-12-31T23:50:00Z"), 1).is_some());
        assert!(Slots::starting(at("9998-12-31T23:50:00Z"), 2).is_none());
    }

    #[test]
    fn the_list_url_is_the_template_with_its_values() {
        let target = Target {
            telescope: "a b".to_owned(),
            book_method: Method::POST,
            book: Url::parse("http://h/x").unwrap(),
            without_locks: false,
            list_base: Url::parse("http://h:1").unwrap(),
            list_template: "/l{?telescopio,cientista_id,status,de,ate,limite}".to_owned(),
        };
        let slots = Slots::starting(at("2025-12-01T03:00:00Z"), 1).unwrap();
        assert_eq!(
            target.list_url(&slots, "1").unwrap().to_string(),
            "http://h:1/l?telescopio=a%20b&status=AGENDADO&de=2025-12-01T03%3A00%3A00Z&ate=2025-12-01T03%3A05%3A00Z&limite=1"
        );
        let link = |href: &str, templated| ReadLink { href: href.to_owned(), method: None, templated };
        assert!(check_template(&link(&target.list_template, true)).is_ok());
        assert!(check_template(&link(&target.list_template, false)).is_err());
        assert!(check_template(&link("/l{?telescopio,status,de,limite}", true)).is_err());
        assert!(check_template(&link("/l{?", true)).is_err());
    }

    #[test]
    fn the_error_of_an_unknown_telescope_names_the_known_ones() {
        let known = ["A", "B", "Hubble-Acad"].map(str::to_owned);
        assert_eq!(choose_telescope(&known, None).unwrap(), 0);
        assert_eq!(choose_telescope(&known, Some("B")).unwrap(), 1);
        let error = choose_telescope(&known, Some("C")).unwrap_err();
        assert_eq!(error.to_string(), "unknown telescope \"C\"; the server has: A, B, Hubble-Acad");
        for near in ["hubble", "Hubbel-Acad", "HUBBLE-ACAD"] {
            let error = choose_telescope(&known, Some(near)).unwrap_err().to_string();
            assert!(error.contains("; did you mean Hubble-Acad? The server has: A, B, Hubble-Acad"), "{error}");
        }
        assert!(choose_telescope(&[], None).is_err());
    }

    #[test]
    fn a_fraction_of_a_second_is_sent() {
        assert_eq!(wire_instant(at("2025-12-01T03:00:00Z")), "2025-12-01T03:00:00Z");
        assert_eq!(wire_instant(at("2025-12-01T03:00:00.5Z")), "2025-12-01T03:00:00.500000Z");
    }
}
