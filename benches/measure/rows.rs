//! The rows of the benches that measure each kind of request: what is asked for, of services that are started how.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::http::request::Builder;
use sctec::time::Timestamp;

use super::{Outcome, ruled};
use crate::common::{Services, run};

const SCIENTISTS: u64 = 200;
/// The first slot that is booked where there are no rules: in January of 2027.
const FIRST_SLOT: u64 = 6_000_000;
const SLOT_US: i64 = 300_000_000;

/// One row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// Bookings, each of a slot of its own.
    Booking,
    /// The same, of a client with a token, and a rate that it does not use up.
    BookingWithToken,
    /// Bookings at a telescope with all rules, each charged to a proposal.
    BookingWithRules,
    /// Bookings of a slot that has just been booked: the coordinator refuses them.
    Refusal,
    /// Locks, and their release: each is one request.
    Lock,
    /// `GET /time`.
    Time,
    /// `GET /cientistas/1`: a small answer, of a client that has a rate.
    Reading,
    /// The same, of a client with a token.
    ReadingWithToken,
}

/// What makes the requests of a row.
pub struct Asking {
    row: Row,
    /// The header that each request has, if any.
    bearer: Option<String>,
    /// The number of the next request.
    next: AtomicU64,
}

impl Row {
    pub const ALL: [Self; 8] = [
        Self::Booking,
        Self::BookingWithToken,
        Self::BookingWithRules,
        Self::Refusal,
        Self::Lock,
        Self::Time,
        Self::Reading,
        Self::ReadingWithToken,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Booking => "booking",
            Self::BookingWithToken => "booking_with_token",
            Self::BookingWithRules => "booking_with_rules",
            Self::Refusal => "refusal",
            Self::Lock => "lock",
            Self::Time => "time",
            Self::Reading => "reading",
            Self::ReadingWithToken => "reading_with_token",
        }
    }

    /// How the scheduler is started.
    pub const fn scheduler_args(self) -> &'static [&'static str] {
        match self {
            Self::BookingWithToken | Self::ReadingWithToken => &["--access", "token", "--rate", "1000000"],
            Self::Reading => &["--rate", "1000000"],
            // Longer than the row takes.
            Self::Refusal => &["--lock-retention-ms", "60000"],
            _ => &[],
        }
    }

    /// Whether the scheduler and the coordinator have to do with it.
    pub const fn concerns(self) -> [bool; 2] {
        match self {
            Self::Lock => [false, true],
            Self::Time | Self::Reading | Self::ReadingWithToken => [true, false],
            _ => [true, true],
        }
    }

    /// The status of each answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::Booking | Self::BookingWithToken | Self::BookingWithRules => 201,
            Self::Refusal => 409,
            Self::Lock | Self::Time | Self::Reading | Self::ReadingWithToken => 200,
        }
    }

    /// Makes ready what the requests need.
    pub fn begin(self, services: &Services) -> Outcome<Asking> {
        let mut bearer = None;
        match self {
            Self::BookingWithToken | Self::ReadingWithToken => {
                let dir = services.data_dir().to_str().ok_or("a folder's name")?;
                let token =
                    run(&["token", "create", "ana", "--role", "cientista", "--scientist", "1", "--data-dir", dir]);
                bearer = Some(format!("Bearer {}", String::from_utf8(token.stdout)?.trim()));
            }
            Self::BookingWithRules => {
                ruled::add_scientists(services, SCIENTISTS);
                ruled::set_all_rules(services)?;
            }
            Self::Refusal => {
                let (status, answer) = services.book(1, &slot(0)?);
                if status != 201 {
                    return Err(answer.to_string().into());
                }
            }
            Self::Booking | Self::Lock | Self::Time | Self::Reading => {}
        }
        Ok(Asking { row: self, bearer, next: AtomicU64::new(0) })
    }
}

impl Asking {
    /// The next request over a connection: the first, or the `nth`.
    pub fn request(&self, connection: u64, nth: u64) -> Outcome<Request<Full<Bytes>>> {
        let next = || self.next.fetch_add(1, Ordering::Relaxed);
        let (path, body) = match self.row {
            Row::Time => return Ok(Request::get("/time").body(Full::default())?),
            Row::Reading | Row::ReadingWithToken => return self.sent(Request::get("/cientistas/1"), String::new()),
            Row::BookingWithRules => return ruled::booking(next(), SCIENTISTS, true),
            Row::Lock => {
                let path = if nth.is_multiple_of(2) { "/lock" } else { "/unlock" };
                (path, format!(r#"{{"recurso": "bancada-{connection}"}}"#))
            }
            Row::Booking | Row::BookingWithToken => ("/agendamentos", booking(next())?),
            Row::Refusal => ("/agendamentos", booking(0)?),
        };
        self.sent(Request::post(path).header("content-type", "application/json"), body)
    }

    /// With the token, if the row has one.
    fn sent(&self, mut request: Builder, body: String) -> Outcome<Request<Full<Bytes>>> {
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer);
        }
        Ok(request.body(Full::new(body.into()))?)
    }
}

fn booking(nth: u64) -> Outcome<String> {
    Ok(format!(r#"{{"cientista_id": 1, "horario_inicio_utc": "{}"}}"#, slot(nth)?))
}

fn slot(nth: u64) -> Outcome<String> {
    let start = Timestamp::from_micros((FIRST_SLOT + nth).cast_signed() * SLOT_US);
    Ok(start.ok_or("the slots of all years are used up")?.seconds().to_string())
}
