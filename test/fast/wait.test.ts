/** Tests how long the packet loop sleeps before something is due, on a clock of the test's own. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Wait } from "../../src/io/wait.js";

describe("--precision fine", () => {
  /** Sleeps and waits for `count` deadlines of 1 ms each; returns how late the last ones were, and the last sleep. */
  const run = (count: number, wakeLateNs: (i: number) => number, roundNs = 1000) => {
    let now = 5e9;
    const wait = new Wait(() => now);
    const late: number[] = [];
    let slept = 0;
    for (let i = 0; i < count; i++) {
      const deadline = now + 1e6;
      for (let ns = wait.before(deadline); now < deadline; ns = wait.before(deadline)) {
        if (ns > 0) slept = ns;
        now += ns === 0 ? roundNs : ns + wakeLateNs(i);
        wait.slept();
      }
      late.push(now - deadline);
    }
    return { late: late.slice(-64), slept };
  };

  test("wakes up earlier by what waking up takes, and is a round late at most", () => {
    for (const lateNs of [5000, 40_000, 90_000]) {
      const { late, slept } = run(1000, () => lateNs);
      assert.ok(Math.max(...late) <= 4000, `${Math.max(...late)} ns late of ${lateNs}`);
      // It does not look at the clock for longer than that takes.
      assert.ok(slept >= 1e6 - lateNs - 5000, `a sleep of ${slept} ns where waking up takes ${lateNs}`);
    }
  });

  test("one wake-up in eight may be later than it expects", () => {
    // Of any 16, one is much later than the others: those others decide.
    const { slept } = run(2000, (i) => i % 16 === 0 ? 80_000 : 20_000);
    assert.ok(slept > 1e6 - 30_000, `a sleep of ${slept} ns`);
    const { late } = run(2000, (i) => i % 4 === 0 ? 80_000 : 20_000);
    assert.ok(Math.max(...late) <= 8000, `${Math.max(...late)} ns late`);
  });

  test("never looks at the clock for longer than 0.25 ms, however late it wakes up", () => {
    const { slept } = run(1000, () => 5e6);
    assert.equal(slept, 1e6 - 250_000);
  });

  test("sleeps where no time passes while it looks at the clock", () => {
    const { late } = run(10, () => 0, 0);
    assert.deepEqual(late.slice(-1), [0]);
  });

  test("sleeps at once again after a packet, and does not take the time until then for its own", () => {
    let now = 0;
    const wait = new Wait(() => now);
    const first = wait.before(1e6);
    now = 10_000;
    // A packet came: the loop does not say that it slept.
    assert.equal(wait.before(1e6), first - 10_000);
    now = 20_000;
    wait.slept();
    assert.equal(wait.before(1e6), first - 20_000);
  });
});
