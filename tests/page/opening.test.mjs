// Slots that open: at their instant of the true time, and not before.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Agenda, FREE, kindOf } from "../../assets/page/agenda.js";
import { readBooking } from "../../assets/page/heard.js";
import { Opening } from "../../assets/page/opening.js";
import { DAY, answer, booking, cancelled, utc } from "./world.mjs";

const BOOK = { href: "agendamentos", method: "POST" };
const NOW = Date.parse(`${DAY}T00:00:00Z`);
const at = (ms) => new Date(NOW + ms).toISOString();

/// An answer in which some slots open later: {index: [state, ms after NOW]}.
function opens(openings, bookings = []) {
  const made = answer(bookings);
  for (const [index, [estado, ms]] of Object.entries(openings)) {
    const { _links, ...slot } = made.horarios[index];
    made.horarios[index] = { ...slot, estado, abre_em_utc: at(ms), ...(estado === FREE && { _links }) };
  }
  return { ...made, agora_utc: at(0) };
}

/// A page whose true time is the time of the mocked timers, and `late` milliseconds behind it at the start.
function page(agenda, { known = true } = {}) {
  mock.timers.enable({ apis: ["setTimeout"] });
  let passed = 0;
  const clock = new EventTarget();
  clock.now = () => (known ? NOW + passed : NaN);
  const shown = [];
  const reading = { agenda };
  const opening = new Opening(clock, reading, (slots) => shown.push([passed, slots.length]));
  const pass = (ms) => {
    for (let one = 0; one < ms; one += 1) {
      passed += 1;
      mock.timers.tick(1);
    }
  };
  return { clock, reading, shown, opening, pass };
}

const books = (agenda) => agenda.slots.map(({ book }) => (book ? "x" : "-")).join("");

test("a free slot that opens is closed until then, and each opens at its own instant", () => {
  const agenda = new Agenda(opens({ 2: [FREE, 150], 5: ["fechado", 400] }));
  assert.deepEqual([2, 5, 6].map((index) => kindOf(agenda.slots[index], 1)), ["closed", "closed", "free"]);
  const { shown, opening, pass } = page(agenda);
  opening.look();
  pass(149);
  assert.deepEqual([shown, books(agenda), agenda.free(0)], [[], "xx-xx-xxxxxx", 2]);
  pass(1);
  assert.deepEqual([shown, books(agenda)], [[[150, 0]], "xxxxx-xxxxxx"]);
  pass(250);
  // Of what the rules had closed it is told.
  assert.deepEqual(shown, [[150, 0], [400, 1]]);
  assert.deepEqual([books(agenda), agenda.slots[5].state, agenda.slots[5].book], ["x".repeat(12), FREE, BOOK]);
  mock.timers.reset();
});

test("where no slot is free, what opens has the telescope's link, and without that nobody can book it", () => {
  const all = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [index, ["fechado", 5]]));
  for (const [link, expected] of [[BOOK, "x".repeat(12)], [undefined, "-".repeat(12)]]) {
    const agenda = new Agenda(opens(all), false, link);
    agenda.open(NOW + 5);
    assert.equal(books(agenda), expected);
    assert.ok(agenda.slots.every((slot) => kindOf(slot, 1) === "free"));
  }
});

test("a slot that was booked before it opened stays booked", () => {
  const agenda = new Agenda(opens({ 2: [FREE, 150] }));
  agenda.apply(booking(1, 2));
  assert.deepEqual(agenda.open(NOW + 200), { opened: [], changed: false, next: Infinity });
  assert.equal(agenda.slots[2].booking.id, 1);
});

test("a page that hears of a cancellation shows the booking until the slot opens", () => {
  const agenda = new Agenda(opens({}, [booking(1, 2, 2)]));
  const { shown, opening, pass } = page(agenda);
  const made = { ...cancelled(booking(1, 2, 2)), abre_em_utc: at(100) };
  opening.hold(made, () => {
    agenda.apply(made);
    opening.look();
  });
  pass(99);
  assert.deepEqual([books(agenda), agenda.slots[2].booking.id], ["xx--xxxxxxxx", 1]);
  pass(1);
  assert.deepEqual([books(agenda), shown], ["x".repeat(12), [[100, 0]]]);
  // What has opened already, what says nothing of it, and what says an instant that cannot be is done at once.
  for (const abre_em_utc of [at(0), undefined, null, at(3_600_000)]) {
    let done = false;
    opening.hold({ abre_em_utc }, () => (done = true));
    assert.ok(done, abre_em_utc);
  }
  mock.timers.reset();
});

