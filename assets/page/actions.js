// What a person does with slots and bookings, in the grid, the panel and the dialog, and what follows from it.

import { cancel } from "./cancel.js";
import { change } from "./change.js";
import { close } from "./dialog.js";
import { at } from "./dom.js";
import { isoDay } from "./instants.js";
import { wait } from "./wait.js";

/// The layout in which the panel is below the agenda, as in media.css.
const BELOW = "(max-width: 64rem)";

export class Actions {
  #parts;

  /// `parts` has reading, selection, people, navigation, booking, grid, history, and `where`, which names the place and days of a
  /// booking.
  constructor(parts) {
    this.#parts = parts;
  }

  /// Opens the form for the selected slots that are free.
  book() {
    const { reading, grid, booking } = this.#parts;
    const { agenda } = reading;
    const { first, last } = grid.range;
    const free = agenda.free(first);
    if (free && reading.isSettled) booking.begin(agenda, agenda.slots[first], Math.min(last - first + 1, free), free);
  }

  cancel(one) {
    const { grid, people, reading, selection, where } = this.#parts;
    const { first, last } = grid.range;
    const mine = one.cientista_id === people.me;
    cancel(one, { name: people.nameOf(one.cientista_id), mine, where }, (done) => {
      if (done) reading.apply(done);
      else reading.read();
      selection.returnTo([first, last]);
    });
  }

  /// Opens the form that changes a booking, and goes to where the booking is then.
  change(one) {
    const { people, reading, where } = this.#parts;
    const mine = one.cientista_id === people.me;
    const about = { name: people.nameOf(one.cientista_id), mine, where, lists: { people, telescopes: reading.telescopes } };
    change(one, about, async (made) => {
      const { navigation, selection } = this.#parts;
      const start = Date.parse(made.horario_inicio_utc);
      const { agenda } = reading;
      this.#parts.history.close();
      if (reading.isWeek || (agenda.telescope === made.telescopio && agenda.at(start) >= 0)) await reading.read();
      else await navigation.go({ telescope: reading.telescopes.of(made.telescopio) ?? selection.telescope, day: isoDay(start), view: "day" });
      if (reading.isWeek) return;
      this.#selectBooking(made);
      this.closed();
    });
  }

  /// Whether a person may wait for the slots of a booking that is to come.
  mayWait({ telescopio, horario_inicio_utc: start }) {
    const { reading, people } = this.#parts;
    const telescope = reading.telescopes.of(telescopio);
    return people.me && telescope?._links.esperar && (telescope.simulado || Date.parse(start) > reading.agenda.now);
  }

  /// Asks whether to wait for the slots of a booking.
  wait(one) {
    const { people, reading, where } = this.#parts;
    const telescope = reading.telescopes.of(one.telescopio);
    const { propostas: proposals } = reading.entry._links;
    wait(one, { link: telescope._links.esperar, name: people.nameOf(one.cientista_id), where, telescope, me: people.me, proposals });
  }

  history(one) {
    this.#parts.history.open(one);
  }

  /// Slots were selected in the grid: the history of another booking is closed.
  select(slots) {
    const { selection, history } = this.#parts;
    const before = this.selectedBooking()?.id;
    selection.select(slots);
    if (this.selectedBooking()?.id !== before) history.close();
  }

  /// A slot was chosen in the grid: a free one is booked, and the panel shows what can be done with another.
  choose({ first, by }) {
    if (this.#parts.reading.agenda.slots[first].book) this.book();
    else if (by === "key" || matchMedia(BELOW).matches) at("selected").querySelector("h3")?.focus();
  }

  selectedBooking() {
    const { selection, reading } = this.#parts;
    const { slots } = selection;
    return slots && reading.agenda?.slots[slots.first]?.booking;
  }

  /// The booking of the selected slot, and how often that was sold: `key` tells one such state from another.
  selectedSale() {
    const { selection, reading } = this.#parts;
    const { booking, sold } = reading.agenda?.slots[selection.slots?.first] ?? {};
    return { key: `${booking?.id} ${sold}`, sold };
  }

  /// A booking was made here: it is selected, on its day.
  async booked(made) {
    const { reading, navigation } = this.#parts;
    reading.apply(made);
    // Back may have led to a week while the dialog was open.
    if (reading.isWeek) return;
    this.#selectBooking(made);
    if (reading.agenda.range(made)[0] >= 0) return;
    await navigation.go({ day: isoDay(Date.parse(made.horario_inicio_utc)), view: "day" });
    this.#selectBooking(made);
  }

  /// Goes to a slot named in the dialog.
  async see({ telescope: id, start }) {
    const { selection, reading, navigation, grid } = this.#parts;
    close();
    const { telescope } = selection;
    const found = reading.telescopes.of(id) ?? telescope;
    if (found !== telescope || reading.isWeek || reading.agenda.at(start) < 0)
      await navigation.go({ telescope: found, day: isoDay(start), view: "day" });
    const index = reading.agenda.at(start);
    if (index >= 0) grid.select(index, undefined, { focus: true });
  }

  /// The dialog was closed. The browser gives the focus back to the element that had it, which may not be the right one now.
  closed() {
    const { selection, grid } = this.#parts;
    const range = selection.takeReturn();
    if (range && !this.#parts.reading.isWeek) grid.select(...range, { focus: true });
  }

  #selectBooking(made) {
    const { reading, grid, selection } = this.#parts;
    const range = reading.agenda.range(made);
    if (range[0] < 0) return;
    grid.select(...range);
    if (at("dialog").open) selection.returnTo(range);
  }
}
