// Events as they come, and as a program forges them: the page does nothing but read again.

import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";

import { follow } from "../../assets/page/api.js";
import { readBooking, readChange, readChannel, readDispute, readTelescope } from "../../assets/page/heard.js";
import { People } from "../../assets/page/people.js";
import { Reading } from "../../assets/page/reading.js";
import { Navigation, Selection } from "../../assets/page/selection.js";
import { DAY, answer, booking, utc } from "./world.mjs";

const EVIL = { href: "http://evil.example/", method: "DELETE" };
/// An event as the server sends it.
const told = (more = {}) => ({
  id: 7,
  telescopio: "Hubble-Acad",
  cientista_id: 3,
  horario_inicio_utc: "2031-05-06T03:00:00Z",
  horario_fim_utc: "2031-05-06T03:10:00Z",
  duracao_min: 10,
  status: "AGENDADO",
  alvo: "M31",
  observacoes: null,
  instante_clique_utc: null,
  criado_em_utc: "2031-05-01T00:00:00.123456Z",
  cancelado_em_utc: null,
  motivo_cancelamento: null,
  ...more,
});
const CANCELLED = { status: "CANCELADO", cancelado_em_utc: "2031-05-01T00:00:01.000000Z" };
const read = (event, name = "criado") => readBooking(JSON.stringify(event), name);

afterEach(() => mock.reset());

test("an event is read as identity and state, without links and what else it has", () => {
  assert.deepEqual(read(told({ _links: { self: EVIL }, req: "a-1", __proto__: { x: 1 } })), told());
  assert.equal(read(told(CANCELLED), "cancelado").status, "CANCELADO");
  assert.ok(read(told({ alvo: "🔭".repeat(200) })));
});

test("a change is read with both places, and only with both", () => {
  const antes = { telescopio: "Webb-Acad", horario_inicio_utc: "2031-05-06T01:00:00Z", horario_fim_utc: "2031-05-06T01:10:00Z" };
  const change = (more) => readChange(JSON.stringify(told({ antes, ...more })));
  assert.deepEqual(change({ antes: { ...antes, _links: { self: EVIL } } }), [antes, told()]);
  for (const wrong of [
    { antes: undefined }, { antes: null }, { antes: [] }, { antes: { ...antes, telescopio: "" } },
    { antes: { ...antes, horario_fim_utc: "2031-05-06T01:01:00Z" } }, { id: 0 }, CANCELLED,
  ]) {
    assert.equal(change(wrong), undefined, JSON.stringify(wrong));
  }
});

test("an event with a wrong field says nothing", () => {
  for (const wrong of [
    { id: "7" }, { id: 0 }, { id: 7.5 }, { id: 2 ** 60 }, { id: "7/../../cientistas" },
    { telescopio: "" }, { telescopio: null }, { telescopio: "x".repeat(5000) }, { telescopio: {} },
    { cientista_id: "<b>" }, { cientista_id: -1 },
    { horario_inicio_utc: "2031-05-06T03:01:00Z" }, { horario_inicio_utc: 0 }, { horario_inicio_utc: "amanhã" },
    { horario_inicio_utc: "2031-13-06T03:00:00Z" }, { horario_fim_utc: "2031-05-06T03:00:00Z" },
    { horario_fim_utc: "2031-05-06T02:00:00Z" }, { horario_fim_utc: "9031-05-06T03:10:00Z" },
    { duracao_min: 1e9 }, { duracao_min: 5 },
    { status: "OUTRO" }, { status: "CANCELADO" }, CANCELLED, { cancelado_em_utc: "2031-05-01T00:00:01Z" },
    { alvo: {} }, { observacoes: "x".repeat(9000) }, { motivo_cancelamento: 1 },
    { criado_em_utc: "ontem" }, { criado_em_utc: undefined }, { instante_clique_utc: "x" },
  ]) {
    assert.equal(read(told(wrong)), undefined, JSON.stringify(wrong));
  }
  for (const text of ["", "null", "[]", "7", "{", "{}", '"x"']) {
    const reads = [readBooking(text, "criado"), readDispute(text), readChannel(text), readTelescope(text)];
    assert.deepEqual(reads, [undefined, undefined, undefined, undefined], text);
  }
  assert.deepEqual(['{"ligado":true}', '{"ligado":false}', '{"ligado":1}'].map(readChannel), [true, false, undefined]);
  assert.deepEqual(['{"telescopio":"T","req":"a-1"}', '{"telescopio":7}', '{"telescopio":""}'].map(readTelescope), ["T", undefined, undefined]);
});

