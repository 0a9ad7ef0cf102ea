/**
 * Tests the I/O backends by themselves, on an eventfd in place of a queue: a wait with a limit, and one that is woken.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DEADLINE } from "../../abi/control.js";
import { SLOTS } from "../../abi/slots.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { DEFAULT_REASSEMBLY } from "../../src/prefix/policy.js";
import { compile, load } from "../../src/engine/wasm.js";
import { FOREVER, IO_NAMES, type IoName, type PacketIo } from "../../src/io/contract.js";
import { ReadWriteIo } from "../../src/io/readwrite.js";
import { UringIo } from "../../src/io/uring.js";
import { tableOf } from "../../src/engine/table.js";
import { serving } from "../../src/prefix/prefixes.js";
import { Queue } from "../../src/daemon/queue.js";
import * as libc from "../../src/sys/libc.js";
import { EFD_NONBLOCK } from "../../src/sys/uapi.js";
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

async function open(name: IoName): Promise<Opened> {
  const linear = LinearMemory.create({ mtu: 1500, reassembly: 0, table: tableOf(serving([])) });
  const queue = libc.eventfd(0, EFD_NONBLOCK);
  const wake = libc.eventfd(0, 0);
  const close = () => { for (const fd of [queue, wake]) libc.close(fd); };
  try {
    const io = name === "uring"
      ? new UringIo(queue, wake, linear, await load(compile(moduleOf("wasm")), linear.memory), 0)
      : new ReadWriteIo(queue, wake, linear, new Map());
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
    for (const timeoutMs of [0, 1, 20, 0, 1001]) assert.equal(io.receive(timeoutMs), 0);
    for (const timeoutMs of [FOREVER, 60_000, FOREVER]) {
      libc.eventfd_write(queue, 1);
      assert.equal(io.receive(timeoutMs), 1);
      assert.equal(slots.receivedLength(0), 8, "an eventfd's packet");
      slots.give(slots.received(0));
      assert.equal(io.receive(1), 0);
    }
    assert.equal(io.drain(), 0);
    if (name === "readwrite") assert.equal(slots.free, SLOTS);
    io.close();
    close();
  });

  test(`${name}: a wait with a timeout is woken like any other`, { skip }, async () => {
    const { io, wake, close } = await open(name);
    libc.eventfd_write(wake, 1);
    assert.equal(io.receive(3_600_000), 0);
    io.close();
    close();
  });

  test(`${name}: the packet loop calls the engine when its deadline has passed, with no packet to wake it`, {
    skip,
  }, async () => {
    const fd = libc.eventfd(0, EFD_NONBLOCK);
    const queue = new Queue({
      index: 0, engine: "wasm", io: name, spin: 0,
      memory: LinearMemory.create(
        { mtu: 1500, reassembly: DEFAULT_REASSEMBLY, table: tableOf(serving([])) },
      ), fd,
    });
    const times = new Float64Array(queue.memory.memory.buffer);
    times[DEADLINE / 8] = Date.now() + 50;
    await queue.running;
    // The engine finds nothing in reassembly, and so clears the deadline.
    while (times[DEADLINE / 8] !== 0) await new Promise(setImmediate);
    queue.stop();
    await queue.ended;
    libc.close(fd);
  });
}
