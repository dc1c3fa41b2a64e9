//! A day of a telescope as a picture of text: a row is an hour, a column five minutes, as on the page.
//!
//! Each sign says by its form what it means. Colours only repeat it.

use std::fmt::Write as _;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use rust_i18n::t;
use unicode_width::UnicodeWidthStr;

use crate::agenda::SLOT_MIN;
use crate::language::counted;
use crate::text::wrapped;
use crate::time::{Timestamp, minutes_in_micros};

/// The columns of the hour, before the first slot.
const LABEL_COLUMNS: usize = 5;
/// The slots of a row: an hour's.
const ROW_SLOTS: usize = 12;
/// The columns of a slot: twelve of the fewest and the hour fit into 80.
const SLOT_COLUMNS_MIN: usize = 6;
/// With more, names are far apart from their hours.
const SLOT_COLUMNS_MAX: usize = 12;

const HOUR_US: i64 = minutes_in_micros(60);
const SLOT_US: i64 = minutes_in_micros(SLOT_MIN);

/// What a slot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It can be booked.
    Free,
    /// Nobody booked it, and it is too late.
    Past,
    /// It cannot be booked, for another reason.
    Closed,
    /// It is booked.
    Held(Held),
}

/// A slot's part of a booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The booking.
    pub booking: i64,
    /// How many bookings have the slot.
    pub times: u64,
    /// The name of its scientist, or the number.
    pub name: String,
    /// Whether it is the person's own.
    pub own: bool,
    /// Whether the booking starts with this slot.
    pub starts: bool,
    /// Whether the booking ends with this slot.
    pub ends: bool,
}

/// A day.
#[derive(Clone, Debug)]
pub struct Day {
    /// The telescope's identifier, safe to print.
    pub telescope: String,
    /// Whether it takes any date.
    pub simulated: bool,
    /// The official time.
    pub now: Timestamp,
    /// Its slots, in order: when each starts, and what it is.
    pub slots: Vec<(Timestamp, Kind)>,
    /// Its bookings, and how many of them are the person's own; `None` where it is not known who asks.
    pub bookings: (usize, Option<usize>),
}

/// How the picture looks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Whether it has colours.
    pub colour: bool,
    /// The width of the terminal, or of the paper.
    pub width: u16,
}

/// A colour of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paint {
    Own,
    Other,
    Sold,
    Faint,
}

/// The picture with its heading, its legend and its counts.
pub fn picture(day: &Day, look: Look) -> String {
    let columns =
        (usize::from(look.width).saturating_sub(LABEL_COLUMNS) / ROW_SLOTS).clamp(SLOT_COLUMNS_MIN, SLOT_COLUMNS_MAX);
    let mut text = heading(day) + "\n";
    let mut minutes = " ".repeat(LABEL_COLUMNS);
    for slot in 0..ROW_SLOTS {
        let _ = write!(minutes, "{:<columns$}", format!("  :{:02}", slot * 60 / ROW_SLOTS));
    }
    text.push_str(&painted(minutes.trim_end(), Some(Paint::Faint), look.colour));
    text.push('\n');
    for row in day.slots.chunk_by(|(one, _), (other, _)| hour(*one) == hour(*other)) {
        text.push_str(&self::row(row, day.now, columns, look.colour));
        text.push('\n');
    }
    let width = look.width.into();
    text.push_str(&wrapped(&legend(day), width, "", ""));
    text.push('\n');
    text.push_str(&wrapped(&counts(day), width, "", ""));
    text.push('\n');
    text
}

fn hour(at: Timestamp) -> i64 {
    at.as_micros() / HOUR_US
}

/// One hour.
fn row(slots: &[(Timestamp, Kind)], now: Timestamp, columns: usize, colour: bool) -> String {
    let first = slots[0].0;
    let mark = if hour(first) == hour(now) { '>' } else { ' ' };
    let mut text = format!("{mark}{:02}  ", first.as_micros() / HOUR_US % 24);
    // A period may begin within an hour.
    let begun = usize::try_from(first.as_micros() % HOUR_US / SLOT_US).unwrap_or_default();
    text.push_str(&" ".repeat(begun * columns));
    for run in slots.chunk_by(|(_, one), (_, other)| is_one_run(one, other)) {
        let columns = columns * run.len();
        let (shown, paint) = match &run[0].1 {
            Kind::Free => ("  ·".to_owned(), Some(Paint::Faint)),
            Kind::Past => (String::new(), None),
            Kind::Closed => ("  xx".to_owned(), Some(Paint::Faint)),
            Kind::Held(held) => held_run(held, run, columns),
        };
        let fill = " ".repeat(columns.saturating_sub(shown.width()));
        text.push_str(&painted(&shown, paint, colour));
        text.push_str(&fill);
    }
    text.trim_end().to_owned()
}

