// The contest for a slot: who asked, who won, who was refused, as far as this page has heard of it.

import { identity } from "./agenda.js";
import { changes, el, replace } from "./dom.js";
import { instantTime } from "./format.js";
import { current, known, t } from "./i18n.js";

const SLOTS_MAX = 300;
const ENTRIES_MAX = 20;

export class Disputes {
  #bySlot = new Map();

  /// Notes that requests were refused.
  refused({ telescopio, horario_inicio_utc, recusados, pedidos }) {
    const slot = this.#slot(telescopio, horario_inicio_utc);
    slot.refused += recusados;
    for (const { cientista_id, codigo, utc, req } of pedidos) {
      // More than these are never shown: of the others only the number is kept.
      if (slot.listed >= ENTRIES_MAX) break;
      if (!slot.entries.has(req)) slot.listed += 1;
      slot.entries.set(req, { scientist: cientista_id, outcome: codigo, utc });
    }
  }

  /// Notes that a booking was made or cancelled, at its first slot.
  booked(booking) {
    const { telescopio, horario_inicio_utc, cientista_id, criado_em_utc, cancelado_em_utc } = booking;
    const slot = this.#slot(telescopio, horario_inicio_utc);
    const key = identity(booking);
    slot.entries.set(`+${key}`, { scientist: cientista_id, outcome: "won", utc: criado_em_utc });
    if (cancelado_em_utc)
      slot.entries.set(`-${key}`, { scientist: cientista_id, outcome: "cancelled", utc: cancelado_em_utc });
  }

  /// What was heard of any of these slots: their starts, as on the wire.
  of(telescope, starts) {
    const heard = starts.map((start) => this.#bySlot.get(`${telescope} ${start}`)).filter(Boolean);
    const entries = heard.flatMap((slot) => [...slot.entries.values()]);
    entries.sort((a, b) => (a.utc < b.utc ? -1 : 1));
    return { entries, refused: heard.reduce((sum, slot) => sum + slot.refused, 0) };
  }

  #slot(telescope, start) {
    const key = `${telescope} ${start}`;
    const slot = this.#bySlot.get(key) ?? { refused: 0, listed: 0, entries: new Map() };
    this.#bySlot.delete(key);
    this.#bySlot.set(key, slot);
    if (this.#bySlot.size > SLOTS_MAX) this.#bySlot.delete(this.#bySlot.keys().next().value);
    return slot;
  }
}

const isBooking = ({ outcome }) => outcome === "won" || outcome === "cancelled";

/// Shows a contest in `root`.
export function showDispute(root, { entries, refused }, nameOf) {
  if (!changes(root, [entries, refused, entries.map(({ scientist }) => nameOf(scientist)), current()])) return;
  if (!entries.length) return replace(root, el("p", { class: "quiet", text: t("dispute.none") }));
  const won = entries.filter(({ outcome }) => outcome === "won").length;
  // Whoever won is listed in any case.
  const shown = [...entries.filter(isBooking), ...entries.filter((entry) => !isBooking(entry)).slice(0, ENTRIES_MAX)];
  shown.sort((a, b) => (a.utc < b.utc ? -1 : 1));
  const listed = shown.filter((entry) => !isBooking(entry)).length;
  // What went on over midnight has its days.
  const near = shown.every(({ utc }) => utc.slice(0, 10) === shown[0].utc.slice(0, 10)) ? undefined : "";
  const items = shown.map(({ scientist, outcome, utc }) =>
    el(
      "li",
      { class: outcome === "won" ? "won" : "lost" },
      el("time", { datetime: utc, text: instantTime(utc, near) }),
      el(
        "span",
        {},
        el("b", { dir: "auto", text: nameOf(scientist) }),
        ` ${t(known(`dispute.${outcome}`) ?? "dispute.refused", { code: outcome })}`,
      ),
    ),
  );
  replace(
    root,
    el("p", { class: "sum", text: t("dispute.sum", { requests: won + refused, won, refused }) }),
    el("ol", { class: "entries" }, items),
    refused > listed && el("p", { class: "quiet", text: t("dispute.more", { count: refused - listed }) }),
  );
}
