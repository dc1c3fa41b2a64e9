// What the page reads, against a scheduler of this file's own: `fetch` is replaced.

import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";

import { Disputes, ENTRIES_MAX } from "../../assets/page/dispute.js";
import { People } from "../../assets/page/people.js";
import { Reading } from "../../assets/page/reading.js";
import { Navigation, Selection } from "../../assets/page/selection.js";
import { DAY, answer, booking, cancelled, utc } from "./world.mjs";

const [HUBBLE, WEBB] = ["Hubble-Acad", "Webb-Acad"].map((id) => ({
  id,
  _links: { agenda: { href: `agenda?telescopio=${id}{&de,ate}`, templated: true } },
}));
const SEARCH = { href: "cientistas{?busca,ativo,ids,limite}", templated: true };
const ONE = { href: "agendamentos/{id}", templated: true };
const LINKS = { agendamento: ONE, telescopios: { href: "telescopios" }, cientistas: { href: "cientistas" }, hora: { href: "time" } };

/// A scheduler whose answers come when they are let go, and the page's state that reads from it.
class Page {
  asked = [];
  told = [];
  scientists = [1, 2, 3].map((id) => ({ id, nome: `S${id}` }));
  mode = "com_trava";
  #waiting = [];

  constructor() {
    mock.method(globalThis, "fetch", (href) => {
      this.asked.push(href);
      return new Promise((resolve) => this.#waiting.push({ href, resolve }));
    });
    this.people = new People(2);
    this.selection = new Selection();
    this.reading = new Reading(this.selection, this.people);
    this.navigation = new Navigation(this.selection, this.reading, { now: () => Date.parse(utc(3)) });
    for (const name of ["asked", "agenda", "booking", "change", "people", "refreshed", "mode", "problem"])
      this.reading.addEventListener(name, () => this.told.push(name));
  }

  /// Answers the oldest request for `href` with JSON.
  async let(href, json, status = 200, headers = {}) {
    const index = this.#waiting.findIndex((one) => one.href.startsWith(href));
    assert.ok(index >= 0, `${href} was not asked for: ${this.asked}`);
    const [{ resolve }] = this.#waiting.splice(index, 1);
    resolve(new Response(JSON.stringify(json), { status, headers }));
    await new Promise(setImmediate);
  }

  /// Opens the page at the tests' day.
  async open(bookings = []) {
    const opened = this.reading.open();
    await this.let("/", { modo: this.mode, _links: LINKS });
    await this.let("telescopios", { telescopios: [HUBBLE, WEBB] });
    await this.let("cientistas", { cientistas: this.scientists, _links: { buscar: SEARCH } });
    await opened;
    this.navigation.arrive({ telescope: "Hubble-Acad", day: DAY }, HUBBLE);
    await this.let("agenda", answer(bookings, { links: { anterior: { href: "antes" }, seguinte: { href: "depois" } } }));
    this.told.length = this.asked.length = 0;
  }
}

afterEach(() => mock.reset());

test("a day that was chosen later is shown, whichever answer comes first", async () => {
  const page = new Page();
  await page.open();
  page.navigation.go({ telescope: WEBB });
  page.navigation.go({ telescope: HUBBLE, day: "2031-05-08" });
  assert.ok(!page.reading.isSettled, "nothing of the old agenda can be booked");
  await page.let("agenda?telescopio=Hubble-Acad", answer([], { first: 576 }));
  assert.ok(page.reading.isSettled);
  await page.let("agenda?telescopio=Webb-Acad", answer([], { telescope: "Webb-Acad" }));
  assert.deepEqual([page.reading.agenda.telescope, page.reading.agenda.start], ["Hubble-Acad", Date.parse(utc(576))]);
  assert.deepEqual(page.told, ["asked", "asked", "agenda"]);
});

test("a late refusal of an earlier question is no problem", async () => {
  const page = new Page();
  await page.open();
  page.navigation.go({ telescope: WEBB });
  page.navigation.go({ telescope: HUBBLE });
  await page.let("agenda?telescopio=Hubble-Acad", answer([]));
  await page.let("agenda?telescopio=Webb-Acad", {}, 500);
  assert.ok(!page.told.includes("problem"));
});

test("a server that takes no more requests for a while is asked again, and not before it says", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const page = new Page();
    await page.open();
    page.reading.read();
    await page.let("agenda", { codigo: "requisicoes_demais" }, 429, { "Retry-After": "60" });
    assert.deepEqual([page.told.at(-1), page.asked.length], ["problem", 1]);
    mock.timers.tick(60000);
    assert.equal(page.asked.length, 1);
    mock.timers.tick(5000);
    assert.equal(page.asked.length, 2);
    await page.let("agenda", answer([]));
    assert.equal(page.told.at(-1), "agenda");
    // What is wrong stays wrong.
    page.reading.read();
    await page.let("agenda", { codigo: "parametros_invalidos" }, 422);
    mock.timers.tick(60000);
    assert.equal(page.asked.length, 3);
  } finally {
    mock.timers.reset();
  }
});

