/** Tests the two clocks of an engine. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NOW, WALL } from "../../abi/control.js";
import { Clock } from "../../src/engine/clock.js";
import { LinearMemory } from "../../src/engine/memory.js";

const HOUR_NS = 3_600_000_000_000n;
/** More than the comparison of the clocks is off by. */
const SLACK_NS = 1_000_000n;

test("WALL follows a step of the wall clock, forward and back, and NOW does not", (context) => {
  const { memory } = LinearMemory.create({ mtu: 1500, reassembly: 0 });
  const times = new BigUint64Array(memory.buffer);
  let ahead = BigInt(Date.now()) * 1_000_000n;
  const wall = () => process.hrtime.bigint() + ahead;
  context.mock.method(Date, "now", () => Number(wall() / 1_000_000n));
  const clock = new Clock(memory, wall);
  let last = 0n;
  for (const step of [0n, HOUR_NS, 0n, -2n * HOUR_NS, 0n, 3_000_000n, -3_000_000n]) {
    ahead += step;
    const before = wall();
    clock.read();
    assert.ok(times[WALL / 8] > before - SLACK_NS && times[WALL / 8] < wall() + SLACK_NS, `after ${step} ns`);
    assert.ok(times[NOW / 8] > last && times[NOW / 8] < process.hrtime.bigint() + SLACK_NS);
    last = times[NOW / 8];
  }
});
