//! Changing a booking: what becomes otherwise, where the booking goes, and whether it allows that.

use std::time::Duration;

use super::booking::{Booking, NotCancellable, Place, Status};
use super::catalogue::{Catalogue, Telescope};
use super::draft::{Draft, NewBooking};
use super::rejection::Rejection;
use super::slot::{self, MOVE_SLOTS_MAX, SlotRange};
use crate::time::Timestamp;

/// A booking's texts with what becomes otherwise. `None` leaves a text as it is, and `Some(None)` takes it away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::option_option, reason = "a merge patch leaves a value, takes it away, or gives another")]
pub struct Texts {
    /// The target.
    pub target: Option<Option<String>>,
    /// The notes.
    pub notes: Option<Option<String>>,
}

/// A change of a booking as a client asks for it. `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BookingPatch {
    /// The target and the notes.
    pub texts: Texts,
    /// `horario_inicio_utc`.
    pub start: Option<Timestamp>,
    /// `horario_fim_utc`.
    pub end: Option<Timestamp>,
    /// `duracao_min`.
    pub duration_min: Option<i64>,
    /// `telescopio`.
    pub telescope: Option<String>,
}

/// Where a booking goes.
#[derive(Clone, Debug)]
pub enum Destination {
    /// Nowhere: its slots stay.
    Here,
    /// It keeps its start and has only these slots; the rest becomes free.
    Shorter(SlotRange),
    /// It gets this place, which keeps every rule.
    Elsewhere(Box<NewBooking>),
}

/// A change of a booking as it is to be written.
#[derive(Clone, Debug)]
pub struct Alteration {
    /// Its texts.
    pub texts: Texts,
    /// Where it goes.
    pub destination: Destination,
    /// Where it was when the destination was found. If it goes anywhere, this place is locked.
    pub from: Place,
    /// The versions of which one must be the present; `None` is any.
    pub expected: Option<Vec<i64>>,
    /// How much later the slots open that it gives up.
    pub lead: Duration,
}

/// What of a booking may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alterable {
    /// Everything.
    Everything,
    /// Its texts, and its end to an earlier one.
    TextsAndEnd,
}

/// Why a booking may not be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAlterable {
    /// It was cancelled.
    Cancelled,
    /// The observation has ended, on a telescope that is not simulated.
    Ended,
    /// It may not give up its slots any more: the observation has begun.
    Started,
    /// It may give up its slots only until so many minutes before its start.
    TooLate(i64),
}

impl Booking {
    /// What of it may be changed at `now`.
    ///
    /// # Errors
    /// Why nothing.
    pub(crate) fn alterable(&self, telescope: Option<&Telescope>, now: Timestamp) -> Result<Alterable, NotAlterable> {
        let simulated = telescope.is_some_and(|telescope| telescope.simulated);
        if self.status == Status::Cancelled {
            return Err(NotAlterable::Cancelled);
        }
        if !simulated && now >= self.slots.end() {
            return Err(NotAlterable::Ended);
        }
        let movable = self.check_cancellable(telescope, now).is_ok();
        Ok(if movable { Alterable::Everything } else { Alterable::TextsAndEnd })
    }

    /// Whether it may go to `destination` at `now`. To give up a slot is like cancelling it; only a rest that has not begun can be given
    /// up at any time.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check_destination(
        &self,
        destination: &Destination,
        telescope: Option<&Telescope>,
        now: Timestamp,
    ) -> Result<(), NotAlterable> {
        self.alterable(telescope, now)?;
        match destination {
            Destination::Here | Destination::Shorter(_) => Ok(()),
            Destination::Elsewhere(_) => self.check_cancellable(telescope, now).map_err(|not| match not {
                NotCancellable::AlreadyCancelled => NotAlterable::Cancelled,
                NotCancellable::Started => NotAlterable::Started,
                NotCancellable::TooLate(minutes) => NotAlterable::TooLate(minutes),
            }),
        }
    }
}

