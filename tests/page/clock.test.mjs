// The true time against a simulated server, network and machine. Time passes only as the simulation says.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mock, test } from "node:test";

import { TrueClock, estimate } from "../../assets/page/clock.js";

/// A sequence of numbers in [0, 1) that is the same in every run.
function numbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

test("the estimate is that of src/clock/cristian.rs", () => {
  const cases = JSON.parse(readFileSync(new URL("cristian.json", import.meta.url), "utf8"));
  assert.ok(cases.length > 5);
  for (const { why, samples, offset_us, round_trip_us, bound_us } of cases) {
    // The page counts in milliseconds; the estimate is the same in any unit.
    const { offset, roundTrip, bound } = estimate(samples.map(([t1, t2, t3, t4]) => ({ t1, t2, t3, t4 })));
    assert.deepEqual([offset, roundTrip, bound], [offset_us, round_trip_us, bound_us], why);
  }
});

test("the true offset is within the bound, however unequal the two ways", () => {
  const random = numbers(7);
  for (let run = 0; run < 2000; run += 1) {
    const truth = (random() - 0.5) * 1e9;
    const trips = Array.from({ length: 1 + Math.floor(random() * 10) }, () => {
      const [there, work, back] = [random() * 500, random() * 500, random() * 500];
      return { there, work, back, t1: random() * 1e6 };
    });
    const samples = trips.map(({ there, work, back, t1 }) => ({
      t1,
      t2: t1 + there + truth,
      t3: t1 + there + work + truth,
      t4: t1 + there + work + back,
    }));
    const { offset, roundTrip, bound } = estimate(samples);
    assert.ok(Math.abs(offset - truth) <= bound + 1e-6, `run ${run}: ${offset} ± ${bound}, not ${truth}`);
    const least = Math.min(...trips.map(({ there, back }) => there + back));
    assert.ok(Math.abs(roundTrip - least) < 1e-6, `run ${run}: ${roundTrip}, not ${least}`);
  }
});

/// A machine whose clocks can be set and can drift, and a server that it reaches over a network.
class World {
  /// The true time in milliseconds since 1970.
  true = 1.8e12;
  /// How fast the machine's clocks run against the true time.
  rate = 1;
  /// The local clock, and the monotonic one, read at the true time `true`.
  local = 1.8e12 + 2000;
  monotonic = 5000;
  seen = true;
  broken = false;
  /// The step of the monotonic clock, which browsers make coarse.
  step = 0.1;
  /// The delays of the next exchanges, [there, back].
  delays = () => [4, 12];
  /// Called during each exchange.
  meanwhile = () => undefined;
  asked = 0;

  pass(ms) {
    this.true += ms;
    this.local += ms * this.rate;
    this.monotonic += ms * this.rate;
  }

  clocks() {
    return {
      // Each reading takes a little time.
      monotonic: () => {
        this.pass(0.01);
        return Math.floor(this.monotonic / this.step) * this.step;
      },
      local: () => Math.floor(this.local),
      isSeen: () => this.seen,
    };
  }

  ask(clocks) {
    this.asked += 1;
    if (this.broken) throw new Error("no answer");
    const [there, back] = this.delays();
    const t1 = clocks.monotonic();
    this.pass(there);
    const t2 = this.true;
    this.pass(1);
    this.meanwhile();
    const t3 = this.true;
    this.pass(back);
    return { t1, t2, t3, t4: clocks.monotonic() };
  }

  clock() {
    const clocks = this.clocks();
    return new TrueClock(async () => this.ask(clocks), clocks);
  }
}

/// Runs `act` with timers that only pass when told to.
async function withTimers(act) {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    await act();
  } finally {
    mock.timers.reset();
  }
}

/// Lets everything happen that needs no time.
const settle = async () => {
  for (let turn = 0; turn < 100; turn += 1) await Promise.resolve();
};

test("before the first synchronisation the time is not known", () =>
  withTimers(async () => {
    const clock = new World().clock();
    assert.ok(Number.isNaN(clock.now()) && Number.isNaN(clock.moment()) && Number.isNaN(clock.bound));
  }));

