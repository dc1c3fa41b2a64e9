//! A sale, event by event: people come, wait, are let in, look, choose, and are told.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::cell::{Cell, Fate};
use crate::costs::{Costs, Times};
use crate::dice::Dice;
use crate::outcome::Outcome;
use crate::people::{End, Person, crowd};
use crate::placement::{Placement, place};
use crate::room::Room;
use crate::stock::Stock;

/// A waiting room lets people in so often.
const TURN_US: u64 = 100_000;
/// It lets nobody in while a cell has more to do than this.
const BACKLOG_MAX_US: u64 = 250_000;
/// No sale of ours lasts longer.
const HORIZON_US: u64 = 48 * 3_600 * 1_000_000;

/// What is sold, and to how many.
#[derive(Clone, Debug)]
pub struct Sale {
    pub name: &'static str,
    /// People who want something.
    pub people: u32,
    pub telescopes: u32,
    /// Slots of each telescope.
    pub slots_each: u32,
    /// The second telescope is wanted 2^-`skew` times as much as the first, the third 3^-`skew` times, and so on.
    pub skew: f64,
    /// The share of the people who wait before the opening.
    pub early: f64,
    /// After how many seconds the others come, in the mean.
    pub spread_s: f64,
    /// How long a person looks at the agenda before choosing, in the mean.
    pub think_s: f64,
}

impl Sale {
    /// How much each telescope is wanted.
    pub fn weights(&self) -> Vec<f64> {
        (1..=self.telescopes).map(|rank| f64::from(rank).powf(-self.skew)).collect()
    }
}

/// How it is sold.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub cells: usize,
    pub placement: Placement,
    /// Whether there is a waiting room.
    pub room: bool,
    /// So many people are one in the simulation, and everything takes so many times as long.
    pub scale: u32,
    pub seed: u64,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The people whose turn it is come: the first of them that has not come yet.
    Comes(usize),
    /// A request for the agenda arrives at the cell.
    Looks(usize),
    /// The agenda arrives at the person.
    Sees(usize),
    /// A booking request arrives at the cell.
    Books(usize),
    /// The answer arrives at the person.
    Ends(usize, bool),
    /// The room of a cell lets people in.
    Turn(usize),
}

struct Run<'a> {
    sale: &'a Sale,
    setup: Setup,
    times: Times,
    admitted_per_turn: f64,
    dice: Dice,
    people: Vec<Person>,
    stocks: Vec<Stock>,
    cell_of: Vec<usize>,
    cells: Vec<Cell>,
    rooms: Vec<Room>,
    /// The people who have not come to their end, for each cell.
    open: Vec<usize>,
    /// What happens, the earliest first; the number keeps events of one instant in their order.
    next: BinaryHeap<Reverse<(u64, u64, Event)>>,
    count: u64,
    /// How long each answer of a cell took, from its arrival to its sending, as if nobody stood for others.
    latencies_us: Vec<u64>,
}

/// Runs the sale to its end.
pub fn run(sale: &Sale, setup: Setup, costs: &Costs) -> Outcome {
    let mut run = Run::new(sale, setup, costs);
    while let Some(Reverse((now, _, event))) = run.next.pop() {
        assert!(now < HORIZON_US, "somebody waits for ever");
        run.happen(now, event);
    }
    Outcome::of(sale, setup, costs, &run.people, &run.stocks, &run.cells, &run.rooms, run.latencies_us)
}

impl<'a> Run<'a> {
    fn new(sale: &'a Sale, setup: Setup, costs: &Costs) -> Self {
        let mut dice = Dice::new(setup.seed);
        let people = crowd(sale, (sale.people / setup.scale) as usize, &mut dice);
        let cell_of = place(setup.placement, &sale.weights(), setup.cells);
        let connections = (costs.connections / setup.scale as usize).max(1);
        let times = costs.times(setup.scale);
        let cells = (0..setup.cells).map(|_| Cell::new(connections, times.turning_away_us)).collect();
        let telescopes_of =
            |cell| (0..cell_of.len()).filter(|telescope| cell_of[*telescope] == cell).collect::<Vec<_>>();
        let rooms = (0..setup.cells).map(|cell| Room::new(telescopes_of(cell).into_iter())).collect();
        let mut open = vec![0; setup.cells];
        for person in &people {
            open[cell_of[person.telescope]] += 1;
        }
        let stocks = (0..sale.telescopes).map(|_| Stock::new((sale.slots_each / setup.scale).max(1))).collect();
        let admitted_per_turn = costs.admitted_per_s() / f64::from(setup.scale) * TURN_US as f64 / 1e6;
        let (next, latencies_us) = (BinaryHeap::new(), Vec::new());
        let mut run = Self {
            sale,
            setup,
            times,
            admitted_per_turn,
            dice,
            people,
            stocks,
            cell_of,
            cells,
            rooms,
            open,
            next,
            count: 0,
            latencies_us,
        };
        if setup.room {
            run.at(0, Event::Comes(0));
            (0..setup.cells).for_each(|cell| run.at(1, Event::Turn(cell)));
        } else {
            for person in 0..run.people.len() {
                run.at(run.people[person].starts + run.people[person].way_us(), Event::Looks(person));
            }
        }
        run
    }

    fn at(&mut self, when: u64, event: Event) {
        self.count += 1;
        self.next.push(Reverse((when, self.count, event)));
    }

