/** Tests a worker by itself, on descriptors that are no device. */
import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { test } from "node:test";
import { EXIT, Failure } from "../../src/base/failure.js";
import { openDescriptors } from "../../src/sys/descriptors.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { tableOf } from "../../src/engine/table.js";
import { serving } from "../../src/prefix/prefixes.js";
import { Queue } from "../../src/daemon/queue.js";
import * as libc from "../../src/sys/libc.js";
import { EFD_NONBLOCK } from "../../src/sys/uapi.js";

const options = {
  index: 3, engine: "wasm", io: "readwrite", spin: 0,
  get memory() { return LinearMemory.create({ mtu: 1500, reassembly: 0, table: tableOf(serving([])) }); },
} as const;

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
