// Whether the coordinator gives locks now, as the scheduler's `pronto` link says it: without locks nobody can book. It is asked
// when the stream of events changes, and while bookings are paused. No DOM.

import { follow } from "./api.js";

/// All pages learn of an outage at once, and ask at a random moment within this time.
const SPREAD_MS = 1500;
/// While bookings are paused, this is how long to wait before asking again.
const AGAIN_MS = 10000;

/// Whether an answer says that the coordinator gives no locks. Without `partes` it says nothing about that.
export const saysPaused = ({ partes } = {}) => partes !== undefined && partes.coordenador !== "ok";

/// Dispatches `change` when `paused` may have changed.
export class Readiness extends EventTarget {
  #timer;
  /// The number of the last question. Answers to earlier ones are dropped.
  #last = 0;
  paused = false;

  /// Asks at `link` soon, and again and again while bookings are paused.
  ask(link, wait = 0) {
    clearTimeout(this.#timer);
    this.#last += 1;
    const number = this.#last;
    this.#timer = setTimeout(() => this.#look(link, number), wait + SPREAD_MS * Math.random());
  }

  async #look(link, number) {
    // The answer "not ready" is an error for `follow`, and has the same body. A server that does not answer says nothing.
    const answer = await follow(link).catch(({ body }) => body);
    if (number !== this.#last) return;
    this.paused = saysPaused(answer);
    this.dispatchEvent(new Event("change"));
    if (this.paused) this.ask(link, AGAIN_MS);
  }
}