test("who cancels sees at once that the booking is gone, and can book the slot when all can", () => {
  const agenda = new Agenda(opens({}, [booking(1, 2)]));
  const { opening, pass } = page(agenda);
  agenda.apply({ ...cancelled(booking(1, 2)), abre_em_utc: at(100) });
  opening.look();
  assert.deepEqual([agenda.slots[2].booking, kindOf(agenda.slots[2], 1)], [undefined, "closed"]);
  pass(100);
  assert.equal(kindOf(agenda.slots[2], 1), "free");
  mock.timers.reset();
});

test("what became free opens at once where its instant cannot be", () => {
  const agenda = new Agenda(opens({}, [booking(1, 2)]));
  const { opening } = page(agenda);
  agenda.apply({ ...cancelled(booking(1, 2)), abre_em_utc: at(3_600_000) });
  opening.look();
  assert.equal(kindOf(agenda.slots[2], 1), "free");
  mock.timers.reset();
});

test("a booking that was moved leaves its slots and has the new ones", () => {
  const agenda = new Agenda(opens({}, [booking(1, 2, 3)]));
  const before = { telescopio: "Hubble-Acad", horario_inicio_utc: utc(2), horario_fim_utc: utc(5) };
  const moved = booking(1, 4, 3);
  assert.ok(agenda.move(before, moved));
  assert.deepEqual([books(agenda), agenda.range(moved)], ["xxxx---xxxxx", [4, 6]]);
  assert.equal(agenda.slots[4].booking, moved, "also the slot that it keeps has what is so now");
  agenda.move(before, moved);
  assert.deepEqual([books(agenda), agenda.range(moved)], ["xxxx---xxxxx", [4, 6]]);
  // To another telescope, and from there.
  assert.ok(agenda.move({ ...before, horario_inicio_utc: utc(4), horario_fim_utc: utc(7) }, { ...moved, telescopio: "Webb-Acad" }));
  assert.equal(books(agenda), "x".repeat(12));
  assert.ok(agenda.move({ ...before, telescopio: "Webb-Acad" }, moved));
  assert.equal(books(agenda), "xxxx---xxxxx");
});

test("a clock that is corrected is believed, and before it is known the answer's own time counts", () => {
  const agenda = new Agenda(opens({ 2: [FREE, 1000] }));
  const { clock, opening, pass } = page(agenda);
  opening.look();
  const now = clock.now;
  clock.now = () => now() + 900;
  clock.dispatchEvent(new Event("change"));
  pass(99);
  assert.equal(kindOf(agenda.slots[2], 1), "closed");
  pass(1);
  assert.equal(kindOf(agenda.slots[2], 1), "free");
  mock.timers.reset();

  const early = new Agenda(opens({ 2: [FREE, 50], 3: ["fechado", 3_600_000] }));
  early.read -= 60;
  page(early, { known: false }).opening.look();
  assert.deepEqual([2, 3].map((index) => kindOf(early.slots[index], 1)), ["free", "closed"]);
  mock.timers.reset();
});

test("an event says when the slots open, and what is no instant makes it no event", () => {
  const event = { ...cancelled(booking(1, 2)), duracao_min: 5, cancelado_em_utc: at(0) };
  const read = (abre_em_utc) => readBooking(JSON.stringify({ ...event, abre_em_utc }), "cancelado");
  assert.equal(read(`${DAY}T00:00:00.123456Z`).abre_em_utc, `${DAY}T00:00:00.123456Z`);
  assert.ok(read(undefined) && !("abre_em_utc" in read(undefined)));
  for (const bad of ["amanhã", 5, {}, `${DAY}T00:00:00+01:00`]) assert.equal(read(bad), undefined, String(bad));
});
