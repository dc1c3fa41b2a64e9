// What a form sends: a new resource, or a merge patch of what has become otherwise.

import assert from "node:assert/strict";
import test from "node:test";

import en from "../../assets/page/en.js";
import { MAINTENANCE, SHAPES, bodyOf, fieldOf, instantOf, numberOf, patchOf, valueAt } from "../../assets/page/shapes.js";

/// Those of inputs.js, which needs a browser.
const KINDS = ["text", "number", "time", "instant", "flag", "scientist", "scientists", "minutes", "hours", "choice"];
const of = (name, kind = "text") => ({ name, kind });

test("a new resource is made of what was said", () => {
  const values = [[of("id"), "X"], [of("nome"), ""], [of("regras.cota_ativas"), 3], [of("regras.abre_as_utc"), null], [of("ativo"), false]];
  assert.deepEqual(bodyOf(values), { id: "X", regras: { cota_ativas: 3 }, ativo: false });
});

test("a patch has what has become otherwise, and null takes a rule or a telescope away", () => {
  const minutes = of("alocado_min", "minutes");
  const values = [
    [of("nome"), "Y", "X"],
    [of("pais"), "BR", "BR"],
    [of("regras.cota_ativas"), null, 3],
    [of("membros"), [1, 2], [1, 2]],
    [minutes, { b: 5, c: 7 }, { a: 1, b: 5 }],
  ];
  assert.deepEqual(patchOf(values), { nome: "Y", regras: { cota_ativas: null }, alocado_min: { a: null, b: 5, c: 7 } });
  assert.deepEqual(patchOf([[minutes, { a: 1 }, { a: 1 }]]), {});
});

test("numbers and instants are read as they are typed, and the server judges what is neither", () => {
  assert.deepEqual(["", " 12 ", "-5", "1,5", "doze"].map(numberOf), [null, 12, -5, "1,5", "doze"]);
  assert.equal(instantOf(""), null);
  assert.equal(instantOf("2031-05-06T22:00"), "2031-05-06T22:00:00.000Z");
  for (const field of ["2031-05-06T22:00", "2031-05-06T22:00:01"]) assert.equal(fieldOf(instantOf(field)), field);
  assert.equal(fieldOf("2031-05-06T22:00:00.000000Z"), "2031-05-06T22:00");
  assert.equal(valueAt({ regras: { a: { b: 1 } } }, "regras.a.b"), 1);
  assert.equal(valueAt({}, "regras.a"), undefined);
});

test("each field has a label in both languages, and a kind", () => {
  for (const { name, kind, choices = [] } of [...Object.values(SHAPES).flat(), ...MAINTENANCE]) {
    assert.ok(`label.${name}` in en, name);
    assert.ok(KINDS.includes(kind), `${name}: ${kind}`);
    for (const choice of choices) assert.ok(`choice.${choice}` in en, choice);
  }
});
