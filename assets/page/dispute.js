// The contest for a slot: the requests for it and their outcomes, as far as this page has heard of them. No DOM.

import { identity } from "./agenda.js";

/// The contests of more slots than these are forgotten, the longest unchanged first.
const SLOTS_MAX = 300;
/// Refused requests of a slot that are listed. The others are only counted.
export const ENTRIES_MAX = 20;

export class Disputes {
  #bySlot = new Map();

  /// Notes that requests were refused.
  refused({ telescopio, horario_inicio_utc, recusados, pedidos }) {
    const slot = this.#slot(telescopio, horario_inicio_utc);
    slot.refused += recusados;
    for (const { cientista_id, codigo, utc, req } of pedidos) {
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

  /// The contests of these slots, which are named by their starts on the wire, as one.
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