/// Whether two neighbours are drawn as one: slots of one booking.
fn is_one_run(one: &Kind, other: &Kind) -> bool {
    match (one, other) {
        (Kind::Held(one), Kind::Held(other)) => one.booking == other.booking && one.times == other.times,
        _ => false,
    }
}

/// The part of a booking in one row, so many columns wide.
fn held_run(held: &Held, run: &[(Timestamp, Kind)], columns: usize) -> (String, Option<Paint>) {
    let (fill, paint) = match held {
        Held { times: 2.., .. } => ('!', Paint::Sold),
        Held { own: true, .. } => ('#', Paint::Own),
        Held { .. } => ('-', Paint::Other),
    };
    let ends = matches!(run.last(), Some((_, Kind::Held(last))) if last.ends);
    let left = if held.starts { '[' } else { fill };
    let right = if ends { ']' } else { fill };
    let inner = columns.saturating_sub(2);
    let sold = (held.times > 1).then(|| format!("×{}", held.times));
    let label = sold.or_else(|| fitting(&held.name, inner)).unwrap_or_default();
    let filled = fill.to_string().repeat(inner.saturating_sub(label.width()));
    (format!("{left}{label}{filled}{right}"), Some(paint))
}

/// The name, or the last part of it, or its initials: the first of them that is not wider.
fn fitting(name: &str, columns: usize) -> Option<String> {
    let last = name.split_whitespace().last().unwrap_or_default();
    let initials: String = match (name.chars().next(), last.chars().next()) {
        (Some(first), Some(last)) if name.contains(char::is_whitespace) => [first, last].iter().collect(),
        (first, _) => first.into_iter().collect(),
    };
    [name, last, &initials].into_iter().find(|label| label.width() <= columns).map(str::to_owned)
}

fn painted(text: &str, paint: Option<Paint>, colour: bool) -> String {
    let begin = match paint.filter(|_| colour && !text.is_empty()) {
        None => return text.to_owned(),
        Some(Paint::Own) => "\x1b[1;33m",
        Some(Paint::Other) => "\x1b[36m",
        Some(Paint::Sold) => "\x1b[1;31m",
        Some(Paint::Faint) => "\x1b[2m",
    };
    format!("{begin}{text}\x1b[0m")
}

fn heading(day: &Day) -> String {
    let telescope = if day.simulated {
        t!("%{telescope} (simulated)", telescope = day.telescope)
    } else {
        day.telescope.as_str().into()
    };
    let Some((first, _)) = day.slots.first() else { return telescope.into_owned() };
    let date = first.seconds().to_string();
    let (date, _) = date.split_once('T').unwrap_or((&date, ""));
    let heading =
        t!("%{telescope}: %{weekday} %{date}, UTC", telescope = telescope, weekday = weekday(*first), date = date);
    if day.slots.iter().any(|(at, _)| hour(*at) == hour(day.now)) {
        let now = day.now.seconds().to_string();
        let now = now.get(11..16).unwrap_or_default();
        return t!("%{heading}; now it is %{time}", heading = heading, time = now).into_owned();
    }
    heading.into_owned()
}

fn weekday(at: Timestamp) -> String {
    // Every `Timestamp` is in the range of jiff's type.
    let Ok(at) = jiff::Timestamp::from_microsecond(at.as_micros()) else { return String::new() };
    let name = match at.to_zoned(TimeZone::UTC).weekday() {
        Weekday::Monday => t!("Monday"),
        Weekday::Tuesday => t!("Tuesday"),
        Weekday::Wednesday => t!("Wednesday"),
        Weekday::Thursday => t!("Thursday"),
        Weekday::Friday => t!("Friday"),
        Weekday::Saturday => t!("Saturday"),
        Weekday::Sunday => t!("Sunday"),
    };
    name.into_owned()
}

/// What the signs mean that the picture has.
fn legend(day: &Day) -> String {
    let has = |is: &dyn Fn(&Kind) -> bool| day.slots.iter().any(|(_, kind)| is(kind));
    let held = |own: bool| has(&|kind| matches!(kind, Kind::Held(held) if held.times < 2 && held.own == own));
    let mut signs = Vec::new();
    if has(&|kind| *kind == Kind::Free) {
        signs.push(t!("· free"));
    }
    if held(true) {
        signs.push(t!("[##] yours"));
    }
    if held(false) {
        let whose = if day.bookings.1.is_some() { t!("[--] somebody else's") } else { t!("[--] booked") };
        signs.push(whose);
    }
    if has(&|kind| matches!(kind, Kind::Held(held) if held.times > 1)) {
        signs.push(t!("[×2!!] booked several times"));
    }
    if has(&|kind| *kind == Kind::Closed) {
        signs.push(t!("xx closed"));
    }
    if has(&|kind| *kind == Kind::Past) {
        signs.push(t!("nothing: past"));
    }
    if day.slots.iter().any(|(at, _)| hour(*at) == hour(day.now)) {
        signs.push(t!("> the present hour"));
    }
    signs.join("   ")
}

