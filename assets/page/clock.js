// The true time: the server's, by Cristian's algorithm, kept on the monotonic clock. Setting the local clock does not
// move it. The same as src/clock: of eight samples the one with the least round trip, and half of that as the bound.

const SAMPLES = 8;
const RESYNC_MS = 60000;
const RETRY_MS = 5000;
/// The local clock was set, or the machine slept, when it moved against the monotonic one by more than this.
const JUMP_MS = 50;
/// Date.now() is cut to whole milliseconds: the truth is half of one later, give or take that half.
const DATE_HALF_MS = 0.5;

/// Milliseconds since 1970 of an RFC 3339 instant in UTC, with the microseconds that Date.parse drops.
export function parseInstant(text) {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "";
  return Date.parse(text.replace(/\.\d+/, "")) + Number(`0.${fraction || 0}`) * 1000;
}

/// The best of several samples {t1, t2, t3, t4}, in milliseconds: t1 and t4 local, t2 and t3 the server's. One that
/// contradicts itself comes last.
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
function resolution() {
  let least = Infinity;
  for (let seen = 0, before = performance.now(); seen < 3;) {
    const now = performance.now();
    if (now === before) continue;
    least = Math.min(least, now - before);
    before = now;
    seen += 1;
  }
  return least;
}

/// Dispatches `change` when it has synchronised, or could not.
export class TrueClock extends EventTarget {
  #ask;
  #offset = NaN;
  #resolution = resolution();
  #running = false;
  #timer;
  #between = Date.now() - performance.now();
  /// Of the sample that was used, in milliseconds.
  roundTrip = NaN;
  bound = NaN;
  /// How far the local clock is ahead, in milliseconds, as of the last synchronisation.
  ahead = NaN;
  failed = false;
  /// The local clock has jumped since: perhaps the machine slept, and the monotonic clock with it.
  doubtful = false;
  #at = NaN;

  /// `ask` gives one exchange: {t1, t2, t3, t4}, all in milliseconds.
  constructor(ask) {
    super();
    this.#ask = ask;
    document.addEventListener("visibilitychange", () => document.hidden || this.synchronise());
    addEventListener("pageshow", (event) => event.persisted && this.synchronise());
    addEventListener("online", () => this.synchronise());
  }

  /// The true time in milliseconds since 1970; NaN before the first synchronisation.
  now() {
    return this.of(performance.now());
  }

  /// The true time of what happens now, for the record; NaN while it is not certain.
  moment() {
    // The first thing after the machine slept may be a click.
    return this.doubtful || this.#jumped(this.#between) ? NaN : this.now();
  }

  /// The true time at an instant of the monotonic clock.
  of(monotonic) {
    return monotonic + this.#offset;
  }

  /// How far `ahead` may be off: half the round trip, and what reading the local clock loses.
  get aheadBound() {
    return this.bound + DATE_HALF_MS;
  }

  /// Since the last synchronisation, in milliseconds.
  get age() {
    return performance.now() - this.#at;
  }

  /// Synchronises again when the local clock has jumped; to be called every now and then. True on a jump.
  check() {
    const jumped = this.#jumped(this.#between);
    this.#between = Date.now() - performance.now();
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
    const before = Date.now() - performance.now();
    try {
      await this.#ask(); // Opens the connection; not measured.
      const samples = [];
      for (let taken = 0; taken < SAMPLES; taken += 1) {
        const { t1, t2, t3, t4 } = await this.#ask();
        // Rounded to the side that makes the round trip longer, so that the truth stays within the bound.
        samples.push({ t1: t1 - this.#resolution, t2, t3, t4: t4 + this.#resolution });
      }
      if (this.#jumped(before)) throw new Error("the clock jumped meanwhile");
      const best = estimate(samples);
      this.#offset = best.offset;
      this.roundTrip = best.roundTrip;
      this.bound = best.bound;
      this.ahead = Date.now() + DATE_HALF_MS - this.now();
      this.#between = Date.now() - performance.now();
      this.#at = performance.now();
      this.failed = false;
      this.doubtful = false;
    } catch {
      this.failed = true;
    }
    this.#running = false;
    // Not all pages at the same moment.
    this.#timer = setTimeout(() => this.#again(), (this.failed ? RETRY_MS : RESYNC_MS) * (0.9 + 0.2 * Math.random()));
    this.dispatchEvent(new Event("change"));
  }

  /// Whether the local clock has moved against the monotonic one since it was so much ahead of it.
  #jumped(before) {
    return Math.abs(Date.now() - performance.now() - before) > JUMP_MS;
  }

  #again() {
    // A page that nobody sees asks when it is seen again.
    if (!document.hidden) this.synchronise();
  }
}