test("refusals are read, and none of them looks like a booking", () => {
  const one = { cientista_id: 3, codigo: "recurso_ocupado", utc: "2031-05-01T00:00:00.5Z", req: "a-1" };
  const all = { telescopio: "T", horario_inicio_utc: "2031-05-06T03:00:00Z", recusados: 9, pedidos: [one, one] };
  const dispute = (more) => readDispute(JSON.stringify({ ...all, ...more }));
  assert.deepEqual(dispute({ _links: { self: EVIL } }), all);
  for (const wrong of [
    { recusados: 0 }, { recusados: "9" }, { pedidos: {} }, { pedidos: [null] }, { pedidos: Array(21).fill(one) },
    ...["won", "cancelled", "", "<b>", 7].map((codigo) => ({ pedidos: [{ ...one, codigo }] })),
    { pedidos: [{ ...one, cientista_id: "x" }] }, { pedidos: [{ ...one, utc: "x" }] }, { pedidos: [{ ...one, req: "" }] },
  ]) {
    assert.equal(dispute(wrong), undefined, JSON.stringify(wrong));
  }
});

test("a link is followed only with the method that is expected of it", async () => {
  const asked = mock.method(globalThis, "fetch", async () => new Response("{}"));
  for (const [link, method] of [[EVIL, undefined], [EVIL, "POST"], [{ href: "a" }, "DELETE"], [{ href: "a", method: "POST" }, "GET"]]) {
    await assert.rejects(follow(link, { method }));
  }
  assert.equal(asked.mock.callCount(), 0);
  await follow({ href: "a" });
  await follow({ href: "b", method: "POST" }, { method: "POST" });
  await follow({ href: "c/{id}{?x}", templated: true }, { variables: { id: "7/é", x: 1 } });
  assert.deepEqual(asked.mock.calls.map(({ arguments: [href, { method }] }) => [href, method]), [
    ["a", "GET"], ["b", "POST"], ["c/7%2F%C3%A9?x=1", "GET"],
  ]);
});

test("after a forged event the page only reads: the booking, and then the agenda, which is right again", async () => {
  const real = booking(1, 3);
  const asked = [];
  const ANSWERS = {
    "/": { modo: "com_trava", _links: {
      telescopios: { href: "t" }, cientistas: { href: "c" }, agendamento: { href: "b/{id}", templated: true },
    } },
    t: { telescopios: [{ id: "Hubble-Acad", _links: { agenda: { href: "agenda{?de,ate}", templated: true } } }] },
    c: { cientistas: [{ id: 1, nome: "S1" }, { id: 3, nome: "S3" }] },
  };
  mock.method(globalThis, "fetch", async (href, { method }) => {
    asked.push(`${method} ${href}`);
    const found = href.startsWith("agenda") ? answer([real]) : ANSWERS[href];
    return new Response(JSON.stringify(found ?? { codigo: "agendamento_desconhecido" }), { status: found ? 200 : 404 });
  });
  const settled = async () => {
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  };
  const [people, selection] = [new People(1), new Selection()];
  const reading = new Reading(selection, people);
  const navigation = new Navigation(selection, reading, { now: () => Date.parse(utc(3)) });
  await reading.open();
  navigation.arrive({ telescope: "Hubble-Acad", day: DAY }, reading.telescopes[0]);
  await settled();
  asked.length = 0;
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    // A booking that does not exist, and the end of one that stands.
    const forged = [
      read(told({ horario_inicio_utc: utc(5), horario_fim_utc: utc(7), _links: { self: EVIL, cancelar: EVIL } })),
      read(told({ ...real, ...CANCELLED, duracao_min: 5, _links: { agendar: EVIL } }), "cancelado"),
    ];
    for (const event of forged) assert.ok(reading.hear(event));
    assert.deepEqual(asked, []);
    reading.refresh(reading.agenda.slots[5].booking);
    await settled();
    mock.timers.tick(30000);
    await settled();
    assert.deepEqual(asked.map((one) => one.split("?")[0]), ["GET b/7", "GET agenda"]);
    assert.deepEqual(reading.agenda.slots.map(({ booking: one }) => one?.id).filter(Boolean), [1]);
    // The true end of that booking is heard later.
    assert.ok(reading.hear(read(told({ ...real, ...CANCELLED, duracao_min: 5 }), "cancelado")));
  } finally {
    mock.timers.reset();
  }
});