fn counts(day: &Day) -> String {
    let free = day.slots.iter().filter(|(_, kind)| *kind == Kind::Free).count();
    let (all, own) = day.bookings;
    let mut counts = vec![counted(all, t!("1 booking"), t!("%{n} bookings", n = all))];
    if let Some(own) = own.filter(|_| all > 0) {
        counts.push(t!("%{n} of them yours", n = own));
    }
    counts.push(counted(free, t!("1 free slot"), t!("%{n} free slots", n = free)));
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn held(booking: i64, name: &str, own: bool) -> Held {
        Held { booking, times: 1, name: name.to_owned(), own, starts: false, ends: false }
    }

    /// A day from 02:00 to 05:00, with bookings from one slot up to another.
    fn day(bookings: &[(usize, usize, Held)]) -> Day {
        let first = at("2025-12-01T02:00:00Z").as_micros();
        let mut slots: Vec<_> =
            (0..36).map(|slot| (Timestamp::from_micros(first + slot * SLOT_US).unwrap(), Kind::Free)).collect();
        for (from, until, held) in bookings {
            for (slot, (_, kind)) in slots.iter_mut().enumerate().take(*until).skip(*from) {
                *kind = Kind::Held(Held { starts: slot == *from, ends: slot + 1 == *until, ..held.clone() });
            }
        }
        let own = bookings.iter().filter(|(_, _, held)| held.own).count();
        let bookings = (bookings.len(), Some(own));
        Day { telescope: "Hubble-Acad".to_owned(), simulated: true, now: at("2025-12-01T04:10:00Z"), slots, bookings }
    }

    fn drawn(day: &Day, width: u16) -> String {
        picture(day, Look { colour: false, width })
    }

    #[test]
    fn each_kind_of_slot_has_a_sign_of_its_own() {
        let mut day = day(&[
            (12, 15, held(1, "Marie Curie", true)),
            (15, 16, held(2, "Isaac Newton", false)),
            (16, 26, held(3, "Isaac Newton", false)),
            (30, 31, Held { times: 12, ..held(4, "Isaac Newton", false) }),
        ]);
        day.slots[0].1 = Kind::Past;
        day.slots[1].1 = Kind::Closed;
        assert_eq!(
            drawn(&day, 80),
            "\
Hubble-Acad (simulated): Monday 2025-12-01, UTC; now it is 04:10
       :00   :05   :10   :15   :20   :25   :30   :35   :40   :45   :50   :55
 02          xx    ·     ·     ·     ·     ·     ·     ·     ·     ·     ·
 03  [Marie Curie#####][IN--][Isaac Newton-----------------------------------
>04  -Newton----]  ·     ·     ·     ·   [×12!]  ·     ·     ·     ·     ·
· free   [##] yours   [--] somebody else's   [×2!!] booked several times   xx
closed   nothing: past   > the present hour
4 bookings, 1 of them yours, 19 free slots
"
        );
    }

    #[test]
    fn a_wide_terminal_has_wide_slots_and_no_line_is_wider_than_it() {
        let name = "望遠鏡 de Almeida 🔭 e mais um nome que é longo demais para qualquer lugar";
        let day = day(&[(0, 1, held(1, name, true)), (1, 7, held(2, name, false)), (11, 13, held(3, "X", false))]);
        for width in [80, 100, 120, 160, 300] {
            let drawn = drawn(&day, width);
            assert!(drawn.lines().all(|line| line.width() <= usize::from(width)), "{width}\n{drawn}");
        }
        assert!(drawn(&day, 160).contains("  :05       "), "{}", drawn(&day, 160));
    }

    #[test]
    fn colours_repeat_what_the_signs_say() {
        let day = day(&[(0, 1, held(1, "Ana", true)), (1, 2, held(2, "Ana", false))]);
        let coloured = picture(&day, Look { colour: true, width: 80 });
        for part in ["\x1b[1;33m[Ana#]\x1b[0m", "\x1b[36m[Ana-]\x1b[0m", "\x1b[2m  ·\x1b[0m"] {
            assert!(coloured.contains(part), "{coloured:?}");
        }
        let mut plain = coloured;
        for code in ["\x1b[1;33m", "\x1b[36m", "\x1b[2m", "\x1b[0m"] {
            plain = plain.replace(code, "");
        }
        let without = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        assert_eq!(without(&plain), without(&drawn(&day, 80)));
    }

    #[test]
    fn names_are_shortened_by_words() {
        for (columns, label) in [(11, Some("Marie Curie")), (10, Some("Curie")), (4, Some("MC")), (1, None)] {
            assert_eq!(fitting("Marie Curie", columns).as_deref(), label, "{columns}");
        }
        assert_eq!(fitting("7", 4).as_deref(), Some("7"));
        assert_eq!(fitting("Aristóteles", 4).as_deref(), Some("A"));
        assert_eq!(fitting("", 4).as_deref(), Some(""));
    }
}
