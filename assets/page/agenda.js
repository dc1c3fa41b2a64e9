// The agenda of a telescope for a day: each slot as the server answered it, and the events since then. No DOM.

import { parseInstant } from "./instants.js";

/// The status of a booking after which it never changes.
export const FINAL = "CANCELADO";

/// The state of a slot that nobody has. Whether the person may book it is another question: then it has a link.
export const FREE = "livre";

/// What became free opens within this time. An event or an agenda that says otherwise is not believed.
export const SOON_MS = 5000;

/// The key of a booking. The number is not enough: while a page is open, the database may be replaced by a new one, which
/// begins its numbers again.
export const identity = ({ id, criado_em_utc }) => `${id} ${criado_em_utc}`;

/// What a slot is to a scientist: `sold` if it was sold several times, `mine` or `other` if it is booked, `free` if nobody has it, else `gone` or `closed`.
export function kindOf({ booking, book, state, sold, opens }, scientist) {
  if (sold > 1) return "sold";
  if (booking) return booking.cientista_id === scientist ? "mine" : "other";
  return book || (state === FREE && !opens) ? "free" : state === "passado" ? "gone" : "closed";
}

/// The bookings of the events so far. An agenda that was read at the same time may not have them yet.
export class Heard {
  #bookings = new Map();
  #most = 2000;

  /// Notes a booking. False if it says nothing new: a booking is made once and cancelled once.
  note(booking) {
    const key = identity(booking);
    const before = this.#bookings.get(key)?.booking.status;
    if (before === FINAL || before === booking.status) return false;
    this.#bookings.delete(key);
    // A copy, since the booking that is shown may be changed later.
    this.#bookings.set(key, { booking: { ...booking }, at: performance.now() });
    if (this.#bookings.size > this.#most) this.#bookings.delete(this.#bookings.keys().next().value);
    return true;
  }

  /// The bookings that may be missing in an answer to a request of the instant `since`.
  *after(since) {
    for (const { booking, at } of this.#bookings.values()) if (at >= since) yield booking;
  }

  /// Forgets what an answer to a request of the instant `since` contradicts: a booking that it has was not cancelled before.
  correct(bookings, since) {
    for (const key of bookings.map(identity)) if (this.#bookings.get(key)?.at < since) this.#bookings.delete(key);
  }
}

export class Agenda {
  #race;
  /// The link by which a slot of this telescope is booked, as the server gave it.
  #book;

  /// `answer` is the server's. In a `race`, without locks, a slot may have several bookings: `bookings` has them, and `sold` is
  /// their number, which may be greater, since of very many the server gives the first ones. `book` is the telescope's link to book, for an agenda
  /// in which no slot has one.
  constructor(answer, race = false, book = undefined) {
    const bookings = new Map(answer.agendamentos.map((booking) => [booking.id, booking]));
    this.#race = race;
    this.#book = answer.horarios.find((slot) => slot._links?.agendar)?._links.agendar ?? book;
    this.telescope = answer.telescopio;
    this.links = answer._links;
    /// Whether it takes any date.
    this.simulated = Boolean(answer.simulado);
    this.start = Date.parse(answer.de_utc);
    this.end = Date.parse(answer.ate_utc);
    /// When the server answered.
    this.now = Date.parse(answer.agora_utc);
    /// When this page had the answer, on `performance.now()`.
    this.read = performance.now();
    this.slots = answer.horarios.map((slot) => ({
      start: Date.parse(slot.horario_inicio_utc),
      utc: slot.horario_inicio_utc,
      state: slot.estado,
      /// Why nobody can book it, as a person said it.
      reason: slot.motivo,
      book: slot.abre_em_utc ? undefined : slot._links?.agendar,
      /// The instant at which it can be booked, if that is still to come.
      opens: instantOf(slot),
      booking: bookings.get(slot.agendamento_id),
      sold: slot.vezes_agendado,
      bookings: [],
    }));
    this.length = this.slots.length > 1 ? this.slots[1].start - this.slots[0].start : this.end - this.start;
    if (race)
      for (const booking of answer.agendamentos) for (const slot of this.#within(booking)) slot.bookings.push(booking);
  }

  /// Applies a booking that was made or cancelled. True if a slot has changed.
  apply(booking) {
    if (booking.telescopio !== this.telescope) return false;
    const take = this.#race ? takeAmong : takeAlone;
    return this.#within(booking).filter((slot) => take(slot, booking, booking._links?.agendar ?? this.#book)).length > 0;
  }

  /// Applies that a booking, which was at the place `before`, is where it says. True if a slot has changed.
  move(before, booking) {
    const left = this.apply({ ...booking, ...before, status: FINAL });
    return this.apply(booking) || left;
  }

  /// Opens the slots whose instant has come by the true time `now`. Gives the `opened` ones of them that the telescope's rules had closed, whether any
  /// has changed, and when the `next` one opens.
  open(now) {
    const all = this.slots.filter(({ opens, booking }) => opens && !booking);
    const due = all.filter(({ opens, state }) => opens <= now || (state === FREE && opens > now + SOON_MS));
    const opened = due.filter(({ state }) => state !== FREE);
    for (const slot of due) Object.assign(slot, { opens: undefined, state: FREE, book: this.#book });
    const next = Math.min(...all.map(({ opens }) => opens ?? Infinity));
    return { opened, changed: due.length > 0, next };
  }

  /// Whether a place, of which an event told, is in this agenda.
  shows(place) {
    return place.telescopio === this.telescope && this.#within(place).length > 0;
  }

  /// The first and the last slot of a booking in this agenda, by index.
  range(booking) {
    const key = identity(booking);
    const has = (slot) => slot.booking && [slot.booking, ...slot.bookings].some((one) => identity(one) === key);
    return [this.slots.findIndex(has), this.slots.findLastIndex(has)];
  }

  /// The slot at the instant `now`, by index, or -1.
  at(now) {
    return now >= this.start && now < this.end ? Math.floor((now - this.slots[0].start) / this.length) : -1;
  }

  /// How many consecutive slots from `first` on can be booked.
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

const instantOf = ({ abre_em_utc: utc }) => (utc ? parseInstant(utc) : undefined);

/// Applies a booking to a slot that can have one. `book` is the link of a free slot. True if the slot has changed.
function takeAlone(slot, booking, book) {
  if (booking.status === FINAL) {
    if (!slot.booking || identity(slot.booking) !== identity(booking)) return false;
    const opens = instantOf(booking);
    Object.assign(slot, { booking: undefined, state: FREE, book: opens ? undefined : book, opens, sold: 0 });
  } else {
    // The slot has this booking already, or a later one.
    if (slot.booking && slot.booking.criado_em_utc >= booking.criado_em_utc) return false;
    Object.assign(slot, { booking, state: "agendado", book: undefined, sold: 1 });
  }
  return true;
}

/// Applies a booking to a slot that can have several. True if the slot has changed.
function takeAmong(slot, booking, book) {
  const key = identity(booking);
  const others = slot.bookings.filter((one) => identity(one) !== key);
  const [had, final] = [others.length < slot.bookings.length, booking.status === FINAL];
  if (had !== final) return false;
  slot.bookings = final ? others : [...others, booking].sort((one, other) => one.id - other.id);
  slot.sold += final ? -1 : 1;
  slot.booking = slot.bookings[0];
  slot.state = slot.sold ? "agendado" : FREE;
  slot.book = slot.sold ? undefined : book;
  return true;
}
