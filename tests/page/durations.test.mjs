import assert from "node:assert/strict";
import { test } from "node:test";

import { Agenda } from "../../assets/page/agenda.js";
import { freeBeyond, lengths } from "../../assets/page/durations.js";
import { answer, booking } from "./world.mjs";

const SLOTS = 288;

/// How many slots can be booked from `slot` on, on the day with these bookings; and the requests that were sent.
async function most(slot, bookings, fail = false) {
  const agenda = new Agenda(answer(bookings, { count: SLOTS }));
  const asked = [];
  const read = async (link, { variables }) => {
    asked.push(variables);
    if (fail) throw new Error("no answer");
    const first = (Date.parse(variables.de) - agenda.start) / agenda.length;
    const count = (Date.parse(variables.ate) - Date.parse(variables.de)) / agenda.length;
    return answer(bookings, { first, count });
  };
  const found = await freeBeyond(agenda, agenda.slots[slot].start, agenda.free(slot), read);
  return [found, asked.length];
}

test("a stretch that ends within the day is known without asking", async () => {
  assert.deepEqual(await most(10, [booking(1, 20)]), [10, 0]);
  assert.deepEqual(await most(287, []), [SLOTS, 1]);
});

test("over midnight it goes on to the next booking", async () => {
  assert.deepEqual(await most(287, [booking(1, SLOTS + 12)]), [13, 1]);
  assert.deepEqual(await most(280, [booking(1, SLOTS)]), [8, 1]);
});

test("never more than a day", async () => {
  assert.deepEqual(await most(0, []), [SLOTS, 0]);
  const agenda = new Agenda(answer([], { count: SLOTS }));
  const twoDays = async () => answer([], { first: SLOTS, count: 2 * SLOTS });
  assert.equal(await freeBeyond(agenda, agenda.slots[287].start, 1, twoDays), SLOTS, "whatever the server answers");
  for (const slot of [1, 100, 200, 287]) assert.deepEqual(await most(slot, []), [SLOTS, 1]);
});

test("without an answer, as many as are known", async () => {
  assert.deepEqual(await most(280, [], true), [8, 1]);
});

test("the durations are whole slots, and go on where the first ended", () => {
  assert.deepEqual(lengths(1, 4, 5), [5, 10, 15, 20]);
  assert.deepEqual([...lengths(1, 2, 5), ...lengths(3, 4, 5)], lengths(1, 4, 5));
  assert.deepEqual(lengths(3, 2, 5), []);
});
