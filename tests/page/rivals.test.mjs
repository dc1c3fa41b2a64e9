import assert from "node:assert/strict";
import { test } from "node:test";

import { Agenda } from "../../assets/page/agenda.js";
import { Rivals } from "../../assets/page/rivals.js";
import { answer, booking, cancelled, utc } from "./world.mjs";

const at = (slot) => Date.parse(utc(slot));
const empty = () => new Agenda(answer([]));

test("the first booking that touches what is wanted is the rival", () => {
  const rivals = new Rivals(empty());
  assert.equal(rivals.over(at(2), at(6)), undefined);
  const [late, early] = [booking(1, 5), booking(2, 1, 2)];
  assert.ok(rivals.note(late) && rivals.note(early));
  assert.equal(rivals.over(at(2), at(6)), early);
  assert.equal(rivals.over(at(3), at(6)), late, "one that ends where the wanted begins does not touch it");
  assert.equal(rivals.over(at(3), at(5)), undefined);
});

test("a cancelled rival is gone, and another telescope's is none", () => {
  const rivals = new Rivals(empty());
  const one = booking(1, 2);
  rivals.note(one);
  assert.ok(rivals.has(one));
  rivals.note(cancelled(one));
  assert.ok(!rivals.has(one));
  assert.equal(rivals.note(booking(2, 2, 1, { telescopio: "Webb-Acad" })), false);
  assert.equal(rivals.over(at(2), at(3)), undefined);
});

test("an agenda that was read replaces what was known within its period, and nothing beyond", () => {
  const rivals = new Rivals(new Agenda(answer([booking(1, 2), booking(2, 4)])));
  const beyond = booking(3, 13);
  rivals.note(beyond);
  rivals.read(new Agenda(answer([booking(2, 4), booking(4, 6)])));
  assert.equal(rivals.over(at(0), at(4)), undefined, "it was cancelled unheard");
  assert.deepEqual([4, 6, 13].map((slot) => rivals.over(at(slot), at(slot + 1))?.id), [2, 4, 3]);
  rivals.read(new Agenda(answer([], { telescope: "Webb-Acad" })));
  assert.equal(rivals.over(at(4), at(5)).id, 2);
});

test("in a race the others still stand when the first of a slot is cancelled", () => {
  const all = [booking(1, 2), booking(2, 2)];
  const rivals = new Rivals(new Agenda(answer(all), true));
  rivals.note(cancelled(all[0]));
  assert.equal(rivals.over(at(2), at(3)).id, 2);
});