    fn happen(&mut self, now: u64, event: Event) {
        match event {
            Event::Comes(first) => self.come(now, first),
            Event::Turn(cell) => self.turn(now, cell),
            Event::Looks(person) => {
                if let Some(answered) = self.ask(now, person, self.times.agenda_us, Event::Looks(person)) {
                    self.at(answered + self.people[person].way_us(), Event::Sees(person));
                }
            }
            Event::Sees(person) => self.see(now, person),
            Event::Books(person) => self.book(now, person),
            Event::Ends(person, booked) => self.told(now, person, booked),
        }
    }

    /// A request at the cell. `None` if it has to be sent again, which is seen to.
    fn ask(&mut self, now: u64, person: usize, cost_us: u64, again: Event) -> Option<u64> {
        let cell = self.cell_of[self.people[person].telescope];
        let fate = self.cells[cell].ask(now, cost_us);
        let heard = match fate {
            Fate::Answered(at) => {
                self.people[person].in_vain = 0;
                // The wait is of the crowd's size; the work is one request's.
                let work = cost_us / u64::from(self.setup.scale);
                self.latencies_us.push(at - now - cost_us + work);
                return Some(at);
            }
            Fate::TurnedAway(at) => at,
            Fate::Lost => now,
        };
        let later = self.people[person].asks_again_us(&mut self.dice) + 2 * self.people[person].way_us();
        self.at(heard + later, again);
        None
    }

    /// People whose click is now enter the waiting room.
    fn come(&mut self, now: u64, first: usize) {
        let mut nth = first;
        while let Some(person) = self.people.get(nth).filter(|person| person.click <= now) {
            let telescope = person.telescope;
            if self.stocks[telescope].left() == 0 {
                self.end(now, nth, End::SoldOut);
            } else {
                let place = (person.click, nth as u64);
                self.rooms[self.cell_of[telescope]].enter(telescope, place, nth);
            }
            nth += 1;
        }
        if let Some(person) = self.people.get(nth) {
            self.at(person.click, Event::Comes(nth));
        }
    }

    fn turn(&mut self, now: u64, cell: usize) {
        let backlog = self.cells[cell].backlog_us(now);
        let more = if backlog > BACKLOG_MAX_US { 0.0 } else { self.admitted_per_turn };
        self.rooms[cell].earn(more);
        loop {
            let stocks = &self.stocks;
            let admitted = self.rooms[cell].admit(|telescope| stocks[telescope].inside < stocks[telescope].left());
            let Some(person) = admitted else { break };
            self.people[person].let_in = Some(now);
            self.stocks[self.people[person].telescope].inside += 1;
            // The agenda comes from the front's cache.
            self.at(now + 2 * self.people[person].way_us(), Event::Sees(person));
        }
        if self.open[cell] > 0 {
            self.at(now + TURN_US, Event::Turn(cell));
        }
    }

    /// The agenda is there: the person chooses.
    fn see(&mut self, now: u64, person: usize) {
        let (think, roll) = (self.people[person].thinks_us(self.sale.think_s, &mut self.dice), self.dice.roll());
        let shown = self.stocks[self.people[person].telescope].shown(roll);
        match (shown, think) {
            (None, _) => self.end(now, person, End::SoldOut),
            (_, None) => self.end(now, person, End::Left),
            (Some(slot), Some(think)) => {
                self.people[person].wants = slot;
                self.at(now + think + self.people[person].way_us(), Event::Books(person));
            }
        }
    }

    /// The booking request is at the cell, which takes requests in the order in which they come: it is decided now.
    fn book(&mut self, now: u64, person: usize) {
        let (telescope, slot) = (self.people[person].telescope, self.people[person].wants);
        let free = self.stocks[telescope].is_free(slot);
        let cost = if free { self.times.booking_us } else { self.times.refusal_us };
        let Some(answered) = self.ask(now, person, cost, Event::Books(person)) else { return };
        let booked = free && self.stocks[telescope].claim(slot, person);
        if booked {
            self.people[person].end = Some((End::Booked, answered));
            if self.setup.room && self.stocks[telescope].left() == 0 {
                for waiting in self.rooms[self.cell_of[telescope]].dismiss(telescope) {
                    self.end(answered, waiting, End::SoldOut);
                }
            }
        }
        self.at(answered + self.people[person].way_us(), Event::Ends(person, booked));
    }

    fn told(&mut self, now: u64, person: usize, booked: bool) {
        if booked {
            return self.end(now, person, End::Booked);
        }
        let (again, roll) = (self.people[person].chooses_again_us(&mut self.dice), self.dice.roll());
        let shown = self.stocks[self.people[person].telescope].shown(roll);
        match (shown, again) {
            (None, _) => self.end(now, person, End::SoldOut),
            (_, None) => self.end(now, person, End::Left),
            (Some(slot), Some(again)) => {
                self.people[person].wants = slot;
                self.at(now + again + self.people[person].way_us(), Event::Books(person));
            }
        }
    }

    fn end(&mut self, now: u64, person: usize, end: End) {
        let one = &mut self.people[person];
        // The instant of a booking is the cell's answer.
        one.end.get_or_insert((end, now));
        if one.let_in.is_some() {
            self.stocks[one.telescope].inside -= 1;
        }
        self.open[self.cell_of[one.telescope]] -= 1;
    }
}
