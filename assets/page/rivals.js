// The bookings that stand where a person is about to book: those of the agenda that was shown then, and what was heard
// since. No DOM.

import { FINAL, identity } from "./agenda.js";

const startOf = ({ horario_inicio_utc: start }) => Date.parse(start);
const endOf = ({ horario_fim_utc: end }) => Date.parse(end);

export class Rivals {
  #telescope;
  #bookings = new Map();

  constructor(agenda) {
    this.#telescope = agenda.telescope;
    this.read(agenda);
  }

  /// Notes that a booking was made or cancelled. False if it is of another telescope.
  note(booking) {
    if (booking.telescopio !== this.#telescope) return false;
    if (booking.status === FINAL) this.#bookings.delete(identity(booking));
    else this.#bookings.set(identity(booking), booking);
    return true;
  }

  /// Takes an agenda that was read: within its period nothing else stands.
  read(agenda) {
    if (agenda.telescope !== this.#telescope) return;
    for (const [key, booking] of this.#bookings) {
      if (startOf(booking) < agenda.end && endOf(booking) > agenda.start) this.#bookings.delete(key);
    }
    for (const { booking, bookings } of agenda.slots) {
      for (const one of booking ? [booking, ...bookings] : []) this.#bookings.set(identity(one), one);
    }
  }

  has(booking) {
    return this.#bookings.has(identity(booking));
  }

  /// The first of the bookings that have an instant between `start` and `end`; undefined if there is none.
  over(start, end) {
    const all = [...this.#bookings.values()].filter((one) => startOf(one) < end && endOf(one) > start);
    return all.sort((one, other) => startOf(one) - startOf(other))[0];
  }
}