test("an event that comes while the agenda is read is not undone by the answer", async () => {
  const page = new Page();
  await page.open([booking(1, 3)]);
  page.reading.read();
  assert.ok(page.reading.apply(booking(2, 5)));
  assert.ok(page.reading.apply(cancelled(booking(1, 3))));
  await page.let("agenda", answer([booking(1, 3)]));
  assert.deepEqual(page.reading.agenda.slots.map(({ booking: one }) => one?.id).filter(Boolean), [2]);
  assert.equal(page.reading.apply(booking(2, 5)), false, "it says nothing new");
});

test("a change is a reason to read the agenda that shows where the booking was or is, and no other", async () => {
  const page = new Page();
  await page.open();
  const [here, after, there] = [booking(1, 3), booking(1, 12), booking(1, 3, 1, { telescopio: "Webb-Acad" })];
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    for (const [places, readings] of [
      [[here, there], 1], [[there, here], 1], [[after, here], 1], [[here, here], 1],
      [[there, after], 0], [[after, there], 0], [[after, after], 0], [[there, there], 0],
    ]) {
      page.asked.length = 0;
      page.reading.hearChange(places);
      mock.timers.tick(60000);
      assert.equal(page.asked.length, readings, JSON.stringify(places));
      if (readings) await page.let("agenda", answer([]));
    }
    for (const [telescope, readings] of [["Hubble-Acad", 1], [WEBB.id, 0]]) {
      page.asked.length = 0;
      page.reading.hearTelescope(telescope);
      mock.timers.tick(60000);
      assert.equal(page.asked.length, readings, telescope);
      if (readings) await page.let("agenda", answer([]));
    }
    // The agenda that is being read may be older than the change.
    page.navigation.go({ telescope: WEBB });
    page.asked.length = 0;
    page.reading.hearChange([there, there]);
    mock.timers.tick(60000);
    assert.equal(page.asked.length, 1);
  } finally {
    mock.timers.reset();
  }
});

test("a scientist who is not known is asked for once", async () => {
  const page = new Page();
  await page.open();
  page.reading.apply(booking(9, 1));
  await page.let("cientistas?ids=9", { cientistas: [{ id: 9, nome: "Vera Rubin" }], _links: {} });
  assert.equal(page.people.nameOf(9), "Vera Rubin");
  page.reading.apply(booking(8, 2));
  await page.let("cientistas?ids=8", { cientistas: [], _links: {} });
  page.reading.apply(booking(8, 4));
  page.reading.apply({ ...booking(7, 5), cientista_id: 8 });
  assert.equal(page.asked.length, 2);
  assert.equal(page.told.filter((name) => name === "people").length, 2);
});

test("a booking's links are read, once at a time", async () => {
  const page = new Page();
  await page.open();
  const heard = { ...booking(1, 3), _links: undefined };
  page.reading.apply(heard);
  page.reading.refresh(heard);
  page.reading.refresh(heard);
  await page.let("agendamentos/1", { ...booking(1, 3), _links: { cancelar: { href: "agendamentos/1" } } });
  assert.equal(page.asked.length, 1);
  assert.ok(heard._links.cancelar);
});

test("if the booking was cancelled meanwhile, its links tell so", async () => {
  const page = new Page();
  await page.open();
  const heard = { ...booking(1, 3), _links: undefined };
  page.reading.apply(heard);
  page.reading.refresh(heard);
  await page.let("agendamentos/1", cancelled(booking(1, 3)));
  assert.equal(page.reading.agenda.slots[3].booking, undefined);
});

