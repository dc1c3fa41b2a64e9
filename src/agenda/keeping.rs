//! The answer to a request that makes something, kept in the same transaction, so that a repetition of the request gets it again.
//!
//! Only what was made is kept. A refusal has changed nothing, so a repetition of it is decided anew.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::booking::Booking;
use super::catalogue::{Scientist, Telescope};
use super::maintenance::Maintenance;
use super::proposal::Proposal;
use super::waiting::Wait;
use crate::access::Author;
use crate::time::Timestamp;

/// How long an answer is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How many answers of one author are kept; the oldest one gives way.
const KEPT_MAX: u32 = 10_000;
/// The same where nobody is asked who they are: then all clients are one author.
const KEPT_MAX_OF_ALL: u32 = 100_000;

/// How many answers of an author are kept.
pub fn kept_max(author: &Author) -> u32 {
    if *author == Author::ANONYMOUS { KEPT_MAX_OF_ALL } else { KEPT_MAX }
}

/// SHA-256 of what has to be recognised and need not be known.
pub type Digest = [u8; 32];

/// What a request has made.
#[derive(Clone, Copy, Debug)]
pub enum Made<'a> {
    /// A booking.
    Booking(&'a Booking),
    /// A telescope.
    Telescope(&'a Telescope),
    /// A scientist.
    Scientist(&'a Scientist),
    /// A proposal.
    Proposal(&'a Proposal),
    /// An entry of a waiting list.
    Wait {
        /// The entry.
        wait: &'a Wait,
        /// Its place; 1 is the first.
        place: u64,
    },
    /// The maintenance of a telescope.
    Maintenance {
        /// The telescope's code.
        telescope: &'a str,
        /// The maintenance.
        maintenance: &'a Maintenance,
        /// The bookings that were cancelled for it.
        cancelled: &'a [i64],
    },
}

/// An answer, as far as a repetition has to be the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The status.
    pub status: u16,
    /// The header `Location`.
    pub location: Option<String>,
    /// The header `ETag`.
    pub etag: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer that is kept, and for which request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Of who asked, and of the key.
    pub key: Digest,
    /// Who asked.
    pub author: String,
    /// How many answers of the author are kept.
    pub most: u32,
    /// Of the request: another one with the same key does not get the answer.
    pub request: Digest,
    /// The request's identifier.
    pub request_id: String,
    /// The answer.
    pub answer: KeptAnswer,
}

/// Makes the answer to a request of what it has made at an instant. It runs on the thread that writes.
pub type Render = dyn Fn(Made<'_>, Timestamp) -> KeptAnswer + Send + Sync;

/// A request whose answer is kept if it makes something. All parts of carrying it out share one of these; while any of them is left, its
/// key is held.
pub struct Keeping {
    author: Author,
    key: Digest,
    request: Digest,
    render: Box<Render>,
    /// The answer of the last transaction that was tried: one that is rolled back is tried again.
    ///
    /// A std lock around a value: it is held to replace or to clone it.
    last: Mutex<Option<KeptAnswer>>,
    /// Keeps other requests with the key away.
    _held: Box<dyn Send + Sync>,
}

impl Keeping {
    /// For a request of `author`, whose key and content have these digests. `held` keeps others with the key away.
    pub fn new(
        author: Author,
        (key, request): (Digest, Digest),
        held: Box<dyn Send + Sync>,
        render: Box<Render>,
    ) -> Self {
        Self { author, key, request, render, last: Mutex::new(None), _held: held }
    }

    /// The answer to what was made, to be written with it.
    pub fn keep(&self, made: Made<'_>, request_id: &str, now: Timestamp) -> Kept {
        let answer = (self.render)(made, now);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer.clone());
        Kept {
            key: self.key,
            author: self.author.as_str().to_owned(),
            most: kept_max(&self.author),
            request: self.request,
            request_id: request_id.to_owned(),
            answer,
        }
    }

    /// The answer that was written, if the request has made something.
    pub fn answer(&self) -> Option<KeptAnswer> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The digest of the key, and that of the request.
    pub fn digests(&self) -> (Digest, Digest) {
        (self.key, self.request)
    }
}

impl fmt::Debug for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeping").field("author", &self.author).finish_non_exhaustive()
    }
}
