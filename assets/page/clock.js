// The true time: the server's, by Cristian's algorithm as in src/clock/cristian.rs, kept on the monotonic clock. A change of
// the local clock does not change it. No DOM: the page calls `synchronise` when it is shown again.

import { waitFor } from "./api.js";

const SAMPLES = 8;
const RESYNC_MS = 60000;
const RETRY_MS = 5000;
/// If the local clock moves against the monotonic clock by more than this, it was set, or the machine slept.
const JUMP_MS = 50;
/// Date.now() is cut to whole milliseconds: the real value is on average half of one later.
const DATE_HALF_MS = 0.5;

const BROWSER = {
  monotonic: () => performance.now(),
  local: () => Date.now(),
  isSeen: () => !document.hidden,
};

/// The best estimate from several samples {t1, t2, t3, t4}, in milliseconds: t1 and t4 are local, t2 and t3 the server's.
/// The sample with the least round trip is used, and half of its round trip is the error bound. A sample with a negative
/// round trip contradicts itself: it is used only if there is no other.
export function estimate(samples) {
  const read = samples.map(({ t1, t2, t3, t4 }) => ({
    offset: (t2 - t1 + (t3 - t4)) / 2,
    roundTrip: t4 - t1 - (t3 - t2),
  }));
  read.sort((a, b) => (a.roundTrip < 0) - (b.roundTrip < 0) || Math.abs(a.roundTrip) - Math.abs(b.roundTrip));
  const [{ offset, roundTrip }] = read;
  return { offset, roundTrip: Math.max(roundTrip, 0), bound: Math.abs(roundTrip) / 2 };
}

/// The step of the monotonic clock, which browsers make coarse on purpose.
function resolution(monotonic) {
  let least = Infinity;
  for (let seen = 0, before = monotonic(); seen < 3;) {
    const now = monotonic();
    if (now === before) continue;
    least = Math.min(least, now - before);
    before = now;
    seen += 1;
  }
  return least;
}

/// Dispatches `change` after each synchronisation, whether it succeeded or failed.
export class TrueClock extends EventTarget {
  #ask;
  #clocks;
  #offset = NaN;
  #resolution;
  #running = false;
  #timer;
  /// The last difference between local and monotonic clock.
  #between;
  /// Of the sample that was used, in milliseconds.
  roundTrip = NaN;
  bound = NaN;
  /// How far the local clock was ahead then, in milliseconds.
  ahead = NaN;
  failed = false;
  /// The local clock has jumped since. If the machine slept, the monotonic clock may have stood still.
  doubtful = false;
  #at = NaN;
  /// What the server vouches for of the last exchange; it goes with a click.
  token;

  /// `ask` makes one exchange and gives {t1, t2, t3, t4}, all in milliseconds, and perhaps a `token`. `clocks` has `monotonic`, `local` and
  /// `isSeen` (whether anyone sees the page).
  constructor(ask, clocks = BROWSER) {
    super();
    this.#ask = ask;
    this.#clocks = clocks;
    this.#resolution = resolution(clocks.monotonic);
    this.#between = this.#difference();
  }

  /// The true time in milliseconds since 1970; NaN before the first synchronisation.
  now() {
    return this.#clocks.monotonic() + this.#offset;
  }

  /// The true time of an event that happens now, for the record; NaN while it is not certain.
  moment() {
    // The first event after the machine slept may be a click.
    return this.doubtful || this.#jumped(this.#between) ? NaN : this.now();
  }

  /// The error bound of `ahead`: half the round trip, and what is lost when the local clock is read.
  get aheadBound() {
    return this.bound + DATE_HALF_MS;
  }

  /// The time since the last synchronisation, in milliseconds.
  get age() {
    return this.#clocks.monotonic() - this.#at;
  }

  /// Synchronises again if the local clock has jumped. The page calls it every second. True on a jump.
  check() {
    const jumped = this.#jumped(this.#between);
    this.#between = this.#difference();
    if (jumped) {
      this.doubtful = true;
      this.synchronise();
    }
    return jumped;
  }

  async synchronise() {
    if (this.#running) return;
    this.#running = true;
    clearTimeout(this.#timer);
    const before = this.#difference();
    let pause = RESYNC_MS;
    try {
      await this.#ask(); // Opens the connection; not measured.
      const samples = [];
      let newest;
      for (let taken = 0; taken < SAMPLES; taken += 1) {
        const { t1, t2, t3, t4, token } = await this.#ask();
        newest = token;
        // Both ends are rounded so that the round trip becomes longer: the true offset stays within the bound.
        samples.push({ t1: t1 - this.#resolution, t2, t3, t4: t4 + this.#resolution });
      }
      if (this.#jumped(before)) throw new Error("the clock jumped meanwhile");
      this.#take(estimate(samples));
      this.token = newest;
    } catch (problem) {
      this.failed = true;
      pause = waitFor(problem, RETRY_MS);
    }
    this.#running = false;
    // The wait is random, so that many pages do not ask at the same moment.
    this.#timer = setTimeout(() => this.#again(), pause * (0.9 + 0.2 * Math.random()));
    this.dispatchEvent(new Event("change"));
  }

  #take(best) {
    this.#offset = best.offset;
    this.roundTrip = best.roundTrip;
    this.bound = best.bound;
    this.ahead = this.#clocks.local() + DATE_HALF_MS - this.now();
    this.#between = this.#difference();
    this.#at = this.#clocks.monotonic();
    this.failed = false;
    this.doubtful = false;
  }

  #difference() {
    return this.#clocks.local() - this.#clocks.monotonic();
  }

  /// Whether the local clock has moved against the monotonic one since their difference was `before`.
  #jumped(before) {
    return Math.abs(this.#difference() - before) > JUMP_MS;
  }

  #again() {
    // A hidden page synchronises when it is seen again.
    if (this.#clocks.isSeen()) this.synchronise();
  }
}
