/**
 * Tests the I/O backends by themselves, on an eventfd in place of a queue: a wait with a limit, and one that is woken.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DEADLINE } from "../../abi/control.js";
import { BATCH, SLOT_BASE, SLOTS } from "../../abi/slots.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { DEFAULT_REASSEMBLY } from "../../src/prefix/policy.js";
import { compile, load } from "../../src/engine/wasm.js";
import { FOREVER, IO_NAMES, type IoName, type PacketIo, SHORT_BATCH } from "../../src/io/contract.js";
import { ReadWriteIo } from "../../src/io/readwrite.js";
import { UringIo } from "../../src/io/uring.js";
import { tableOf } from "../../src/engine/table.js";
import { serving } from "../../src/prefix/prefixes.js";
import { Queue } from "../../src/daemon/queue.js";
import * as libc from "../../src/sys/libc.js";
import { EFD_NONBLOCK, EFD_SEMAPHORE } from "../../src/sys/uapi.js";
import { moduleOf } from "../../src/engine/create.js";

/** The reason why io_uring cannot be used here, if there is one. */
const refusal = await (async () => {
  try {
    const { io, close } = await open("uring");
    io.close();
    close();
    return false;
  } catch (error) {
    return String(error);
  }
})();

interface Opened {
  readonly io: PacketIo;
  readonly linear: LinearMemory;
  readonly queue: number;
  readonly wake: number;
  readonly close: () => void;
}

/** `packets` lie in the queue: as a semaphore, the eventfd gives one of them a read. */
async function open(name: IoName, packets = 0): Promise<Opened> {
  const linear = LinearMemory.create({ mtu: 1500, reassembly: 0, table: tableOf(serving([])) });
  const queue = libc.eventfd(packets, EFD_NONBLOCK | (packets > 0 ? EFD_SEMAPHORE : 0));
  const wake = libc.eventfd(0, 0);
  const close = () => { for (const fd of [queue, wake]) libc.close(fd); };
  try {
    const io = name === "uring"
      ? new UringIo(queue, wake, linear, await load(compile(moduleOf("wasm")), linear.memory), 0)
      : new ReadWriteIo(queue, wake, linear);
    return { io, linear, queue, wake, close };
  } catch (error) {
    close();
    throw error;
  }
}

for (const name of IO_NAMES) {
  const skip = name === "uring" ? refusal : false;

  test(`${name}: a wait with a timeout ends though nothing came, and what comes later is received all the same`, {
    skip,
  }, async () => {
    const { io, linear, queue, close } = await open(name);
    const { slots } = linear;
    for (const timeoutNs of [0, 1, 999_999, 20_000_000, 0, 1_001_000_000]) assert.equal(io.receive(timeoutNs), 0);
    for (const timeoutNs of [FOREVER, 60_000_000_000, FOREVER]) {
      libc.eventfd_write(queue, 1);
      assert.equal(io.receive(timeoutNs), 1);
      assert.equal(slots.receivedLength(0), 8, "an eventfd's packet");
      slots.give(slots.received(0));
      assert.equal(io.receive(1_000_000), 0);
    }
    io.flush();
    if (name === "readwrite") assert.equal(slots.free, SLOTS);
    io.close();
    close();
  });

  test(`${name}: a wait lasts as long as its timeout, a long one 0.2 % less`, { skip }, async () => {
    const { io, close } = await open(name);
    for (const [timeoutNs, atLeast] of [[300_000, 300_000], [2_000_000, 2_000_000], [1_000_200_000, 998_000_000]]) {
      const start = process.hrtime.bigint();
      assert.equal(io.receive(timeoutNs), 0);
      assert.ok(process.hrtime.bigint() - start >= atLeast, `a wait of ${timeoutNs} ns`);
    }
    io.close();
    close();
  });

  test(`${name}: while something is due within a millisecond, a round reads ${SHORT_BATCH} packets at most`, {
    skip,
  }, async () => {
    const { io, linear: { slots }, close } = await open(name, 10_000);
    const receive = (timeoutNs: number) => {
      const count = io.receive(timeoutNs);
      for (let i = 0; i < count; i++) slots.give(slots.received(i));
      return count;
    };
    while (receive(FOREVER) < BATCH);
    assert.equal(receive(999_999), SHORT_BATCH);
    assert.equal(receive(0), SHORT_BATCH);
    // Rounds grow again by doubling.
    assert.equal(receive(1_000_000), 2 * SHORT_BATCH);
    assert.equal(receive(FOREVER), BATCH);
    io.close();
    close();
  });

  test(`${name}: slots behind the first ${SLOTS} are written and read where they lie`, { skip }, async () => {
    const { io, linear, queue, close } = await open(name);
    const { slots } = linear;
    const place = SLOT_BASE + (SLOTS + 1) * linear.slotSize;
    const words = new BigUint64Array(linear.memory.buffer);
    slots.take();
    words[place / 8] = 5n;
    slots.send(0, place, 8);
    io.send(1);
    // The slot is the next to be taken once it is free.
    let count = 0;
    for (let i = 0; i < 3 && count === 0; i++) count = io.receive(0);
    assert.equal(count, 1);
    assert.equal(words[slots.received(0) / 8], 5n);
    words[place / 8] = 0n;
    slots.give(place);
    libc.eventfd_write(queue, 7);
    assert.equal(io.receive(FOREVER), 1);
    assert.equal(slots.received(0), place);
    assert.equal(words[place / 8], 7n);
    io.close();
    close();
  });

  test(`${name}: a wait with a timeout is woken like any other`, { skip }, async () => {
    const { io, wake, close } = await open(name);
    libc.eventfd_write(wake, 1);
    assert.equal(io.receive(3_600_000_000_000), 0);
    io.close();
    close();
  });

  test(`${name}: the packet loop calls the engine when its deadline has passed, with no packet to wake it`, {
    skip,
  }, async () => {
    const fd = libc.eventfd(0, EFD_NONBLOCK);
    const queue = new Queue({
      index: 0, engine: "wasm", io: name, spin: 0, precision: "coarse",
      memory: LinearMemory.create(
        { mtu: 1500, reassembly: DEFAULT_REASSEMBLY, table: tableOf(serving([])) },
      ), fd,
    });
    const times = new BigUint64Array(queue.memory.memory.buffer);
    times[DEADLINE / 8] = process.hrtime.bigint() + 50_000_000n;
    await queue.running;
    // The engine finds no timer, and so clears the deadline.
    while (times[DEADLINE / 8] !== 0n) await new Promise(setImmediate);
    queue.stop();
    await queue.ended;
    libc.close(fd);
  });
}
