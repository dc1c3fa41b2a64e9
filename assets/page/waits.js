// The entries of waiting lists of the person who uses the page, and the notice that one has become a booking.

import { follow } from "./api.js";
import { announce } from "./dialog.js";
import { at, el, replace } from "./dom.js";
import { span } from "./format.js";
import { t } from "./i18n.js";
import { isoDay } from "./instants.js";
import { placeHash } from "./selection.js";

/// As many entries are read.
const MOST = 50;

const keyOf = (one) => [one.cientista_id, one.telescopio, one.horario_inicio_utc, one.horario_fim_utc].join(" ");

/// The entries that this page has seen, and that are not over as far as it knows.
const known = new Set();

export const note = (entry) => known.add(keyOf(entry));
export const forget = (entry) => known.delete(keyOf(entry));

/// Reads for what a scientist waits. Without a `link` that is nothing.
export async function readWaits(link, cientista_id) {
  if (!link || !cientista_id) return [];
  const { esperas } = await follow(link, { variables: { cientista_id, status: "AGUARDANDO", limite: MOST } });
  esperas.forEach(note);
  return esperas;
}

/// A booking was made: if the person waited for it, the page says that it is theirs, until they close the notice. `where` names a
/// telescope and the days of a booking.
export function hear(booking, where) {
  if (!forget(booking)) return;
  const [start, end] = [Date.parse(booking.horario_inicio_utc), Date.parse(booking.horario_fim_utc)];
  const words = t("wait.gained", { span: span(start, end) });
  const root = at("gained");
  const see = el("a", { href: placeHash(booking.telescopio, isoDay(start)), text: t("mine.see"), onclick: () => replace(root) });
  const close = el("button", { type: "button", text: t("book.close"), onclick: () => replace(root) });
  const seen = el("div", { class: "outcome won" }, el("p", { text: words }), el("p", { class: "where" }, where(booking.telescopio, start, end)));
  seen.append(el("div", { class: "buttons" }, see, close));
  replace(root, seen);
  announce(words);
}
