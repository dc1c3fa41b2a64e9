// What changes with the time: the clock shown, the mark in the grid, and on the next slot what can be booked.

import { showSynchronisation } from "./clockview.js";
import { announce } from "./dialog.js";
import { t } from "./i18n.js";
import { SPREAD_MS } from "./reading.js";

export class Ticker {
  #parts;
  /// The number of the slot at the last tick; -1 before the true time is known.
  #slot = -1;
  #wasFailed = false;

  /// `parts` has clock, live, grid, week, reading, selection and screen.
  constructor(parts) {
    this.#parts = parts;
    const { clock } = parts;
    clock.addEventListener("change", () => this.#synchronised());
    parts.live.addEventListener("state", () => this.#compareSoon());
    document.addEventListener("visibilitychange", () => document.hidden || clock.synchronise());
    addEventListener("pageshow", (event) => event.persisted && clock.synchronise());
    addEventListener("online", () => clock.synchronise());
  }

  start() {
    this.#parts.clock.synchronise();
    this.#tick();
  }

  #tick() {
    const { screen, clock, live, grid, week } = this.#parts;
    const wait = screen.showTime();
    if (clock.check()) {
      announce(t("clock.jumped"));
      showSynchronisation(clock);
      live.again();
    }
    const now = clock.now();
    grid.mark(now);
    week.mark(now);
    if (!Number.isNaN(now)) this.#enterSlot(now);
    setTimeout(() => this.#tick(), wait);
  }

  /// Reads the agenda again when a slot of it begins: that slot cannot be booked any more, and today may be another day.
  #enterSlot(now) {
    const { reading, selection } = this.#parts;
    const { agenda } = reading;
    if (!agenda) return;
    const slot = Math.floor(now / agenda.length);
    const concerns = !selection.day || agenda.at(now) >= 0 || agenda.at(now - agenda.length) >= 0;
    if (this.#slot >= 0 && slot !== this.#slot && concerns) reading.reread(SPREAD_MS * 2);
    this.#slot = slot;
  }

  /// Without a stream the server may have stopped, and then the local clock cannot be called right any more.
  #compareSoon() {
    const { clock, live } = this.#parts;
    if (!live.isCut || clock.failed) return;
    setTimeout(() => live.isCut && !clock.failed && clock.synchronise(), SPREAD_MS * Math.random());
  }

  #synchronised() {
    const { clock, live, screen, reading, selection } = this.#parts;
    const { failed } = clock;
    // Until now the present week or night was that of the local clock, which may be wrong.
    const { agenda, isWeek, isNight } = reading;
    const isLocal = !selection.day && ((isWeek && selection.isWeek) || (isNight && selection.isNight));
    if (isLocal && agenda.at(clock.now()) < 0) reading.reread(0);
    // If the server does not answer with the time, its stream may be dead too.
    if (failed && !this.#wasFailed && live.tried) live.doubt();
    this.#wasFailed = failed;
    screen.showClock();
  }
}
