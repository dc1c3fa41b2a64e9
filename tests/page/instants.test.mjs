import assert from "node:assert/strict";
import { test } from "node:test";

import { DAYS, isDay, isoDay, parseInstant } from "../../assets/page/instants.js";
import { parsePlace, placeHash } from "../../assets/page/selection.js";

test("an instant keeps its microseconds", () => {
  const second = Date.parse("2025-10-26T18:00:05Z");
  for (const [text, ms] of [
    ["2025-10-26T18:00:05Z", 0],
    ["2025-10-26T18:00:05.1Z", 100],
    ["2025-10-26T18:00:05.123Z", 123],
    ["2025-10-26T18:00:05.123456Z", 123.456],
    ["2025-10-26T18:00:05.000001Z", 0.001],
  ]) {
    assert.ok(Math.abs(parseInstant(text) - second - ms) < 0.0005, text);
  }
});

test("a day exists and is within the server's", () => {
  for (const day of [DAYS.min, "2000-02-29", "2031-05-06", DAYS.max]) assert.ok(isDay(day), day);
  for (const day of ["1969-12-31", "9998-12-31", "9999-12-31", "2025-02-29", "2025-02-30", "2025-13-01", "2025-00-10"])
    assert.ok(!isDay(day), day);
  for (const text of ["", undefined, "2025-1-1", "12031-01-01", "2025-01-01T00:00:00Z", "amanhã", "+02025-01-01"])
    assert.ok(!isDay(text), `${text}`);
});

test("every day that there is can be named and read again", () => {
  for (let at = Date.parse(DAYS.min); at <= Date.parse(DAYS.max); at += 97 * 86400000) {
    const day = isoDay(at);
    assert.ok(isDay(day), day);
    assert.deepEqual(parsePlace(placeHash("Hubble-Acad", day)), { telescope: "Hubble-Acad", day });
  }
});

test("the address names a telescope and a day, and each may be missing", () => {
  for (const [hash, place] of [
    ["", { telescope: "", strange: "" }],
    ["#", { telescope: "", strange: "" }],
    ["#Webb-Acad", { telescope: "Webb-Acad", strange: "" }],
    ["#Webb-Acad@", { telescope: "Webb-Acad", strange: "" }],
    ["#@2031-11-25", { telescope: "", day: "2031-11-25" }],
    ["#%48ubble%2DAcad@2031%2D11%2D25", { telescope: "Hubble-Acad", day: "2031-11-25" }],
    ["#a@b@2031-11-25", { telescope: "a@b", day: "2031-11-25" }],
    ["#Webb-Acad@amanh%C3%A3", { telescope: "Webb-Acad", strange: "amanhã" }],
    ["#Hubble-Acad@2031-11-31", { telescope: "Hubble-Acad", strange: "2031-11-31" }],
    ["#%E0%A4%A@2031-11-25", { telescope: "%E0%A4%A", day: "2031-11-25" }],
  ]) {
    assert.deepEqual(parsePlace(hash), place, hash);
  }
});

test("any telescope's name comes back from the address", () => {
  for (const telescope of ["Hubble-Acad", "a@b", "50% céu", "טלסקופ", "#x", "a/b?c&d", "2031-05-06"]) {
    assert.equal(parsePlace(placeHash(telescope, "2031-05-06")).telescope, telescope);
    assert.equal(parsePlace(placeHash(telescope)).telescope, telescope);
  }
});
