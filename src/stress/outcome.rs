//! What became of a request, and why it was refused: in English for reports that machines read, and in the language of the command
//! line for people.

use std::borrow::Cow;
use std::time::Duration;

use rust_i18n::t;

use crate::coordinator::advice;
use crate::time::millis;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It made a booking.
    Booked,
    /// The code of the answer's problem, or the name of its status.
    Answered(String),
    /// No answer came in so many seconds.
    NoAnswer(u64),
    /// It was not sent, because the one before it on its connection got no answer.
    NotSent,
    /// The connection failed.
    Failed {
        /// The failure in English.
        text: String,
        /// The failure in the language of the command line.
        said: String,
    },
}

impl Outcome {
    /// For machines.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Booked => "booked".into(),
            Self::Answered(code) => code.into(),
            Self::NoAnswer(seconds) => format!("error: no answer within {seconds} s").into(),
            Self::NotSent => "error: not sent: the one before it got no answer".into(),
            Self::Failed { text, .. } => format!("error: {text}").into(),
        }
    }

    /// For people.
    pub fn words(&self) -> Cow<'_, str> {
        match self {
            Self::Booked => t!("booked"),
            Self::Answered(code) => code.into(),
            Self::NoAnswer(seconds) => t!("error: no answer within %{seconds} s", seconds = seconds),
            Self::NotSent => t!("error: not sent: the one before it got no answer"),
            Self::Failed { said, .. } => t!("error: %{failure}", failure = said),
        }
    }
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The coordinator still waits for so long after a restart.
    Grace(Duration),
    /// The scheduler does not reach its coordinator, and says so in these words.
    NoCoordinator(String),
    /// The server takes no more requests from one client in this time, and says so in these words.
    TooFast(String),
    /// The server's own words.
    Said(String),
}

impl Reason {
    /// For machines.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Grace(left) => advice::in_english(*left).into(),
            Self::NoCoordinator(words) | Self::TooFast(words) | Self::Said(words) => words.into(),
        }
    }

    /// For people.
    pub fn words(&self) -> Cow<'_, str> {
        match self {
            Self::Grace(left) => advice::for_people(*left).into(),
            Self::NoCoordinator(words) => t!(
                "the scheduler says: \"%{words}\"; see the scheduler's log; its option --coordinator names the coordinator's address",
                words = words
            ),
            Self::TooFast(words) => t!(
                "the scheduler says: \"%{words}\"; a load test needs a scheduler with a higher --rate, or with --rate 0",
                words = words
            ),
            Self::Said(words) => t!("the scheduler says: \"%{words}\"", words = words),
        }
    }

    /// How long the grace lasts, in milliseconds.
    pub fn grace_left_ms(&self) -> Option<u64> {
        match self {
            Self::Grace(left) => Some(millis(*left)),
            Self::NoCoordinator(_) | Self::TooFast(_) | Self::Said(_) => None,
        }
    }
}
