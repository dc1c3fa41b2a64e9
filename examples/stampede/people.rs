//! The people of a sale: what each wants, how fast each is, and how it went.

use crate::costs::micros;
use crate::dice::Dice;
use crate::sale::Sale;

/// One in so many is a program.
const PROGRAMS: usize = 100;
/// The way to the service and back of somebody near, and of somebody on the other side of the Earth.
const NEAR_US: u64 = 20_000;
const FAR_US: u64 = 300_000;
/// A program asks again after this time.
const PROGRAM_AGAIN_S: f64 = 0.25;
/// People ask again after a time between these.
const AGAIN_S: (f64, f64) = (2.0, 8.0);
/// People who are told again and again that there is no place wait longer each time, up to this.
const AGAIN_MOST_S: f64 = 60.0;
/// How long it takes a person to choose another slot after a refusal, in the mean. The answer offers some.
const CHOOSE_AGAIN_S: f64 = 5.0;
/// A person who was refused so often leaves.
const TRIES: u32 = 20;
/// Of a thousand people who see the agenda, so many leave without a request.
const LEAVE_PER_MILLE: usize = 30;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Near,
    Far,
    Program,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A slot.
    Booked,
    /// Nothing was left.
    SoldOut,
    /// The person went away.
    Left,
}

/// One person.
#[derive(Clone, Debug)]
pub struct Person {
    pub kind: Kind,
    pub telescope: usize,
    /// The instant of the click; 0 is before the opening.
    pub click: u64,
    /// When the first request is sent, if there is no waiting room: people need a moment to see that it is open.
    pub starts: u64,
    /// The slot that the person wants now.
    pub wants: u32,
    /// How often a slot was refused.
    pub refused: u32,
    /// How often there was no answer or no place, one time after the other.
    pub in_vain: u32,
    /// When the person came out of the waiting room.
    pub let_in: Option<u64>,
    pub end: Option<(End, u64)>,
}

impl Person {
    /// From here to the service, one way.
    pub fn way_us(&self) -> u64 {
        match self.kind {
            Kind::Near | Kind::Program => NEAR_US / 2,
            Kind::Far => FAR_US / 2,
        }
    }

    /// Looking at the agenda for the first time, in a sale where people need `think_s`; `None` is leaving.
    pub fn thinks_us(&self, think_s: f64, dice: &mut Dice) -> Option<u64> {
        if self.kind == Kind::Program {
            return Some(0);
        }
        (dice.below(1000) >= LEAVE_PER_MILLE).then(|| micros(dice.around(think_s)))
    }

    /// After one more refusal: the time until the next request; `None` is leaving.
    pub fn chooses_again_us(&mut self, dice: &mut Dice) -> Option<u64> {
        self.refused += 1;
        let again = if self.kind == Kind::Program { 0 } else { micros(dice.around(CHOOSE_AGAIN_S)) };
        (self.refused < TRIES).then_some(again)
    }

    /// There was no answer, or no place: the time until the next attempt.
    pub fn asks_again_us(&mut self, dice: &mut Dice) -> u64 {
        self.in_vain += 1;
        if self.kind == Kind::Program {
            return micros(PROGRAM_AGAIN_S);
        }
        let longer = 1.5_f64.powi(i32::try_from(self.in_vain.min(20)).expect("it is small") - 1);
        micros((dice.between(AGAIN_S.0, AGAIN_S.1) * longer).min(AGAIN_MOST_S))
    }
}

/// Everybody who comes to a sale, in the order of the clicks. Who is there before the opening stands in a drawn order.
pub fn crowd(sale: &Sale, count: usize, dice: &mut Dice) -> Vec<Person> {
    // How wanted each telescope is, summed up from the first to the last.
    let mut sum = 0.0;
    let sums: Vec<f64> = sale
        .weights()
        .iter()
        .map(|weight| {
            sum += weight;
            sum
        })
        .collect();
    let mut people: Vec<Person> = (0..count)
        .map(|nth| {
            let wanted = dice.unit() * sum;
            let telescope = sums.partition_point(|sum| *sum <= wanted).min(sums.len() - 1);
            let early = dice.unit() < sale.early;
            let click = if early { 0 } else { micros(dice.around(sale.spread_s)).max(1) };
            let kind = if nth % PROGRAMS == 0 {
                Kind::Program
            } else if nth % 2 == 0 {
                Kind::Near
            } else {
                Kind::Far
            };
            let slow = if kind == Kind::Program || !early { 0 } else { micros(dice.between(0.0, 2.0)) };
            let (refused, in_vain, let_in, end) = (0, 0, None, None);
            Person { kind, telescope, click, starts: click + slow, wants: 0, refused, in_vain, let_in, end }
        })
        .collect();
    dice.shuffle(&mut people);
    // Stable: those before the opening keep the order that was drawn.
    people.sort_by_key(|person| person.click);
    people
}
