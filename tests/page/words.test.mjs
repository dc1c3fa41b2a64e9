import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { expand } from "../../assets/page/api.js";
import en from "../../assets/page/en.js";
import { known, phrase, speak, t, translated } from "../../assets/page/i18n.js";
import pt from "../../assets/page/pt.js";

afterEach(() => speak("pt"));

const names = (words) => [...words.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

test("both languages use the same values", () => {
  for (const key of Object.keys(pt)) assert.deepEqual(names(en[key]), names(pt[key]), key);
});

test("a value may be an element, and a missing one is nothing", () => {
  const element = { textContent: "M31" };
  assert.deepEqual(phrase("history.target", { target: element }), ["alvo: ", element, ""]);
  assert.equal(t("history.target"), "alvo: ");
  assert.equal(t("history.target", { target: "{name}" }), "alvo: {name}", "a value is no template");
});

test("the server's words are used where the page has none", () => {
  assert.match(translated("em_carencia"), /foi reiniciado/);
  assert.equal(translated("campos_invalidos"), undefined);
  speak("en");
  assert.equal(translated("campos_invalidos"), "Some fields need to be corrected.");
  assert.equal(translated("de_amanha"), undefined);
  assert.equal(known("field.de_amanha"), undefined);
  assert.equal(known("field.obrigatorio"), "field.obrigatorio");
});

test("a template takes the variables that have a value", () => {
  const template = "agenda{?de,ate}";
  assert.equal(expand(template, {}), "agenda");
  assert.equal(expand(template, { ate: "x" }), "agenda?ate=x");
  assert.equal(expand(template, { de: "2031-05-06T00:00:00Z", ate: 0 }), "agenda?de=2031-05-06T00%3A00%3A00Z&ate=0");
  assert.equal(expand("livres?telescopio=a{&perto_de}", { perto_de: "é&" }), "livres?telescopio=a&perto_de=%C3%A9%26");
  assert.equal(expand("x{&a}", { a: null }), "x");
});
