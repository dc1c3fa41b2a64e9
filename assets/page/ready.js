// Whether bookings are paused, and why: as the scheduler's `pronto` link says it, or since the scheduler does not answer. It is asked when the stream of events changes,
// when a booking was refused, and again and again while bookings are paused. No DOM.

import { follow } from "./api.js";

/// All pages learn of an outage at once, and ask at a random moment within this time.
const SPREAD_MS = 1500;
/// While bookings are paused, this is how long to wait at most before asking again.
const AGAIN_MS = 10000;

/// Why bookings are paused, as an answer says it: the `coordinator` gives no locks, is in its `grace` after a restart, or the
/// `server` cannot record. Undefined if they are not paused, and for an answer that is not one of `pronto`.
export function pausedBy({ status, partes, carencia_resta_ms: left } = {}) {
  if (status !== "indisponivel" || !partes) return undefined;
  // Without locks the part is "não usado".
  if (["ok", "não usado"].includes(partes.coordenador)) return "server";
  return left == null ? "coordinator" : "grace";
}

/// Whether a request failed without an answer of the scheduler. A proxy may answer in its place.
const isAway = ({ status, body }) => !(status < 500) && !body?.codigo && !body?.partes;

/// Dispatches `change` when `paused` may have changed.
export class Readiness extends EventTarget {
  #timer;
  /// The number of the last question. Answers to earlier ones are dropped.
  #last = 0;
  /// Why bookings are paused, as `pausedBy` or `away`; undefined if they are not.
  paused;

  /// Asks at `link` soon after `wait`, and again and again while bookings are paused.
  ask(link, wait = 0) {
    this.rest();
    const number = this.#last;
    this.#timer = setTimeout(() => this.#look(link, number), wait + SPREAD_MS * Math.random());
  }

  /// Asks no more until the next `ask`.
  rest() {
    clearTimeout(this.#timer);
    this.#last += 1;
  }

  async #look(link, number) {
    let away = false;
    // "Not ready" is the answer 503, with the same body.
    const answer = await follow(link).catch((problem) => {
      away = isAway(problem);
      return problem.body;
    });
    if (number !== this.#last) return;
    this.paused = away ? "away" : pausedBy(answer);
    this.dispatchEvent(new Event("change"));
    if (this.paused) this.ask(link, Math.min(answer?.carencia_resta_ms ?? AGAIN_MS, AGAIN_MS));
  }
}
