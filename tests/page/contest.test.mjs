// A contest as lines of one scale.

import assert from "node:assert/strict";
import test from "node:test";

import { parts, requestOf } from "../../assets/page/contestline.js";

const at = (ms) => new Date(Date.UTC(2025, 11, 1, 3) + ms).toISOString();
const entry = (req, stamp, arrival) => ({ req, carimbo_utc: at(stamp), chegada_utc: at(arrival), cientista_id: 1 });

test("each line reaches from the click to the arrival, on one scale", () => {
  const { shown, more } = parts({ entradas: [entry("a", 0, 100), entry("b", 50, 51), entry("c", 75, 75)] }, "a", 9);
  assert.equal(more, 0);
  assert.deepEqual(
    shown.map(({ won, from, length, stamp, arrival }) => [won, from, length, stamp, arrival].map(Number)),
    [
      [1, 0, 1, 0, 100],
      [0, 0.5, 0.01, 50, 51],
      [0, 0.75, 0, 75, 75],
    ],
  );
});

test("of many entries the own one is always shown, and one that was drawn need not be the first click", () => {
  const entradas = Array.from({ length: 30 }, (_, nth) => entry(`r-${nth}`, 29 - nth, 40));
  const { shown, more } = parts({ entradas }, "r-28", 12);
  assert.deepEqual([shown.length, more, shown.at(-1).entry.req], [13, 17, "r-28"]);
  assert.ok(shown.every(({ from, length }) => from >= 0 && length >= 0 && from + length <= 1.000001));
});

test("an entry of another version has a stamp alone, and equal instants make no line", () => {
  const { shown } = parts({ entradas: [{ carimbo_utc: at(5), entrada: "x" }, entry("b", 5, 5)] }, "b", 12);
  assert.deepEqual(shown.map(({ from, length }) => [from, length]), [[0, 0], [0, 0]]);
});

test("the request stands in the receipt, and nothing in another text", () => {
  const claims = Buffer.from(JSON.stringify({ req: "6b1f-2a", motivo: "ç?>" })).toString("base64url");
  assert.equal(requestOf(`x.${claims}.y`), "6b1f-2a");
  for (const text of ["", "x", "x.y.z", "..", "x.bnVsbA.z"]) assert.equal(requestOf(text), undefined, text);
});