test("the true time is within the bound, and the local clock's error too", () =>
  withTimers(async () => {
    const random = numbers(11);
    for (let run = 0; run < 200; run += 1) {
      const world = new World();
      world.local += (random() - 0.5) * 1e7;
      world.delays = () => [random() * 80, random() * 80];
      const clock = world.clock();
      await clock.synchronise();
      assert.ok(!clock.failed);
      const now = clock.now();
      assert.ok(Math.abs(now - world.true) <= clock.bound, `run ${run}: ${now - world.true} ± ${clock.bound}`);
      const ahead = world.local - world.true;
      assert.ok(Math.abs(clock.ahead - ahead) <= clock.aheadBound, `run ${run}: ${clock.ahead}, not ${ahead}`);
    }
  }));

test("what a coarse clock hides is within the bound too", () =>
  withTimers(async () => {
    const random = numbers(13);
    for (let run = 0; run < 200; run += 1) {
      const world = new World();
      world.step = 5;
      world.pass(random() * 10);
      world.delays = () => [random(), random()];
      const clock = world.clock();
      await clock.synchronise();
      // The offset is right within the bound; the clock that it is added to is up to a step late.
      const error = clock.now() - world.true;
      assert.ok(error <= clock.bound && error >= -clock.bound - world.step, `run ${run}: ${error} ± ${clock.bound}`);
    }
  }));

test("of nine exchanges the first one only opens the connection", () =>
  withTimers(async () => {
    const world = new World();
    const clock = world.clock();
    // The first exchange has the shortest way, and must not be used.
    world.delays = () => (world.asked === 1 ? [0, 0] : [10, 10]);
    await clock.synchronise();
    assert.equal(world.asked, 9);
    assert.ok(clock.roundTrip >= 20, `${clock.roundTrip}`);
  }));

test("setting the local clock does not change the true time, and is noticed", () =>
  withTimers(async () => {
    const world = new World();
    const clock = world.clock();
    await clock.synchronise();
    assert.equal(clock.check(), false);
    world.local -= 61000;
    assert.ok(Math.abs(clock.now() - world.true) <= clock.bound);
    // A click before the next tick is not vouched for.
    assert.ok(Number.isNaN(clock.moment()));
    assert.equal(clock.check(), true);
    assert.ok(clock.doubtful && Number.isNaN(clock.moment()));
    await settle();
    assert.ok(!clock.doubtful && !Number.isNaN(clock.moment()));
    assert.ok(Math.abs(clock.ahead - (world.local - world.true)) <= clock.aheadBound);
    assert.equal(clock.check(), false);
  }));

test("a clock that is set during the exchanges makes them worthless", () =>
  withTimers(async () => {
    const world = new World();
    const clock = world.clock();
    world.meanwhile = () => {
      if (world.asked === 5) world.local += 3600000;
    };
    await clock.synchronise();
    assert.ok(clock.failed && Number.isNaN(clock.now()));
  }));

test("drift grows until the next synchronisation, and no further", () =>
  withTimers(async () => {
    const world = new World();
    world.rate = 1.0001; // 100 ppm fast.
    const clock = world.clock();
    await clock.synchronise();
    for (let minute = 0; minute < 5; minute += 1) {
      world.pass(66000);
      const drifted = 66000 * 0.0001;
      const error = Math.abs(clock.now() - world.true);
      assert.ok(error > 1 && error <= clock.bound + drifted + 0.5, `${error}`);
      // At most 66 s after a synchronisation there is another one.
      mock.timers.tick(66000);
      await settle();
      assert.ok(Math.abs(clock.now() - world.true) <= clock.bound + 0.1);
      assert.ok(clock.age < 10, `${clock.age}`);
    }
  }));

test("without an answer it asks again within six seconds, and keeps the time that it had", () =>
  withTimers(async () => {
    const world = new World();
    const clock = world.clock();
    let changes = 0;
    clock.addEventListener("change", () => (changes += 1));
    await clock.synchronise();
    world.broken = true;
    await clock.synchronise();
    assert.ok(clock.failed && changes === 2);
    assert.ok(Math.abs(clock.now() - world.true) <= clock.bound);
    const asked = world.asked;
    mock.timers.tick(4000);
    await settle();
    assert.equal(world.asked, asked, "not at once");
    world.broken = false;
    mock.timers.tick(2000);
    await settle();
    assert.ok(!clock.failed && changes === 3);
  }));

test("a page that nobody sees does not ask", () =>
  withTimers(async () => {
    const world = new World();
    const clock = world.clock();
    await clock.synchronise();
    const asked = world.asked;
    world.seen = false;
    mock.timers.tick(70000);
    await settle();
    assert.equal(world.asked, asked);
    await clock.synchronise();
    assert.equal(world.asked, asked + 9, "it asks when it is told to");
  }));
