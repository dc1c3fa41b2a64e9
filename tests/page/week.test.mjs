import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { Agenda } from "../../assets/page/agenda.js";
import { speak } from "../../assets/page/i18n.js";
import { DAYS, firstDay, isDay, isoDay, isoWeek, monday, weekAway, weekSpan } from "../../assets/page/instants.js";
import { Navigation, Selection, parsePlace, placeHash } from "../../assets/page/selection.js";
import { dayLabel, dayTotals, hourRows, strips, weekTitle } from "../../assets/page/strips.js";
import { answer, booking, cancelled, utc } from "./world.mjs";

const DAY = 86400000;
const HUBBLE = { id: "Hubble-Acad", _links: { agenda: { href: "agenda" } } };
const zoneBefore = process.env.TZ;

afterEach(() => {
  speak("pt");
  if (zoneBefore === undefined) delete process.env.TZ;
  else process.env.TZ = zoneBefore;
});

test("the weeks around the turn of a year are those of ISO 8601", () => {
  for (const [day, week] of [
    ["2005-01-01", "2004-W53"],
    ["2005-01-02", "2004-W53"],
    ["2005-01-03", "2005-W01"],
    ["2005-12-31", "2005-W52"],
    ["2006-01-01", "2005-W52"],
    ["2006-01-02", "2006-W01"],
    ["2007-12-30", "2007-W52"],
    ["2007-12-31", "2008-W01"],
    ["2008-12-29", "2009-W01"],
    ["2009-12-31", "2009-W53"],
    ["2010-01-03", "2009-W53"],
    ["2010-01-04", "2010-W01"],
    ["1970-01-01", "1970-W01"],
    ["2026-11-26", "2026-W48"],
  ]) {
    assert.equal(isoWeek(Date.parse(day)), week, day);
  }
});

test("every week begins on a Monday, and its name leads to its first day with an agenda", () => {
  for (let at = Date.parse(DAYS.min); at <= Date.parse(DAYS.max); at += 89 * DAY + 12345) {
    const start = monday(at);
    assert.equal(new Date(start).getUTCDay(), 1, isoDay(at));
    assert.ok(start <= at && at < start + 7 * DAY, isoDay(at));
    const span = weekSpan(at);
    assert.equal(firstDay(isoWeek(at)), isoDay(span.start), isoDay(at));
  }
});

test("a week that does not exist is none", () => {
  for (const text of ["2025-W00", "2025-W53", "2026-W54", "2026-W99", "1969-W52", "9999-W01", "2026-W5", "2026W48", "", undefined])
    assert.equal(firstDay(text), undefined, `${text}`);
  assert.equal(firstDay("2026-W53"), "2026-12-28");
});

test("the first and the last week have only the days with an agenda, and none is beyond them", () => {
  assert.deepEqual(Object.values(weekSpan(Date.parse(DAYS.min))).map(isoDay), ["1970-01-01", "1970-01-05"]);
  assert.equal(isoDay(weekSpan(Date.parse(DAYS.max)).end - DAY), DAYS.max);
  assert.equal(weekAway(DAYS.min, -1), undefined);
  assert.equal(weekAway(DAYS.max, 1), undefined);
  // A Monday goes back to a Thursday, where the first week begins.
  assert.equal(weekAway("1970-01-05", -1), "1970-01-01");
  assert.equal(weekAway("2031-05-06", 1), "2031-05-13");
  assert.equal(weekAway("2031-01-01", -1), "2030-12-25");
  assert.ok(isDay(weekAway("9998-12-24", 1)));
});

test("an address names a week by its number, or the present one by a word", () => {
  for (const [hash, place] of [
    ["#Hubble-Acad@2031-W19", { telescope: "Hubble-Acad", day: "2031-05-05", week: true }],
    ["#Hubble-Acad@semana", { telescope: "Hubble-Acad", day: undefined, week: true }],
    ["#a@b@1970-W01", { telescope: "a@b", day: "1970-01-01", week: true }],
    ["#Hubble-Acad@2031-W53", { telescope: "Hubble-Acad", strange: "2031-W53" }],
    ["#Hubble-Acad@2031-w19", { telescope: "Hubble-Acad", strange: "2031-w19" }],
  ]) {
    assert.deepEqual(parsePlace(hash), place, hash);
  }
  assert.equal(placeHash("Hubble-Acad", "2031-05-11", { week: true }), "#Hubble-Acad@2031-W19");
});

