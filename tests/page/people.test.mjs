// The scientist who uses the page: anyone, or the one that a session names.

import assert from "node:assert/strict";
import test from "node:test";

import { kindOf } from "../../assets/page/agenda.js";
import { People } from "../../assets/page/people.js";

const ALL = {
  cientistas: [
    { id: 3, nome: "Ada", ativo: true },
    { id: 7, nome: "Marie", ativo: true },
    { id: 9, nome: "Vera", ativo: false },
  ],
};

test("a session binds the page to one scientist, and not to the one who was chosen before", () => {
  const people = new People(3);
  people.take(ALL);
  const ids = () => people.mine.map(({ id }) => id);
  assert.deepEqual([people.me, people.isOne, ids()], [3, false, [3, 7]]);
  people.bind(7);
  assert.deepEqual([people.me, people.isOne, ids()], [7, true, [7]]);
  people.choose(3);
  assert.equal(people.me, 7);
  people.bind(undefined);
  assert.deepEqual([people.me, people.isOne], [3, false]);
});

test("a remembered scientist who may not book any more is chosen no longer", async () => {
  for (const [chosen, expected] of [[7, 7], [9, undefined], [66, undefined]]) {
    const people = new People(chosen);
    people.take(ALL);
    await people.settle();
    assert.equal(people.me, expected);
  }
});

test("a free slot is free to a person who may not book it", () => {
  assert.equal(kindOf({ state: "livre", sold: 0 }, 7), "free");
  assert.equal(kindOf({ state: "passado", sold: 0 }, 7), "gone");
  assert.equal(kindOf({ state: "manutencao", sold: 0 }, 7), "closed");
});
