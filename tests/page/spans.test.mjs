// Spans of time in zones whose clocks change. Node takes another zone when TZ is set.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import * as format from "../../assets/page/format.js";
import * as words from "../../assets/page/i18n.js";
import { changesOf, sweep } from "./sweep.mjs";

const before = process.env.TZ;
afterEach(() => {
  if (before === undefined) delete process.env.TZ;
  else process.env.TZ = before;
  words.speak("pt");
});

const YEARS = [
  [2011, 2012],
  [2026, 2028],
];

// [zone, how often its clocks change in those years]
for (const [zone, changes] of [
  ["UTC", 0],
  ["America/Sao_Paulo", 2],
  ["America/New_York", 6],
  ["Europe/London", 6],
  ["Asia/Kolkata", 0],
  ["Australia/Lord_Howe", 6],
  ["Pacific/Chatham", 6],
  ["America/St_Johns", 6],
  ["Pacific/Marquesas", 0],
]) {
  test(`spans name their times, days and zones in ${zone}`, () => {
    process.env.TZ = zone;
    assert.deepEqual(sweep(format, words, YEARS), [changes, []]);
  });
}

test("Samoa left out a day", () => {
  process.env.TZ = "Pacific/Apia";
  const [changes, faults] = sweep(format, words, [[2011, 2012]]);
  assert.deepEqual(faults, []);
  assert.equal(changes, changesOf([[2011, 2012]]).length);
  const end = Date.parse("2011-12-30T10:00:00Z");
  assert.match(format.localSpan(end - 300000, end + 300000), /29 de dez\., 23:55 GMT-10 – 31 de dez\., 00:05 GMT\+14/);
});

test("the end of summer time has both zones", () => {
  process.env.TZ = "Europe/London";
  const [start, end] = ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"].map(Date.parse);
  assert.equal(format.localSpan(start, end), "01:30 GMT+1 – 01:30 GMT+0".replace("GMT+0", format.zone(end)));
  assert.equal(format.zone(start), "GMT+1");
  assert.match(format.zone(end), /^GMT(\+0)?$/);
  assert.ok(format.elsewhere(start, end));
  assert.ok(!format.elsewhere(end));
});

test("a local moment has its day if that is not the day of UTC", () => {
  process.env.TZ = "America/New_York";
  assert.equal(format.localMoment(Date.parse("2026-07-02T12:00:00Z")), "08:00");
  assert.equal(format.localMoment(Date.parse("2026-07-02T02:00:00Z")), "1 de jul., 22:00");
  assert.equal(format.localDay(Date.parse("2026-07-02T02:00:00Z")), "2026-07-01");
});
