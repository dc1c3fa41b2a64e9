//! How a telescope's contests are decided.

/// Who gets a slot for which several ask at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Who clicked first; of clicks that cannot be told apart one is drawn.
    #[default]
    Order,
    /// One who is drawn of all who clicked: for moments at which many slots are opened, and many clicks mean the same instant.
    Draw,
    /// Whose request arrived first. There is no contest.
    Arrival,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Order, Self::Draw, Self::Arrival];

    /// Its name on the wire, in records and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Order => "ordem",
            Self::Draw => "sorteio",
            Self::Arrival => "chegada",
        }
    }

    /// The policy of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }

    /// Stamps that are later than the smallest one by no more than this tie with it, in microseconds.
    pub const fn tie_us(self) -> i64 {
        match self {
            Self::Order => 5_000,
            // Longer than any window and any credit: all who are in the contest.
            Self::Draw => 1_000_000,
            Self::Arrival => 0,
        }
    }
}
