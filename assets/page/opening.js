// Slots that open: all pages show them at the same instant of the true time, and not each when it hears of it. No DOM.

import { SOON_MS } from "./agenda.js";
import { parseInstant } from "./instants.js";

/// A browser can wait for some days at most.
const LONGEST_MS = 3600000;

export class Opening {
  #clock;
  #reading;
  #opened;
  #timer;

  /// `opened` draws slots that have opened; it is told which of them the telescope's rules had closed.
  constructor(clock, reading, opened) {
    this.#clock = clock;
    this.#reading = reading;
    this.#opened = opened;
    clock.addEventListener("change", () => this.look());
  }

  /// Opens the slots of the agenda whose instant has come, and comes back for the next one.
  look() {
    clearTimeout(this.#timer);
    const { agenda } = this.#reading;
    if (!agenda) return;
    const now = this.#now();
    const { opened, changed, next } = agenda.open(now);
    if (changed) this.#opened(opened);
    if (next < Infinity) this.#timer = setTimeout(() => this.look(), waitFor(next - now));
  }

  /// Does what an event of a `booking` asks for when the slots that it leaves open: until then the page shows them as they were.
  hold(booking, act) {
    const wait = parseInstant(booking.abre_em_utc ?? "") - this.#clock.now();
    if (wait > 0 && wait < SOON_MS) setTimeout(() => this.hold(booking, act), waitFor(wait));
    else act();
  }

  /// The true time; before it is known, not later than it: since the server wrote its answer more has passed than since that came.
  #now() {
    const { agenda } = this.#reading;
    return this.#clock.now() || agenda.now + performance.now() - agenda.read;
  }
}

/// For how long to set a timer, which may be early by less than a millisecond.
const waitFor = (ms) => Math.min(Math.ceil(ms), LONGEST_MS);
