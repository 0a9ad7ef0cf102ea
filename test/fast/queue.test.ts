/** Tests a worker by itself, on descriptors that are no device. */
import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { EXIT, Failure } from "../../src/base/failure.js";
import { openDescriptors } from "../../src/sys/descriptors.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { ShownCounters } from "../../src/telemetry/shown.js";
import { tableOf } from "../../src/engine/table.js";
import { serving } from "../../src/prefix/prefixes.js";
import { Queue } from "../../src/daemon/queue.js";
import * as libc from "../../src/sys/libc.js";
import { EFD_NONBLOCK } from "../../src/sys/uapi.js";

const options = {
  index: 3, engine: "wasm", io: "readwrite", spin: 0, precision: "coarse",
  get memory() { return LinearMemory.create({ mtu: 1500, reassembly: 0, table: tableOf(serving([])) }); },
} as const;

test("a memory that is too large is refused before it is made, with what makes it smaller", () => {
  assert.throws(
    () => LinearMemory.create({ mtu: 65_535, reassembly: 0, kept: 130_560, table: tableOf(serving([])) }),
    (error) => error instanceof Failure && error.exitStatus === EXIT.CONFIG
      && /^a queue would need 8\d{3} MiB of memory, and may have 4096 MiB; lower held_packets, /.test(error.message),
  );
});

test("a worker that dies is a failure that says which and why", async () => {
  const fd = openSync("/", "r");
  const queue = new Queue({ ...options, fd });
  await assert.rejects(queue.ended, (error) => error instanceof Failure && error.exitStatus === EXIT.RUNTIME
    && error.message === "the worker of queue 3 died: read the device's queue: EISDIR");
  queue.stop();
  closeSync(fd);
});

test("a worker that cannot start is the same", async () => {
  await assert.rejects(
    new Queue({ ...options, fd: -1 }).ended, /the worker of queue 3 died: read the device's queue: EBADF/,
  );
});

test("a worker that sleeps ends when it is asked to, and leaves no descriptor", async () => {
  const before = openDescriptors();
  // A non-blocking and empty eventfd behaves like a device on which no packets come.
  const fd = libc.eventfd(0, EFD_NONBLOCK);
  for (const engine of ["wasm", "js"] as const) {
    const queue = new Queue({ ...options, engine, fd });
    await queue.running;
    queue.stop();
    await queue.ended;
  }
  libc.close(fd);
  assert.deepEqual([...openDescriptors().keys()], [...before.keys()]);
});

test("the end of a worker closes nothing of a thread that was made at the same time", async () => {
  const fd = libc.eventfd(0, EFD_NONBLOCK);
  const queue = new Queue({ ...options, fd });
  const other = new Worker(
    "const { parentPort: port } = require('node:worker_threads'); port.on('message', (it) => port.postMessage(it))",
    { eval: true },
  );
  await once(other, "online");
  await queue.running;
  queue.stop();
  await queue.ended;
  libc.close(fd);
  other.postMessage("still there");
  assert.deepEqual(await once(other, "message"), ["still there"]);
  await other.terminate();
});

test("hidden counters are shown as they were, to every thread that shares them", () => {
  const live = new Float64Array(new SharedArrayBuffer(16)).fill(5);
  const shown = new ShownCounters(live);
  const elsewhere = new ShownCounters(live, structuredClone(shown.shared));
  shown.hide();
  live[1] = 4000;
  assert.deepEqual([...shown.now, ...elsewhere.now], [5, 5, 5, 5]);
  live[1] = 6;
  shown.show();
  assert.deepEqual([...shown.now, ...elsewhere.now], [5, 6, 5, 6]);
});
