//! Who is in a contest: what a request brings to it, and what the winner is told of all.

use std::sync::Arc;
use std::time::Duration;

/// What a request brings to a contest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contest {
    /// The instant of its click, in microseconds since 1970.
    pub stamp_us: i64,
    /// How long the window is open if this request opens it.
    pub window: Duration,
    /// What the winner is told of this request: its client's own words.
    pub entry: Option<Arc<str>>,
    /// How its ties are decided.
    pub tie: Tie,
}

/// How a tie of a contest is decided, by the request with the smallest stamp.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tie {
    /// Stamps that are later than the smallest one by no more than this tie with it, in microseconds.
    pub within_us: i64,
    /// What is drawn with. Without it the smallest stamp wins.
    pub seed: Option<Arc<str>>,
    /// Of several requests with the same name here, only the first takes part in a draw.
    pub group: Option<Arc<str>>,
}

/// A request in a contest that is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contender {
    /// The instant of its click, in microseconds since 1970.
    pub stamp_us: i64,
    /// What its client says of it.
    pub entry: Option<Arc<str>>,
    /// Whether it took part in the draw.
    pub is_drawn: bool,
}

/// All requests in a contest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contenders {
    /// The winner, and then the others in the order of their stamps.
    pub entries: Arc<[Contender]>,
    /// How the winner was drawn, if there was a tie.
    pub draw: Option<Draw>,
}

/// How a winner was drawn: by the smallest lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The first resource of the request with the smallest stamp.
    pub resource: Arc<str>,
    /// The seed of that request.
    pub seed: Arc<str>,
}
