// Whether bookings are paused: what the answers of `pronto` mean, and when the page asks.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Readiness, pausedBy } from "../../assets/page/ready.js";

const LINK = { href: "pronto" };
const answer = (coordenador, more = {}) => ({
  status: "indisponivel",
  partes: { banco: "ok", coordenador, auditoria: "ok" },
  carencia_resta_ms: null,
  ...more,
});
const READY = answer("ok", { status: "pronto" });
const AWAY = answer("não respondeu");

test("an answer says why bookings are paused", () => {
  assert.equal(pausedBy(READY), undefined);
  assert.equal(pausedBy(answer("não usado", { status: "pronto" })), undefined, "without locks");
  assert.equal(pausedBy(AWAY), "coordinator");
  assert.equal(pausedBy(answer("faltam 9 s", { carencia_resta_ms: 8812 })), "grace");
  assert.equal(pausedBy(answer("ok", { partes: { banco: "cheio", coordenador: "ok" } })), "server");
  assert.equal(pausedBy(answer("ok", { partes: { banco: "cheio", coordenador: "não usado" } })), "server");
  for (const none of [undefined, {}, { codigo: "encerrando", status: 503 }]) assert.equal(pausedBy(none), undefined);
});

let asked;
let told;

beforeEach(() => {
  [asked, told] = [[], []];
  mock.timers.enable({ apis: ["setTimeout"] });
  mock.method(Math, "random", () => 0.5);
  mock.method(globalThis, "fetch", () => new Promise((resolve, reject) => asked.push({ resolve, reject })));
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

/// Answers the last question.
async function say(json, status = json.status === "pronto" ? 200 : 503) {
  asked.at(-1).resolve(new Response(JSON.stringify(json), { status }));
  await new Promise(setImmediate);
}

function readiness() {
  const ready = new Readiness();
  ready.addEventListener("change", () => told.push(ready.paused));
  return ready;
}

test("a page asks again while bookings are paused, and when a grace is over", async () => {
  const ready = readiness();
  ready.ask(LINK);
  mock.timers.tick(749);
  assert.equal(asked.length, 0, "not all pages at once");
  mock.timers.tick(1);
  await say(AWAY);
  mock.timers.tick(10749);
  assert.equal(asked.length, 1);
  mock.timers.tick(1);
  await say(answer("faltam 2 s", { carencia_resta_ms: 2000 }));
  mock.timers.tick(2750);
  await say(READY);
  assert.deepEqual(told, ["coordinator", "grace", undefined]);
  mock.timers.tick(100000);
  assert.equal(asked.length, 3, "no one asks when nothing is paused");
});

test("only the answer to the last question counts, and none after a rest", async () => {
  const ready = readiness();
  ready.ask(LINK);
  mock.timers.tick(750);
  ready.ask(LINK);
  await say(AWAY);
  assert.deepEqual(told, []);
  mock.timers.tick(750);
  ready.rest();
  await say(AWAY);
  mock.timers.tick(100000);
  assert.deepEqual([told, asked.length], [[], 2]);
});

test("a server that does not answer cannot book, and is asked again", async () => {
  const ready = readiness();
  ready.ask(LINK);
  mock.timers.tick(750);
  asked.at(-1).reject(new TypeError("away"));
  await new Promise(setImmediate);
  mock.timers.tick(10750);
  // A proxy answers in place of the server.
  asked.at(-1).resolve(new Response("<h1>Bad Gateway</h1>", { status: 502 }));
  await new Promise(setImmediate);
  mock.timers.tick(10750);
  await say(READY);
  mock.timers.tick(100000);
  assert.deepEqual([told, asked.length], [["away", "away", undefined], 3]);
});

test("an answer that is not about bookings says nothing about them", async () => {
  const ready = readiness();
  ready.ask(LINK);
  mock.timers.tick(750);
  await say({ codigo: "encerrando" }, 503);
  ready.ask(LINK);
  mock.timers.tick(750);
  await say({}, 404);
  assert.deepEqual(told, [undefined, undefined]);
});