test("a night is from noon to noon, and until noon the present one is that of yesterday", () => {
  let now = Date.parse("2026-11-26T11:59:59Z");
  const selection = new Selection(() => now);
  selection.go({ telescope: HUBBLE, view: "night" });
  const night = { de: "2026-11-25T12:00:00.000Z", ate: "2026-11-26T12:00:00.000Z" };
  assert.deepEqual([selection.variables, selection.key], [night, "#Hubble-Acad@2026-11-25N"]);
  now = Date.parse("2026-11-26T12:00:00Z");
  assert.equal(selection.key, "#Hubble-Acad@2026-11-26N");
  for (const [hash, place] of [
    ["#Hubble-Acad@2031-05-06N", { telescope: "Hubble-Acad", day: "2031-05-06", night: true }],
    ["#Hubble-Acad@noite", { telescope: "Hubble-Acad", day: undefined, night: true }],
    ["#Hubble-Acad@2031-02-30N", { telescope: "Hubble-Acad", strange: "2031-02-30N" }],
    ["#Hubble-Acad@2031-05-06n", { telescope: "Hubble-Acad", strange: "2031-05-06n" }],
  ]) {
    assert.deepEqual(parsePlace(hash), place, hash);
  }
  selection.arrive(parsePlace("#Hubble-Acad@2031-05-06N"), [HUBBLE], HUBBLE);
  assert.deepEqual([selection.isNight, selection.isWeek, selection.day], [true, false, "2031-05-06"]);
  // Another view has the same day, and another day the same view.
  selection.go({ day: DAYS.max });
  assert.equal(selection.variables.ate, "9998-12-31T12:00:00.000Z");
  selection.go({ view: "week" });
  assert.deepEqual([selection.isNight, selection.isWeek, selection.day], [false, true, DAYS.max]);
  selection.go({ view: "day", day: "2031-05-06" });
  assert.equal(selection.key, "#Hubble-Acad@2031-05-06");
});

test("nights are turned one by one, also while one is still being read", () => {
  const selection = new Selection(() => Date.parse("2031-05-07T03:00:00Z"));
  const read = [];
  const reading = { agenda: {}, isSettled: false, read: () => read.push(selection.key) };
  const navigation = new Navigation(selection, reading, { now: () => NaN });
  selection.go({ telescope: HUBBLE, view: "night" });
  for (const rel of ["seguinte", "seguinte", "anterior"]) navigation.turn(rel);
  assert.deepEqual(read, ["2031-05-07N", "2031-05-08N", "2031-05-07N"].map((it) => `#Hubble-Acad@${it}`));
});

test("a week asks for its days at once, and the present one for those of the present instant", () => {
  const selection = new Selection(() => Date.parse("2026-11-26T23:59:59Z"));
  selection.go({ telescope: HUBBLE, view: "week" });
  const asked = { de: "2026-11-23T00:00:00.000Z", ate: "2026-11-30T00:00:00.000Z" };
  assert.deepEqual([selection.variables, selection.near], [asked, "2026-11-26"]);
  // A link that is passed on shows the same week later.
  assert.equal(selection.key, "#Hubble-Acad@2026-W48");
  // Back to the same week changes nothing: its day is still today.
  selection.arrive(parsePlace("#Hubble-Acad@2026-W48"), [HUBBLE], HUBBLE);
  assert.equal(selection.day, undefined);
  selection.go({ day: "1970-01-04" });
  assert.deepEqual(selection.variables, { de: "1970-01-01T00:00:00.000Z", ate: "1970-01-05T00:00:00.000Z" });
});

test("all days of a week are one choice, and the day before stays chosen in its week", () => {
  const selection = new Selection();
  selection.go({ telescope: HUBBLE, day: "2031-05-06" });
  selection.go({ view: "week" });
  assert.equal(selection.key, "#Hubble-Acad@2031-W19");
  const arrive = (hash) => selection.arrive(parsePlace(hash), [HUBBLE], HUBBLE);
  arrive("#Hubble-Acad@2031-W19");
  assert.deepEqual([selection.isWeek, selection.day], [true, "2031-05-06"]);
  arrive("#Hubble-Acad@2031-W20");
  assert.equal(selection.day, "2031-05-12");
  arrive("#Hubble-Acad@2031-05-14");
  assert.deepEqual([selection.isWeek, selection.day], [false, "2031-05-14"]);
  arrive("#Hubble-Acad@semana");
  assert.deepEqual([selection.isWeek, selection.day], [true, undefined]);
});

test("in a week a turn is seven days, also while one is still being read, and none goes past the ends", () => {
  const selection = new Selection(() => Date.parse("2031-05-06"));
  const read = [];
  const reading = { agenda: {}, isSettled: false, read: () => read.push(selection.key) };
  const navigation = new Navigation(selection, reading, { now: () => NaN });
  selection.go({ telescope: HUBBLE, view: "week" });
  navigation.turn("seguinte");
  navigation.turn("seguinte");
  navigation.turn("anterior");
  assert.deepEqual([selection.day, read], ["2031-05-13", ["@2031-W20", "@2031-W21", "@2031-W20"].map((it) => `#Hubble-Acad${it}`)]);
  selection.go({ day: DAYS.min });
  navigation.turn("anterior");
  assert.equal(read.length, 3);
});

// Tuesday and Wednesday, 6 and 7 May 2031.
const TWO_DAYS = { count: 576 };
const shown = (days) => days.map(({ bookings, mine, free }) => [bookings, mine, free]);

