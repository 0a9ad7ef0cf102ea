/**
 * Tests timers against a sorted list, and kept packets with an engine that keeps every packet for a random time and
 * sends several replies to it.
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import fc from "fast-check";
import { DEADLINE, NOW } from "../../abi/control.js";
import { Counter, Drop, DROPPED, LATENESS, LATENESS_BUCKETS, Protocol, REPLIES } from "../../abi/counters.js";
import { BATCH, SENDS } from "../../abi/slots.js";
import { TICK_NS, Timer, TIMERS, TIMERS_END, TURNED } from "../../abi/timers.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { tableOf } from "../../src/engine/table.js";
import { parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { build } from "../support/assembly.js";
import { HeldEngine } from "../held/engine.js";
import { icmpPacket } from "../support/packets.js";
import { Random } from "../support/random.js";

const TICK = BigInt(TICK_NS);

function tickOf(ns: bigint): bigint {
  return (ns + TICK - 1n) / TICK;
}

interface Timers {
  set(record: number, kind: number, due: bigint): void;
  end(record: number): void;
  expired(): number;
  due(): number;
}

describe("timers", () => {
  const memory = new WebAssembly.Memory({ initial: 200, maximum: 200, shared: true });
  const times = new BigUint64Array(memory.buffer);
  const words = new Uint32Array(memory.buffer);
  let timers: Timers;
  before(async () => {
    timers = await build("assembly/timers.ts", memory, "release") as unknown as Timers;
  });

  /** Behind everything that the map of memory has. */
  const record = (i: number) => 199 * 65536 + 32 * i;
  /** Returns the records that expire at a time, in order. */
  const expired = (now: bigint) => {
    times[NOW / 8] = now;
    const records = [];
    for (let found = timers.due() && timers.expired(); found; found = timers.expired()) records.push(found);
    return records;
  };

  const step = fc.oneof(
    // Some times lie within a tick of each other, some on other levels of the wheel.
    { weight: 6, arbitrary: fc.record({ after: fc.oneof(
      fc.bigInt(0n, 50_000n), fc.bigInt(0n, 1n << 28n), fc.bigInt(0n, 1n << 40n), fc.bigInt(0n, 1n << 50n),
    ) }) },
    { weight: 2, arbitrary: fc.record({ ended: fc.nat(99) }) },
    { weight: 3, arbitrary: fc.record({ passed: fc.oneof(
      fc.bigInt(0n, 50_000n), fc.bigInt(0n, 1n << 30n), fc.bigInt(0n, 1n << 44n),
    ) }) },
    { weight: 2, arbitrary: fc.constant({ toDeadline: true }) },
  );

  test("expire in order, none early, none late; DEADLINE is never behind the first", () => {
    // Not from 0 on, a time that is always over: DEADLINE says by 0 that there is none.
    fc.assert(fc.property(fc.bigInt(1n, 1n << 52n), fc.array(step, { maxLength: 100 }), (start, steps) => {
      new Uint8Array(memory.buffer).fill(0, TURNED, TIMERS_END).fill(0, record(0), record(100));
      times[DEADLINE / 8] = 0n;
      let now = start;
      times[NOW / 8] = now;
      let pending: { record: number; tick: bigint }[] = [];
      let unused = Array.from({ length: 100 }, (_, i) => record(i));
      for (const one of steps) {
        if ("after" in one) {
          const [taken, ...rest] = unused;
          unused = rest;
          timers.set(taken, Timer.kept, now + one.after);
          pending.push({ record: taken, tick: tickOf(now + one.after) });
        } else if ("ended" in one) {
          timers.end(record(one.ended));
          timers.end(record(one.ended));
          if (pending.some((each) => each.record === record(one.ended))) unused.push(record(one.ended));
          pending = pending.filter((each) => each.record !== record(one.ended));
        } else {
          const deadline = times[DEADLINE / 8];
          now = "passed" in one ? now + one.passed : deadline > now ? deadline : now;
          const due = pending.filter(({ tick }) => tick <= now / TICK);
          due.sort((a, b) => a.tick < b.tick ? -1 : a.tick > b.tick ? 1 : 0);
          const found = expired(now);
          assert.deepEqual(found, due.map((each) => each.record));
          pending = pending.filter(({ tick }) => tick > now / TICK);
          unused.push(...found);
        }
        assert.equal(words[TIMERS / 4], pending.length);
        const deadline = times[DEADLINE / 8];
        assert.equal(deadline !== 0n, pending.length > 0);
        for (const { tick } of pending) assert.ok(deadline <= (tick > now / TICK ? tick * TICK : now));
        assert.equal(deadline % TICK, 0n);
      }
    }), { numRuns: 2000 });
  });
});

describe("kept packets", () => {
  const KEPT = 50_000;
  const table = tableOf(serving([parsePrefix("10.99.0.0/16")]));
  let make: (kept: number) => Promise<HeldEngine>;
  before(async () => {
    const module = await HeldEngine.compile();
    make = (kept) => HeldEngine.create(module, LinearMemory.create({ mtu: 1500, reassembly: 0, table, kept }));
  });

  test("each is sent once, in the order of due times and not early; no slot is lost, and each packet is counted", {
    timeout: 120_000,
  }, async () => {
    const random = Random.fromEnvironment();
    const engine = await make(KEPT);
    const { linear: { slots, counters, memory } } = engine;
    engine.set(random.below(2 ** 31) + 1, 1_000, 900_000_000, 4);
    const times = new BigUint64Array(memory.buffer);
    const view = new DataView(memory.buffer);
    const packet = icmpPacket({ data: new Uint8Array(56) });
    let now = 1n << 47n;
    let [sent, last, most] = [0, 0n, 0];
    const round = (count: number) => {
      engine.receive(packet, count);
      engine.clock.set(now);
      const filled = engine.respond(count);
      assert.ok(filled <= SENDS);
      for (let i = 0; i < filled; i++) {
        const due = view.getBigUint64(slots.toSend(i) + 20, true);
        assert.ok(due <= now, "early");
        const tick = tickOf(due);
        assert.ok(tick >= last, "out of order");
        last = tick;
        slots.give(slots.toSend(i));
      }
      sent += filled;
      most = Math.max(most, slots.count - slots.free);
      const dropped = counters[DROPPED + Drop.nomem];
      assert.equal(
        counters[Counter.packetsReceived], counters[REPLIES + Protocol.icmp] + dropped + counters[Counter.kept], "I5",
      );
    };
    for (let i = 0; i < 4_000; i++) {
      round(random.oneIn(3) ? 0 : random.below(BATCH + 1));
      // Now and then more are due than one call sends.
      now += BigInt(random.oneIn(20) ? 20_000_000 : random.below(2_000_000));
    }
    assert.ok(most > KEPT * 0.95, `${most} at a time`);
    assert.ok(counters[DROPPED + Drop.nomem] > 0, "all room was used");
    for (; times[DEADLINE / 8] !== 0n; now = now > times[DEADLINE / 8] ? now : times[DEADLINE / 8]) round(0);
    assert.equal(slots.free, slots.count);
    assert.equal(new Set(slots.stack).size, slots.count);
    assert.equal(counters[Counter.kept], 0);
    assert.ok(sent > counters[REPLIES + Protocol.icmp]);
    const timers = counters.subarray(LATENESS, LATENESS + LATENESS_BUCKETS).reduce((a, b) => a + b);
    assert.equal(timers, sent, "lateness has been counted for each");
  });
});
