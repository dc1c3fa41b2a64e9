// One stretch of a telescope's agenda: what the server said of each slot, and what was heard since.

/// A booking's status that never changes again.
const FINAL = "CANCELADO";

/// What tells a booking from all others: a new database begins its numbers again under a page that is open.
export const identity = ({ id, criado_em_utc }) => `${id} ${criado_em_utc}`;

/// Bookings heard of by events, so that an agenda that was read meanwhile does not undo them.
export class Heard {
  #bookings = new Map();
  #most = 2000;

  /// Notes a booking. False when it says nothing new: it is made once and cancelled once.
  note(booking) {
    const key = identity(booking);
    const before = this.#bookings.get(key)?.booking.status;
    if (before === FINAL || before === booking.status) return false;
    this.#bookings.delete(key);
    // A copy: what is shown may be brought up to date without having been heard of.
    this.#bookings.set(key, { booking: { ...booking }, at: performance.now() });
    if (this.#bookings.size > this.#most) this.#bookings.delete(this.#bookings.keys().next().value);
    return true;
  }

  /// What an answer that was asked for at `since` may not know yet.
  *after(since) {
    for (const { booking, at } of this.#bookings.values()) if (at >= since || booking.status === FINAL) yield booking;
  }
}

export class Agenda {
  /// `answer` is the agenda as answered.
  constructor(answer) {
    const bookings = new Map(answer.agendamentos.map((booking) => [booking.id, booking]));
    this.telescope = answer.telescopio;
    this.links = answer._links;
    this.start = Date.parse(answer.de_utc);
    this.end = Date.parse(answer.ate_utc);
    this.slots = answer.horarios.map((slot) => ({
      start: Date.parse(slot.horario_inicio_utc),
      utc: slot.horario_inicio_utc,
      state: slot.estado,
      book: slot._links?.agendar,
      booking: bookings.get(slot.agendamento_id),
    }));
    this.length = this.slots.length > 1 ? this.slots[1].start - this.slots[0].start : this.end - this.start;
  }

  /// Applies a booking that was made or cancelled. True when it changed something here.
  apply(booking) {
    if (booking.telescopio !== this.telescope) return false;
    let changed = false;
    for (const slot of this.#within(booking)) {
      if (booking.status === FINAL) {
        if (!slot.booking || identity(slot.booking) !== identity(booking)) continue;
        slot.booking = undefined;
        slot.state = "livre";
        slot.book = booking._links?.agendar;
      } else {
        // It is there already, or a later one is.
        if (slot.booking && slot.booking.criado_em_utc >= booking.criado_em_utc) continue;
        slot.booking = booking;
        slot.state = "agendado";
        slot.book = undefined;
      }
      changed = true;
    }
    return changed;
  }

  /// The first and last slot, by index, of a booking as far as it is shown here.
  range(booking) {
    const has = (slot) => slot.booking && identity(slot.booking) === identity(booking);
    return [this.slots.findIndex(has), this.slots.findLastIndex(has)];
  }

  /// The slot that has the instant `now`, by index, or -1.
  at(now) {
    return now >= this.start && now < this.end ? Math.floor((now - this.slots[0].start) / this.length) : -1;
  }

  /// How many slots from `first` on can be booked without a gap.
  free(first) {
    let count = 0;
    while (this.slots[first + count]?.book) count += 1;
    return count;
  }

  #within(booking) {
    const [start, end] = [Date.parse(booking.horario_inicio_utc), Date.parse(booking.horario_fim_utc)];
    return this.slots.filter((slot) => slot.start < end && slot.start + this.length > start);
  }
}
