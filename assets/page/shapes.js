// What an operator may say about each resource: a small description of each field, from which the forms are made. The words of
// a field stand under `label.` and its name. No DOM.

/// A field {name, kind, max, once, none, usual, choices}: `choices` are the values of a choice, whose words stand under `choice.`; `once` are those that are said when the resource is made, and never change; an empty
/// text is `none`; `usual` is what a new resource has.
const field = (name, kind, more) => ({ name, kind, ...more });
const rule = (name, kind) => field(`regras.${name}`, kind, { group: "rules" });

/// The longest name or title.
const NAME = { max: 200 };

/// The fields of each list of the catalogue, by the list's name.
export const SHAPES = {
  telescopios: [
    field("id", "text", { max: 64, once: true }),
    field("nome", "text", NAME),
    field("simulado", "flag", { once: true }),
    field("ativo", "flag", { usual: true }),
    rule("duracao_max_min", "number"),
    rule("antecedencia_min_min", "number"),
    rule("cancelamento_min_min", "number"),
    rule("horizonte_dias", "number"),
    rule("abre_as_utc", "time"),
    rule("cota_ativas", "number"),
    rule("cota_dia_min", "number"),
    rule("exige_proposta", "flag"),
    { ...rule("disputa", "choice"), choices: ["ordem", "sorteio", "chegada"], usual: "ordem" },
    rule("horas_de_operacao", "hours"),
  ],
  cientistas: [
    field("nome", "text", NAME),
    field("instituicao", "text", NAME),
    field("pais", "text", { max: 2 }),
    field("ativo", "flag", { usual: true }),
  ],
  propostas: [
    field("titulo", "text", NAME),
    field("responsavel_id", "scientist"),
    field("membros", "scientists"),
    field("inicio_utc", "instant"),
    field("fim_utc", "instant"),
    field("alocado_min", "minutes"),
    field("ativa", "flag", { usual: true }),
  ],
};

/// A maintenance, which is made and taken away, and never changed.
export const MAINTENANCE = [
  field("inicio_utc", "instant"),
  field("fim_utc", "instant"),
  field("motivo", "text", NAME),
  field("semanal_ate_utc", "instant"),
];

/// What is said of a booking for which one waits.
export const WAIT = [field("alvo", "text", { max: 200, none: null }), field("observacoes", "lines", { max: 2000 })];

/// A booking that is changed.
export const BOOKING = [
  field("horario_inicio_utc", "instant"),
  field("duracao_min", "duration"),
  field("telescopio", "telescope"),
  ...WAIT,
];

/// The value at a path of names, like `regras.cota_ativas`.
export const valueAt = (item, path) => path.split(".").reduce((value, name) => value?.[name], item);

/// Puts a value at a path of names.
export function putAt(item, path, value) {
  const names = path.split(".");
  const last = names.pop();
  let place = item;
  for (const name of names) place = place[name] ??= {};
  place[last] = value;
}

/// What a new resource is made of: `values` are [field, value]. What nobody has said is left out.
export function bodyOf(values) {
  const body = {};
  for (const [{ name }, value] of values) if (value !== null && value !== "") putAt(body, name, value);
  return body;
}

/// What a merge patch says (RFC 7396): only what has become otherwise. `values` are [field, value, value before].
export function patchOf(values) {
  const patch = {};
  for (const [{ name, kind }, value, before] of values) {
    if (JSON.stringify(value) === JSON.stringify(before)) continue;
    putAt(patch, name, kind === "minutes" ? minutesPatch(value, before) : value);
  }
  return patch;
}

/// Of the minutes at telescopes: a telescope that is there no longer is taken away.
function minutesPatch(value, before) {
  const gone = Object.keys(before).filter((telescope) => !(telescope in value));
  return { ...Object.fromEntries(gone.map((telescope) => [telescope, null])), ...value };
}

/// A whole number that was typed: null if nothing was, and the text itself if it is none, which the server refuses with words.
export function numberOf(text) {
  const typed = text.trim();
  if (!typed) return null;
  return /^-?\d{1,15}$/.test(typed) ? Number(typed) : typed;
}

/// An instant of a field in UTC, 2031-05-06T22:00, as the wire has it; null for an empty field.
export const instantOf = (text) => (text ? new Date(`${text}Z`).toISOString() : null);

/// The text of such a field for an instant of the wire: with seconds only if it has some.
export const fieldOf = (utc) => (utc ? new Date(utc).toISOString().slice(0, 19).replace(/:00$/, "") : "");
