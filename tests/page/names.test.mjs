import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, test } from "node:test";

import { speak } from "../../assets/page/i18n.js";
import { initials, isolate, spoken } from "../../assets/page/names.js";
import { People } from "../../assets/page/people.js";

afterEach(() => speak("pt"));

test("initials are letters as people count them", () => {
  const names = JSON.parse(readFileSync(new URL("initials.json", import.meta.url), "utf8"));
  assert.ok(names.length > 30);
  for (const [name, right] of names) assert.equal(initials(name), right, name);
});

test("only a text that could turn its neighbours is isolated", () => {
  for (const text of ["Marie Curie", "毛利 衛", "Ångström", "👩🏽‍🚀", ""]) assert.equal(isolate(text), text);
  for (const text of ["דוד בן", "مريم", "a\u202eb", "ߊߓ"]) assert.equal(isolate(text), `\u2068${text}\u2069`);
});

test("a text cannot end its own isolation", () => {
  const text = "דוד\u2069 mal\u2068\u2067\u2066";
  assert.equal(isolate(text), "\u2068דוד mal\u2069");
  assert.equal(spoken([isolate(text), " x"]).match(/[\u2066-\u2069]/g).length, 2);
});

test("an announcement isolates its elements and not its own words", () => {
  assert.equal(spoken([{ textContent: "مريم" }, " tem ", "03:00", " ", 1]), "\u2068مريم\u2069 tem 03:00 1");
});

test("a scientist who is not known is named by number", () => {
  const people = new People(7);
  people.take({ cientistas: [{ id: 7, nome: "Marie Curie" }] });
  assert.deepEqual([people.me, people.nameOf(7), people.nameOf(8)], [7, "Marie Curie", "cientista 8"]);
  speak("en");
  assert.equal(people.nameOf(8), "scientist 8");
});
