import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import * as format from "../../assets/page/format.js";
import { speak } from "../../assets/page/i18n.js";

afterEach(() => speak("pt"));

const at = Date.parse;

test("a span names as much as the reader cannot know", () => {
  const [start, end] = [at("2031-05-06T03:00:00Z"), at("2031-05-06T03:05:00Z")];
  assert.equal(format.span(start, end), "03:00–03:05");
  assert.equal(format.span(start, end, at("2031-05-07T00:00:00Z")), "6 de mai., 03:00–03:05");
  assert.equal(format.span(start, end, at("2032-05-06T00:00:00Z")), "6 de mai. de 2031, 03:00–03:05");
  const midnight = [at("2031-05-06T23:55:00Z"), at("2031-05-07T00:05:00Z")];
  assert.equal(format.span(...midnight), "6 de mai., 23:55 – 7 de mai., 00:05");
  const newYear = [at("2031-12-31T23:55:00Z"), at("2032-01-01T00:05:00Z")];
  assert.equal(format.span(...newYear), "31 de dez. de 2031, 23:55 – 1 de jan. de 2032, 00:05");
  speak("en");
  assert.equal(format.span(...midnight), "6 May, 23:55 – 7 May, 00:05");
});

test("a span that ends at midnight is of one day", () => {
  const [start, end] = [at("2031-05-06T23:55:00Z"), at("2031-05-07T00:00:00Z")];
  assert.equal(format.longDays(start, end), "terça-feira, 6 de maio de 2031");
  assert.equal(
    format.longDays(start, end + 1),
    "terça-feira, 6 de maio de 2031 – quarta-feira, 7 de maio de 2031",
  );
});

test("an instant has milliseconds, and its day if the other one is of another day", () => {
  assert.equal(format.instant("2025-10-26T18:00:05.123456Z"), "2025-10-26 18:00:05.123");
  assert.equal(format.instant("2025-10-26T18:00:05Z"), "2025-10-26 18:00:05");
  assert.equal(format.instantTime("2025-10-26T18:00:05.1Z"), "18:00:05.1");
  assert.equal(format.instantTime("2025-10-26T18:00:05Z", "2025-10-26T23:00:00Z"), "18:00:05");
  assert.equal(format.instantTime("2025-10-26T18:00:05Z", "2025-10-27T00:00:00Z"), "2025-10-26 18:00:05");
});

test("a duration has hours and minutes, without zeros", () => {
  for (const [minutes, text] of [
    [5, "5 min"],
    [55, "55 min"],
    [60, "1 h"],
    [65, "1 h 5 min"],
    [1440, "24 h"],
  ]) {
    assert.equal(format.minutes(minutes), text);
  }
});

test("a bound is rounded up, never down", () => {
  assert.equal(format.bound(0), "0,000");
  assert.equal(format.bound(0.01), "0,001");
  assert.equal(format.bound(12), "0,012");
  assert.equal(format.bound(12.0001), "0,013");
  for (let ms = 0; ms < 3000; ms += 7.3) {
    assert.ok(Number(format.bound(ms).replace(".", "").replace(",", ".")) * 1000 >= ms - 1e-9, `${ms}`);
  }
});

test("seconds have three digits below one second, and one above", () => {
  assert.equal(format.seconds(999), "0,999");
  assert.equal(format.seconds(1000), "1,0");
  assert.equal(format.seconds(61049), "61,0");
  speak("en");
  assert.equal(format.seconds(2000), "2.0");
});

test("a clock is right within its bound, and else ahead or behind", () => {
  assert.equal(format.clockError(3, 3), "seu relógio está certo (± 0,003 s)");
  assert.equal(format.clockError(-3, 3), "seu relógio está certo (± 0,003 s)");
  assert.equal(format.clockError(3.001, 3), "seu relógio está 0,003 s adiantado (± 0,003 s)");
  assert.equal(format.clockError(-2000, 3), "seu relógio está 2,0 s atrasado (± 0,003 s)");
});
