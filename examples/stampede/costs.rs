//! What an answer costs: the figures that were measured, those that are assumed, and what follows from both.

use clap::Args;

/// What one cell answers in a second, what its machines cost, and how the people who wait are treated. Each default says where it comes from.
#[derive(Args, Clone, Debug)]
pub struct Costs {
    /// Bookings a second of one cell: `cargo bench --bench bookings`, two cores that the measuring client uses too (README, "How fast")
    #[arg(long, default_value_t = 16_338.0)]
    pub bookings_per_s: f64,
    /// Refusals a second of slots that are taken, by the same bench
    #[arg(long, default_value_t = 31_182.0)]
    pub refusals_per_s: f64,
    /// Answers a second without any work (`GET /saude`), by the same bench: what a front or a waiting room on two cores answers
    #[arg(long, default_value_t = 93_014.0)]
    pub answers_per_s: f64,
    /// Days of an agenda that one cell makes in a second, of 288 slots each (docs/ESCALA.md says how it was measured)
    #[arg(long, default_value_t = 1_400.0)]
    pub agendas_per_s: f64,
    /// Events a second that one scheduler brings to its listeners: `cargo bench --bench streams`, 10,000 of them within 99 ms
    #[arg(long, default_value_t = 101_000.0)]
    pub events_per_s: f64,
    /// Connections of one cell: two schedulers with 14,336 each (docs/API.md, "Limites")
    #[arg(long, default_value_t = 28_672)]
    pub connections: usize,
    /// The part of a cell's time that is planned for: the rest is for bursts, and for the work of a machine that died
    #[arg(long, default_value_t = 0.7)]
    pub utilisation: f64,
    /// Machines of one cell, of two cores each: three, so that any one may die (compose.cluster.yml)
    #[arg(long, default_value_t = 3)]
    pub machines_per_cell: u32,
    /// The price of a machine with two cores for one hour, in US dollars: an assumption, ask your provider
    #[arg(long, default_value_t = 0.10)]
    pub machine_hour_usd: f64,
    /// The price of a gigabyte that leaves the data centre, in US dollars: an assumption, ask your provider
    #[arg(long, default_value_t = 0.05)]
    pub gigabyte_usd: f64,
    /// Bytes of an answer of the waiting room or of a front's cache, with its headers: an assumption
    #[arg(long, default_value_t = 1_000.0)]
    pub answer_bytes: f64,
    /// Seconds between two questions of a person who waits: the room says it in each answer
    #[arg(long, default_value_t = 10.0)]
    pub poll_s: f64,
}

/// The times of one cell, each for `scale` people at once.
#[expect(clippy::struct_field_names, reason = "a time carries its unit in its name")]
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Of one booking.
    pub booking_us: u64,
    /// Of one refusal.
    pub refusal_us: u64,
    /// Of one agenda.
    pub agenda_us: u64,
    /// Of the refusal of a connection.
    pub turning_away_us: u64,
}

/// Whole microseconds, of times that are never negative and far below an hour.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times are positive and short")]
pub fn micros(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}

impl Costs {
    /// What each request costs a cell in the simulation, where one person stands for `scale` people.
    pub fn times(&self, scale: u32) -> Times {
        let each = |per_s: f64| micros(f64::from(scale) / per_s);
        Times {
            booking_us: each(self.bookings_per_s),
            refusal_us: each(self.refusals_per_s),
            agenda_us: each(self.agendas_per_s),
            turning_away_us: each(self.answers_per_s),
        }
    }

    /// How many people a waiting room lets into one cell in a second: each books, and one in ten is refused once.
    pub fn admitted_per_s(&self) -> f64 {
        self.utilisation / (1.0 / self.bookings_per_s + 0.1 / self.refusals_per_s)
    }

    /// The machines that answer `per_s` requests a second from a cache or a waiting room.
    pub fn front_machines(&self, per_s: f64) -> f64 {
        (per_s / (self.answers_per_s * self.utilisation)).ceil()
    }

    /// The price of a million answers, given by `machines` at `per_s` answers a second: of the machines alone.
    pub fn usd_per_million(&self, machines: f64, per_s: f64) -> f64 {
        machines * self.machine_hour_usd / 3600.0 / per_s * 1e6
    }

    /// The price of the bytes of a million answers.
    pub fn network_usd_per_million(&self) -> f64 {
        self.answer_bytes * 1e6 / 1e9 * self.gigabyte_usd
    }
}
