// What an event may say: which booking it is about and in which state that is, or which requests were refused. Every program
// that reaches the coordinator can publish an event. So each field is checked before it is used, and everything else is
// dropped, above all links: these come from answers alone. No DOM.

import { FINAL } from "./agenda.js";
import { MINUTE_MS } from "./instants.js";

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/;
const GRID_MS = 5 * MINUTE_MS;
const LONGEST_MIN = 24 * 60;
/// As many refused requests as an event lists.
const REQUESTS_MAX = 20;

const isCount = (value) => Number.isSafeInteger(value) && value > 0;
/// The server counts characters, of which one may be two units of a text here.
const isText = (most) => (value) => typeof value === "string" && value.length <= 2 * most;
const isName = (value) => isText(100)(value) && value !== "";
const isInstant = (value) => typeof value === "string" && INSTANT.test(value) && Number.isFinite(Date.parse(value));
const isSlot = (value) => isInstant(value) && Date.parse(value) % GRID_MS === 0;
const orNull = (is) => (value) => value == null || is(value);

const BOOKING = {
  id: isCount,
  telescopio: isName,
  cientista_id: isCount,
  horario_inicio_utc: isSlot,
  horario_fim_utc: isSlot,
  duracao_min: (value) => isCount(value) && value <= LONGEST_MIN,
  status: (value) => value === "AGENDADO" || value === FINAL,
  alvo: orNull(isText(200)),
  observacoes: orNull(isText(2000)),
  instante_clique_utc: orNull(isInstant),
  criado_em_utc: isInstant,
  cancelado_em_utc: orNull(isInstant),
  motivo_cancelamento: orNull(isText(500)),
  abre_em_utc: orNull(isInstant),
};
const PLACE = { telescopio: isName, horario_inicio_utc: isSlot, horario_fim_utc: isSlot };
const REFUSED = {
  cientista_id: isCount,
  // What a refusal is called; a booking and its end are told by events of their own.
  codigo: (value) => /^[a-z_]{1,60}$/.test(value) && value !== "won" && value !== "cancelled",
  utc: isInstant,
  req: isName,
};
const DISPUTE = {
  telescopio: isName,
  horario_inicio_utc: isSlot,
  recusados: isCount,
  pedidos: (value) => Array.isArray(value) && value.length <= REQUESTS_MAX,
};

/// The fields of `said` that `shape` names; undefined if one of them is not as it should be.
function only(shape, said) {
  const fields = Object.entries(shape);
  if (typeof said !== "object" || !said || !fields.every(([name, is]) => is(said[name]))) return undefined;
  return Object.fromEntries(fields.filter(([name]) => name in said).map(([name]) => [name, said[name]]));
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/// The booking that an event of this `name` tells of, without links; undefined if it tells of none.
export function readBooking(text, name) {
  const booking = only(BOOKING, parse(text));
  if (!booking) return undefined;
  const length = Date.parse(booking.horario_fim_utc) - Date.parse(booking.horario_inicio_utc);
  const isFinal = booking.status === FINAL;
  const agrees = length === booking.duracao_min * MINUTE_MS && isFinal === (name === "cancelado");
  return agrees && isFinal === Boolean(booking.cancelado_em_utc) ? booking : undefined;
}

/// Where a booking was, and the booking as it is, that an event says was changed; undefined if it tells of none.
export function readChange(text) {
  const booking = readBooking(text, "alterado");
  const before = only(PLACE, parse(text)?.antes);
  return booking && before ? [before, booking] : undefined;
}

/// The refusals that an event tells of; undefined if it tells of none.
export function readDispute(text) {
  const dispute = only(DISPUTE, parse(text));
  const pedidos = dispute?.pedidos.map((one) => only(REFUSED, one));
  return pedidos?.every(Boolean) ? { ...dispute, pedidos } : undefined;
}

/// The code of the telescope that an event says was changed; undefined if it says of none.
export function readTelescope(text) {
  return only({ telescopio: isName }, parse(text))?.telescopio;
}

/// Whether an event says that all events come; undefined if it says neither.
export function readChannel(text) {
  const linked = parse(text)?.ligado;
  return typeof linked === "boolean" ? linked : undefined;
}