test("a day counts the bookings that touch it, one's own, and its free slots", () => {
  const agenda = new Agenda(answer([booking(1, 0, 2), booking(2, 100), booking(3, 286, 4), booking(4, 575)], TWO_DAYS));
  assert.deepEqual(shown(strips(agenda, 3)), [
    [3, 1, 283],
    [2, 1, 285],
  ]);
  agenda.apply(cancelled(booking(2, 100)));
  agenda.apply(booking(5, 300, 12));
  assert.deepEqual(shown(strips(agenda, 5)), [
    [2, 0, 284],
    [3, 1, 273],
  ]);
});

test("a booking is one stretch in each of its days, beside its neighbour", () => {
  const agenda = new Agenda(answer([booking(1, 72, 72), booking(2, 144, 72), booking(3, 282, 18)], TWO_DAYS));
  const [first, second] = strips(agenda, 2).map(({ runs }) => runs.map(({ kind, from, to }) => [kind, from, to]));
  assert.deepEqual(first, [
    ["other", 0.25, 0.5],
    ["mine", 0.5, 0.75],
    ["other", 282 / 288, 1],
  ]);
  assert.deepEqual(second, [["other", 0, 12 / 288]]);
  assert.equal(strips(agenda, 2)[0].runs[2].end, Date.parse(utc(300)));
});

test("a slot that was sold several times is a stretch of its own, with all of its bookings in the counts", () => {
  const [day] = strips(new Agenda(answer([booking(1, 0, 2), booking(2, 0), booking(3, 1), booking(4, 1)], { count: 288 }), true), 4);
  assert.deepEqual(
    day.runs.map(({ kind, from, to, sold }) => [kind, from * 288, to * 288, sold]),
    [
      ["sold", 0, 1, 2],
      ["sold", 1, 2, 3],
    ],
  );
  assert.deepEqual([day.bookings, day.mine, day.sold, day.free], [4, 1, 2, 286]);
  assert.match(dayTotals(day), /, 2 vendidos várias vezes, /);
});

test("what cannot be booked is a stretch, and what is past is none", () => {
  const one = answer([], { count: 288 });
  for (const [index, slot] of one.horarios.entries()) {
    if (index < 100) Object.assign(slot, { estado: "passado", _links: undefined });
    if (index >= 144 && index < 180) Object.assign(slot, { estado: "manutencao", _links: undefined });
  }
  const [day] = strips(new Agenda(one), 1);
  assert.deepEqual(day.runs, [{ kind: "closed", from: 0.5, to: 0.625, end: undefined, scientist: undefined }]);
  assert.deepEqual([day.free, day.gone], [288 - 100 - 36, false]);
});

test("a day is told in words, in both languages", () => {
  const start = Date.parse("2025-11-26");
  const day = { start, bookings: 12, mine: 0, free: 276, gone: false };
  assert.equal(dayLabel(day), "quarta-feira 26/11: 12 agendamentos, 276 horários livres");
  assert.equal(dayTotals({ ...day, bookings: 1, mine: 1, free: 1 }), "1 agendamento, 1 meu, 1 horário livre");
  assert.equal(dayTotals({ ...day, bookings: 0, free: 288 }), "nenhum agendamento, 288 horários livres");
  assert.equal(dayTotals({ ...day, free: 0 }), "12 agendamentos, nenhum horário livre");
  assert.equal(dayTotals({ ...day, free: 0, gone: true }), "12 agendamentos, já passou");
  assert.equal(dayTotals({ ...day, mine: 3 }, "_"), "12_agendamentos, 3_meus, 276_horários_livres");
  assert.match(weekTitle({ start: start - 2 * DAY, end: start + 5 * DAY }), /^24.–.30 de novembro de 2025 · semana 48$/);
  speak("en");
  assert.equal(dayLabel({ ...day, mine: 2 }), "Wednesday 26/11: 12 bookings, 2 mine, 276 free slots");
  assert.equal(dayTotals({ ...day, bookings: 0, free: 0, gone: true }), "no bookings, past");
  assert.match(weekTitle({ start: start - 2 * DAY, end: start + 5 * DAY }), /^24.–.30 November 2025 · week 48$/);
});

test("the hours are in UTC, and in each offset that the local zone has in the week", () => {
  const [start, end] = [Date.parse("2025-10-20"), Date.parse("2025-10-27")];
  process.env.TZ = "America/Sao_Paulo";
  const first = ({ zone, hours }) => [zone, hours[0], hours[7]];
  assert.deepEqual(hourRows({ start, end }, false).map(first), [["UTC", "00:00", "21:00"]]);
  assert.deepEqual(hourRows({ start, end }, true).map(first)[1], ["GMT-3", "21:00", "18:00"]);
  process.env.TZ = "Europe/Lisbon";
  // Summer time ends on October 26.
  assert.deepEqual(hourRows({ start, end }, true).slice(1).map((row) => first(row).slice(1)), [
    ["01:00", "22:00"],
    ["00:00", "21:00"],
  ]);
});