impl BookingPatch {
    /// Where `booking` goes by this change.
    ///
    /// # Errors
    /// Every rule that the new place breaks.
    pub fn destination(
        &self,
        booking: &Booking,
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Result<Destination, Vec<Rejection>> {
        let has_length = self.duration_min.is_some() || self.end.is_some();
        if self.start.is_none() && self.telescope.is_none() && !has_length {
            return Ok(Destination::Here);
        }
        let telescope = self.telescope.clone().unwrap_or_else(|| booking.telescope.clone());
        let start = self.start.unwrap_or(booking.slots.start());
        let stays = telescope == booking.telescope && start == booking.slots.start();
        let draft = Draft {
            scientist_id: Some(booking.scientist_id),
            proposal_id: booking.proposal_id,
            start: Some(start),
            telescope: Some(telescope),
            // A booking that moves keeps its length.
            duration_min: if has_length { self.duration_min } else { Some(booking.slots.duration_min()) },
            end: self.end,
            // What a record of a refusal says.
            target: self.texts.target.clone().unwrap_or_else(|| booking.target.clone()),
            ..Draft::default()
        };
        if stays {
            let slots = draft.slots()?;
            if slots == booking.slots {
                return Ok(Destination::Here);
            }
            if slots.end() < booking.slots.end() {
                check_end(slots, catalogue.telescope(&booking.telescope), now).map_err(|wrong| vec![wrong])?;
                return Ok(Destination::Shorter(slots));
            }
        }
        let new = draft.check(catalogue, now)?;
        let together = booking.place().slots_with(&new.place());
        if together > MOVE_SLOTS_MAX {
            return Err(vec![Rejection::LongMove(together)]);
        }
        Ok(Destination::Elsewhere(Box::new(new)))
    }
}

/// Whether a booking may end with these slots: what has begun is not given back.
pub(crate) fn check_end(slots: SlotRange, telescope: Option<&Telescope>, now: Timestamp) -> Result<(), Rejection> {
    let simulated = telescope.is_some_and(|telescope| telescope.simulated);
    if slot::is_open(slots.end(), simulated, now) { Ok(()) } else { Err(Rejection::EndPast(slot::next_start(now))) }
}

impl Texts {
    /// Changes the texts of `booking`.
    pub fn apply_to(&self, booking: &mut Booking) {
        let Self { target, notes } = self;
        if let Some(target) = target {
            booking.target.clone_from(target);
        }
        if let Some(notes) = notes {
            booking.notes.clone_from(notes);
        }
    }
}

impl Place {
    /// How many different slots this place and `other` have.
    fn slots_with(&self, other: &Self) -> usize {
        let count = |place: &Self| place.slots.starts().count();
        let shared = if self.telescope == other.telescope { self.slots.shared_with(other.slots) } else { 0 };
        count(self) + count(other) - shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agenda::rules::{BrokenRule, Rules};
    use crate::agenda::{Scientist, SlotRange};

    fn instant(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn at(time: &str) -> Timestamp {
        instant(&format!("2030-01-01T{time}:00Z"))
    }

    fn catalogue(rules: Rules) -> Catalogue {
        let telescope =
            |code: &str, simulated| Telescope { rules, ..Telescope::new(code.into(), code.into(), simulated) };
        let curie = Scientist {
            id: 7,
            name: "Marie Curie".into(),
            institution: "Paris".into(),
            country: "FR".into(),
            active: true,
        };
        Catalogue::new(vec![curie], vec![telescope("Hubble-Acad", true), telescope("Webb-Acad", false)])
    }

    /// Half an hour of the telescope that is not simulated.
    fn booking() -> Booking {
        Booking {
            id: 1,
            telescope: "Webb-Acad".into(),
            scientist_id: 7,
            proposal_id: None,
            slots: SlotRange::new(at("03:00"), 30).unwrap(),
            status: Status::Active,
            target: Some("M31".into()),
            notes: None,
            clicked_at: None,
            stamped_at: None,
            is_contested: false,
            created_at: at("00:00"),
            version: 1,
            changed_at: None,
            cancelled_at: None,
            cancel_reason: None,
            receipt: None,
            opens_at: None,
        }
    }

    fn goes(patch: &BookingPatch, now: &str) -> Result<String, Vec<&'static str>> {
        let found = patch.destination(&booking(), &catalogue(Rules::default()), at(now));
        let found = found.map_err(|broken| broken.iter().map(Rejection::field).collect::<Vec<_>>())?;
        Ok(match found {
            Destination::Here => "here".to_owned(),
            Destination::Shorter(slots) => format!("until {}", slots.end().seconds()),
            Destination::Elsewhere(new) => {
                format!("{} {} {}", new.telescope.code, new.slots.start().seconds(), new.slots.duration_min())
            }
        })
    }

    #[test]
    fn a_change_leaves_a_booking_shortens_it_or_moves_it() {
        let until = |end: &str| BookingPatch { end: Some(at(end)), ..BookingPatch::default() };
        assert_eq!(goes(&BookingPatch::default(), "00:00").unwrap(), "here");
        assert_eq!(goes(&until("03:30"), "03:10").unwrap(), "here");
        assert_eq!(goes(&until("03:10"), "03:10").unwrap(), "until 2030-01-01T03:10:00Z");
        assert_eq!(goes(&until("03:35"), "00:00").unwrap(), "Webb-Acad 2030-01-01T03:00:00Z 35");
        let ten = BookingPatch { duration_min: Some(10), ..BookingPatch::default() };
        assert_eq!(goes(&ten, "00:00").unwrap(), "until 2030-01-01T03:10:00Z");
        let later = BookingPatch { start: Some(at("04:00")), ..BookingPatch::default() };
        assert_eq!(goes(&later, "00:00").unwrap(), "Webb-Acad 2030-01-01T04:00:00Z 30");
        let hubble = BookingPatch { telescope: Some("Hubble-Acad".into()), ..BookingPatch::default() };
        assert_eq!(goes(&hubble, "00:00").unwrap(), "Hubble-Acad 2030-01-01T03:00:00Z 30");
        // The end alone keeps the start; with a new start it has to be the new end.
        let narrower = BookingPatch { start: Some(at("03:10")), ..until("03:20") };
        assert_eq!(goes(&narrower, "00:00").unwrap(), "Webb-Acad 2030-01-01T03:10:00Z 10");
    }

    #[test]
    fn what_is_wrong_with_the_new_place_is_named_by_its_fields() {
        let until = |end: &str| BookingPatch { end: Some(at(end)), ..BookingPatch::default() };
        // What has begun is not given back.
        assert_eq!(goes(&until("03:05"), "03:06"), Err(vec!["horario_fim_utc"]));
        for end in ["03:00", "02:55", "03:07"] {
            assert_eq!(goes(&until(end), "00:00"), Err(vec!["horario_fim_utc"]), "{end}");
        }
        let past = BookingPatch { start: Some(at("01:00")), ..BookingPatch::default() };
        assert_eq!(goes(&past, "02:00"), Err(vec!["horario_inicio_utc"]));
        let nowhere =
            BookingPatch { telescope: Some("Nenhum".into()), start: Some(at("04:01")), ..BookingPatch::default() };
        assert_eq!(goes(&nowhere, "00:00"), Err(vec!["telescopio", "horario_inicio_utc"]));
        // A lock has a day of slots: 6 here, and 283 there.
        let far = |minutes| BookingPatch {
            start: Some(instant("2030-03-01T00:00:00Z")),
            duration_min: Some(minutes),
            ..BookingPatch::default()
        };
        assert_eq!(goes(&far(1415), "00:00"), Err(vec!["duracao_min"]));
        assert!(goes(&far(1410), "00:00").is_ok());
        let short = Rules { duration_max_min: Some(30), ..Rules::default() };
        let broken = until("03:35").destination(&booking(), &catalogue(short), at("00:00")).unwrap_err();
        assert_eq!(broken, [Rejection::Rule(BrokenRule::Duration(30))]);
    }

    #[test]
    fn slots_are_given_up_in_time_and_a_rest_that_has_not_begun_at_any_time() {
        let (booking, rules) = (booking(), Rules { cancel_notice_min: Some(60), ..Rules::default() });
        let catalogue = catalogue(rules);
        let (hubble, webb) = (catalogue.telescope("Hubble-Acad"), catalogue.telescope("Webb-Acad"));
        let new = Draft { scientist_id: Some(7), start: Some(at("05:00")), ..Draft::default() };
        let elsewhere = Destination::Elsewhere(Box::new(new.check(&catalogue, at("00:00")).unwrap()));
        let shorter = Destination::Shorter(SlotRange::new(at("03:00"), 15).unwrap());
        for (now, alterable, moved) in [
            ("01:59", Ok(Alterable::Everything), Ok(())),
            ("02:01", Ok(Alterable::TextsAndEnd), Err(NotAlterable::TooLate(60))),
            ("03:10", Ok(Alterable::TextsAndEnd), Err(NotAlterable::Started)),
            ("03:30", Err(NotAlterable::Ended), Err(NotAlterable::Ended)),
        ] {
            assert_eq!(booking.alterable(webb, at(now)), alterable, "{now}");
            assert_eq!(booking.check_destination(&elsewhere, webb, at(now)), moved, "{now}");
            assert_eq!(booking.check_destination(&shorter, webb, at(now)), alterable.map(drop), "{now}");
        }
        assert_eq!(booking.alterable(hubble, at("05:00")), Ok(Alterable::TextsAndEnd));
        let cancelled = Booking { status: Status::Cancelled, ..booking };
        assert_eq!(cancelled.alterable(hubble, at("00:00")), Err(NotAlterable::Cancelled));
    }
}
