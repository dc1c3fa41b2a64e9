// A list of the catalogue that is longer than one answer, against a scheduler of this file's own: `fetch` is replaced.

import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";

import { Listing } from "../../assets/page/listing.js";

const item = (id, more = {}) => ({ id, nome: `T${id}`, ativo: true, ...more });
const SEARCH = { href: "t{?busca,ativo,ids,limite}", templated: true };
const FIRST = { telescopios: [item("a"), item("b", { ativo: false })], _links: { self: { href: "t" }, buscar: SEARCH, proxima: { href: "t2" } } };

/// A list, and the addresses that it asks for. `answers` are by address; others are empty pages.
function opened(answers = {}) {
  const asked = [];
  mock.method(globalThis, "fetch", async (href) => {
    asked.push(href);
    return new Response(JSON.stringify(answers[href] ?? { telescopios: [], _links: {} }));
  });
  const listing = new Listing("telescopios");
  listing.take(FIRST);
  return { listing, asked };
}

afterEach(() => mock.reset());

test("what is out of service is not offered, unless it is chosen already", () => {
  const { listing } = opened();
  const ids = (chosen) => listing.choices(listing.of(chosen)).map(({ id }) => id);
  assert.deepEqual([ids(), ids("b"), listing.isWhole], [["a"], ["a", "b"], false]);
  assert.equal(listing.usual.id, "a");
  listing.learn([item("a", { ativo: false })]);
  assert.deepEqual([ids(), listing.usual.id], [[], "a"], "there is always one to show");
  listing.learn([item("a"), item("z")]);
  assert.deepEqual(ids("z"), ["z", "a"], "it is in no first page");
});

test("ids that are not known are asked for at once, and those that do not exist once", async () => {
  const { listing, asked } = opened({ "t?ids=c%2Cd&limite=100": { telescopios: [item("c")], _links: {} } });
  assert.equal(await listing.meet(["a", "c", "d", "c"]), true);
  assert.equal(await listing.meet(["c", "d"]), false);
  assert.deepEqual(asked, ["t?ids=c%2Cd&limite=100"]);
  assert.deepEqual([listing.of("c").nome, listing.of("d")], ["Tc", undefined]);
  const many = Array.from({ length: 150 }, (_, index) => 1000 + index);
  await listing.meet(many);
  assert.deepEqual(asked.slice(1).map((href) => href.split("%2C").length), [100, 50]);
});

test("a search asks for what may be chosen, or for all, and knows what it found", async () => {
  const found = { telescopios: [item("q")], _links: { proxima: { href: "more" } } };
  const { listing, asked } = opened({ "t?busca=r%C3%A1dio&ativo=true&limite=20": found });
  const { items, more } = await listing.find(" rádio ");
  assert.deepEqual([items[0].id, more.href, listing.of("q").nome], ["q", "more", "Tq"]);
  await listing.find("", true);
  assert.equal(asked.at(-1), "t?limite=20");
});

test("what was changed here is known at once, and the first page is read again", async () => {
  const { listing, asked } = opened({ t: { ...FIRST, telescopios: [item("a", { ativo: false }), item("n")] } });
  await listing.changed(item("n"));
  assert.deepEqual(asked, ["t"]);
  assert.deepEqual(listing.choices().map(({ id }) => id), ["n"]);
});

test("what was changed elsewhere is read again, if it is known, and so is the first page", async () => {
  const { listing, asked } = opened({
    "t?ids=a&limite=100": { telescopios: [item("a", { nome: "Novo" })], _links: {} },
    t: { ...FIRST, telescopios: [item("a", { nome: "Novo" })] },
  });
  await listing.renew(["a", "z"]);
  assert.deepEqual([asked, listing.of("a").nome], [["t?ids=a&limite=100", "t"], "Novo"]);
});