test("a refused agenda is not asked for again, an unanswered one is", async () => {
  const page = new Page();
  await page.open();
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    for (const [status, again] of [[422, 0], [500, 1]]) {
      page.asked.length = 0;
      page.reading.read();
      await page.let("agenda", { detail: "não" }, status);
      mock.timers.tick(6000);
      assert.equal(page.asked.length - 1, again, `${status}`);
    }
  } finally {
    mock.timers.reset();
  }
});

test("several reasons to read again are one reading", async () => {
  const page = new Page();
  await page.open();
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    for (let times = 0; times < 5; times += 1) page.reading.reread();
    mock.timers.tick(2000);
    assert.equal(page.asked.length, 1);
  } finally {
    mock.timers.reset();
  }
});

test("each turn counts, and only the agenda's own links are followed", async () => {
  const page = new Page();
  await page.open();
  page.navigation.turn("seguinte");
  page.navigation.turn("seguinte");
  assert.equal(page.selection.day, "2031-05-08");
  assert.deepEqual(page.asked.map((href) => href.split("?")[0]), ["depois", "agenda"]);
  page.navigation.turn("anterior", true);
  assert.equal(page.selection.day, "2031-05-07");
});

test("one choice is one step back, and an address or a held key is none", async () => {
  const page = new Page();
  await page.open();
  const { selection } = page;
  assert.equal(selection.takeStep(), false, "the page was opened here");
  selection.go({ day: "2031-05-07" });
  assert.deepEqual([selection.takeStep(), selection.takeStep()], [true, false]);
  selection.go({ day: "2031-05-08", again: true });
  assert.equal(selection.takeStep(), false);
  selection.go({ day: undefined });
  selection.arrive({ telescope: "Webb-Acad", day: DAY }, [HUBBLE, WEBB], HUBBLE);
  assert.deepEqual([selection.takeStep(), selection.telescope, selection.key], [false, WEBB, `#Webb-Acad@${DAY}`]);
});

test("today has no variables, and another day has its own", () => {
  const selection = new Selection();
  selection.go({ telescope: HUBBLE });
  assert.deepEqual(selection.variables, {});
  selection.go({ day: "2031-12-31" });
  assert.deepEqual(selection.variables, { de: "2031-12-31T00:00:00Z", ate: "2032-01-01T00:00:00.000Z" });
});

test("an address that leads nowhere is told of until something is chosen", () => {
  const selection = new Selection();
  selection.arrive({ telescope: "Nope", strange: "2031-11-31" }, [HUBBLE, WEBB], WEBB);
  assert.equal(selection.telescope, WEBB);
  assert.deepEqual(selection.astray, { telescope: "Nope", strange: "2031-11-31" });
  selection.go({ day: "2031-12-01" });
  assert.deepEqual(selection.astray, {});
});

test("the focus returns once", () => {
  const selection = new Selection();
  selection.returnTo([3, 5]);
  assert.deepEqual([selection.takeReturn(), selection.takeReturn()], [[3, 5], undefined]);
});

test("a contest counts all requests, and lists as many as are shown", () => {
  const disputes = new Disputes();
  const start = utc(3);
  for (let round = 0; round < 3; round += 1) {
    disputes.refused({
      telescopio: "Hubble-Acad",
      horario_inicio_utc: start,
      recusados: 10,
      pedidos: Array.from({ length: 10 }, (_, index) => ({
        cientista_id: index,
        codigo: "recurso_ocupado",
        utc: `2031-05-01T00:00:0${round}.${index}Z`,
        req: `${round}-${index}`,
      })),
    });
  }
  const { entries, refused } = disputes.of("Hubble-Acad", [start]);
  assert.deepEqual([entries.length, refused], [ENTRIES_MAX, 30]);
  assert.deepEqual(entries.map(({ utc: at }) => at), entries.map(({ utc: at }) => at).toSorted());
  assert.deepEqual(disputes.of("Webb-Acad", [start]), { entries: [], refused: 0 });
});

test("a booking in a contest is one entry, and its cancellation another", () => {
  const disputes = new Disputes();
  const made = booking(1, 3);
  for (const event of [cancelled(made), made, made]) disputes.booked(event);
  const { entries } = disputes.of("Hubble-Acad", [utc(3)]);
  assert.deepEqual(entries.map(({ outcome }) => outcome), ["won", "cancelled"]);
});
