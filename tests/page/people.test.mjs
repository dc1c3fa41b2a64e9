// The scientist who uses the page: anyone, or the one that a session names.

import assert from "node:assert/strict";
import test from "node:test";

import { kindOf } from "../../assets/page/agenda.js";
import { People } from "../../assets/page/people.js";

const ALL = [
  { id: 3, nome: "Ada" },
  { id: 7, nome: "Marie" },
];

test("a session binds the page to one scientist, and not to the one who was chosen before", () => {
  const people = new People(3);
  people.open(ALL);
  assert.deepEqual([people.me, people.isOne, people.choices.length], [3, false, 2]);
  people.bind(7);
  assert.deepEqual([people.me, people.isOne, people.choices], [7, true, [ALL[1]]]);
  people.choose(3);
  assert.equal(people.me, 7);
  people.bind(undefined);
  assert.deepEqual([people.me, people.isOne], [3, false]);
});

test("a free slot is free to a person who may not book it", () => {
  assert.equal(kindOf({ state: "livre", sold: 0 }, 7), "free");
  assert.equal(kindOf({ state: "passado", sold: 0 }, 7), "gone");
  assert.equal(kindOf({ state: "manutencao", sold: 0 }, 7), "closed");
});
