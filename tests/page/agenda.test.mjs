import assert from "node:assert/strict";
import { test } from "node:test";

import { Agenda, Heard, identity } from "../../assets/page/agenda.js";
import { answer, booking, cancelled, orders, utc } from "./world.mjs";

/// What a person sees of an agenda.
const seen = (agenda) =>
  agenda.slots.map(({ state, book, booking: one }) => [state, Boolean(book), one && identity(one), one?.status]);

// Three bookings that had slots in common, one after the other, and one beside them.
const [first, second, third, beside] = [booking(1, 2, 3), booking(2, 4, 2), booking(3, 3, 1), booking(4, 8, 2)];
const EVENTS = [first, cancelled(first), second, third, cancelled(second), beside];
const FINAL = [cancelled(first), cancelled(second), third, beside];

/// Applies events as `Reading` does.
function apply(agenda, heard, events) {
  for (const event of events) if (heard.note(event)) agenda.apply(event);
}

test("events end the same in any order", () => {
  const right = seen(new Agenda(answer(FINAL)));
  let tried = 0;
  for (const order of orders(EVENTS)) {
    const agenda = new Agenda(answer([]));
    apply(agenda, new Heard(), order);
    assert.deepEqual(seen(agenda), right, order.map(({ id, status }) => `${id} ${status}`).join(", "));
    tried += 1;
  }
  assert.equal(tried, 720);
});

test("an event that comes again changes nothing", () => {
  const [agenda, heard] = [new Agenda(answer([])), new Heard()];
  apply(agenda, heard, EVENTS);
  for (const event of EVENTS) assert.equal(heard.note(event), false, `${event.id} ${event.status}`);
  // An answer may have brought it before the event did.
  for (const event of FINAL) assert.equal(agenda.apply(event), false, `${event.id} ${event.status}`);
});

test("an agenda that was read before an event came does not undo it", () => {
  const right = seen(new Agenda(answer(FINAL)));
  const since = performance.now();
  // The server answers from any moment of the history; the events come in any order.
  const moments = EVENTS.map((_, index) => {
    const now = new Map();
    for (const event of EVENTS.slice(0, index)) now.set(event.id, event);
    return [...now.values()];
  });
  for (const order of orders(EVENTS)) {
    const heard = new Heard();
    for (const event of order) heard.note(event);
    for (const bookings of moments) {
      const agenda = new Agenda(answer(bookings));
      for (const event of heard.after(since)) agenda.apply(event);
      assert.deepEqual(seen(agenda), right);
    }
  }
});

test("what was heard before the question is in the answer, and what the answer contradicts is forgotten", () => {
  const heard = new Heard();
  for (const event of [first, second, cancelled(second)]) heard.note(event);
  const later = performance.now() + 1;
  assert.deepEqual([...heard.after(later)], []);
  heard.correct([second], performance.now() - 1000);
  assert.equal(heard.note(cancelled(second)), false, "it was heard after the question");
  // The event was wrong: the booking stands, and may be cancelled later.
  heard.correct([second], later);
  assert.equal(heard.note(cancelled(second)), true);
});

test("the link of a slot that becomes free is the agenda's", () => {
  const event = (booking) => ({ ...booking, _links: undefined });
  const agenda = new Agenda(answer([first]));
  agenda.apply(event(cancelled(first)));
  assert.deepEqual(agenda.slots[2].book, agenda.slots[0].book);
  const full = new Agenda(answer([booking(1, 0, 12)]));
  full.apply(event(cancelled(booking(1, 0, 12))));
  assert.deepEqual([full.slots[2].state, full.slots[2].book], ["livre", undefined]);
});

test("a new database begins its numbers again, and its bookings are others", () => {
  const again = { ...first, criado_em_utc: "2031-05-02T00:00:00.000000Z" };
  const heard = new Heard();
  assert.ok(heard.note(first) && heard.note(cancelled(first)) && heard.note(again));
  const agenda = new Agenda(answer([again]));
  assert.equal(agenda.apply(cancelled(first)), false);
  assert.deepEqual(agenda.range(again), [2, 4]);
  assert.deepEqual(agenda.range(first), [-1, -1]);
});

test("Heard forgets the oldest of more than two thousand", () => {
  const heard = new Heard();
  const make = (id) => ({ ...booking(1, 0), id });
  for (let id = 0; id <= 2000; id += 1) heard.note(make(id));
  assert.equal(heard.note(make(2000)), false);
  assert.equal(heard.note(make(0)), true, "it was forgotten");
});

test("another telescope's booking changes nothing", () => {
  const agenda = new Agenda(answer([]));
  assert.equal(agenda.apply({ ...first, telescopio: "Webb-Acad" }), false);
  assert.deepEqual(seen(agenda), seen(new Agenda(answer([]))));
});

test("a booking over the agenda's edge is shown as far as the agenda goes", () => {
  const agenda = new Agenda(answer([], { count: 12 }));
  const [before, after] = [booking(5, -2, 3), booking(6, 11, 4)];
  assert.ok(agenda.apply(before) && agenda.apply(after));
  assert.deepEqual([agenda.range(before), agenda.range(after)], [[0, 0], [11, 11]]);
});

test("slots are found by instant, and free ones are counted up to the next booking", () => {
  const agenda = new Agenda(answer([booking(1, 5)], { count: 12 }));
  assert.equal(agenda.length, 300000);
  for (const [instant, index] of [
    [Date.parse(utc(0)), 0],
    [Date.parse(utc(1)) - 1, 0],
    [Date.parse(utc(1)), 1],
    [Date.parse(utc(12)) - 1, 11],
    [Date.parse(utc(12)), -1],
    [Date.parse(utc(0)) - 1, -1],
    [NaN, -1],
  ]) {
    assert.equal(agenda.at(instant), index);
  }
  assert.deepEqual([0, 4, 5, 6, 11, 12].map((first) => agenda.free(first)), [5, 1, 0, 6, 1, 0]);
});

test("in a race a slot keeps all of its bookings, and events end the same in any order", () => {
  const race = [booking(1, 2, 3), booking(2, 2, 3), booking(3, 4)];
  const events = [...race, cancelled(race[0]), booking(4, 2)];
  const sold = (agenda) =>
    agenda.slots.map(({ sold, booking: first, bookings, book }) => [sold, first?.id, bookings.map(({ id }) => id), Boolean(book)]);
  const right = sold(new Agenda(answer([race[1], race[2], events[4]]), true));
  assert.deepEqual(right.slice(2, 6), [
    [2, 2, [2, 4], false],
    [1, 2, [2], false],
    [2, 2, [2, 3], false],
    [0, undefined, [], true],
  ]);
  for (const order of orders(events)) {
    const [agenda, heard] = [new Agenda(answer([race[0]]), true), new Heard()];
    apply(agenda, heard, order);
    assert.deepEqual(sold(agenda), right, order.map(({ id, status }) => `${id} ${status}`).join(", "));
  }
});

test("of more bookings than the server gives, the number is the server's", () => {
  const given = answer([booking(1, 2), booking(2, 2)]);
  given.horarios[2].vezes_agendado = 60;
  const agenda = new Agenda(given, true);
  assert.ok(agenda.apply(booking(61, 2)));
  assert.deepEqual([agenda.slots[2].sold, agenda.slots[2].bookings.length], [61, 3]);
  assert.equal(agenda.apply(cancelled(booking(30, 2))), false, "it was not given: the next reading has it");
});
