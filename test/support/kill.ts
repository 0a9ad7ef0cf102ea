/**
 * Kills a worker again and again at random instructions while packets come: `kill.js IO TIMES SEED`. V8 stops a thread
 * where it would interrupt it for anything else: at the next call, or the next round of a loop, in JavaScript as in
 * WebAssembly. Throws where a counter goes back. Prints what was counted in the end, by pongd and by the device itself.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import threads, { type Worker, type WorkerOptions } from "node:worker_threads";
import { Counter, DROPPED, PREFIX_REPLIES, REPLIES } from "../../abi/counters.js";
import { DEFAULT_REASSEMBLY } from "../../src/prefix/policy.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { tableOf } from "../../src/engine/table.js";
import type { IoChoice } from "../../src/io/contract.js";
import { verdicts } from "../../src/telemetry/verdicts.js";
import { parseAddress, parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { TunDevice } from "../../src/tun/device.js";
import { Random } from "./random.js";

const [, , io, times, seed] = process.argv;
const random = new Random(Number(seed));

const workers: Worker[] = [];
threads.Worker = class extends threads.Worker {
  constructor(filename: string | URL, options?: WorkerOptions) {
    super(filename, options);
    workers.push(this);
  }
};
syncBuiltinESMExports();
const { Queue } = await import("../../src/daemon/queue.js");

const [host, prefix] = [parseAddress("10.99.0.1"), parsePrefix("10.99.0.0/16")];
const device = new TunDevice({ name: "pong0", mtu: 1500, queues: 1 });
await device.routing.configure([host], [prefix]);
const queue = new Queue({
  index: 0, fd: device.queues[0], engine: "wasm", io: io as IoChoice, spin: 0, precision: "coarse",
  memory: LinearMemory.create(
    { mtu: 1500, reassembly: DEFAULT_REASSEMBLY, table: tableOf(serving([prefix]), { hosts: [host] }) },
  ),
  crashed: () => undefined,
});

/** Counters that only go up. */
const COUNTED = [
  Counter.packetsReceived, Counter.bytesReceived, Counter.writeErrors, Counter.syscalls, PREFIX_REPLIES,
  ...range(REPLIES, REPLIES + 4), ...range(DROPPED, DROPPED + 40),
];
const seen = COUNTED.map(() => 0);
const look = () => {
  const { counters } = queue;
  COUNTED.forEach((counter, i) => {
    if (counters[counter] < seen[i]) {
      throw new Error(`counter ${counter} went back from ${seen[i]} to ${counters[counter]}`);
    }
    seen[i] = counters[counter];
  });
};
const until = async (condition: () => boolean) => {
  while (!condition()) {
    look();
    await new Promise(setImmediate);
  }
};
const replied = () => verdicts([queue]).replied;

await queue.running;
// Most are plain pings. The fragments' replies are made elsewhere.
const loads = [["-f", "-q", "10.99.1.1"], ["-f", "-q", "-s", "4000", "10.99.1.2"]]
  .map((args) => spawn("ping", args, { stdio: "ignore" }));
for (let i = 0; i < Number(times); i++) {
  const [before, restarts] = [replied(), queue.restarts];
  await until(() => replied() > before + 20);
  const at = performance.now() + random.below(2000) / 1000;
  while (performance.now() < at);
  void workers.at(-1)?.terminate();
  await until(() => queue.restarts > restarts);
}
const before = replied();
await until(() => replied() > before + 100);
for (const load of loads) load.kill();
queue.stop();
await queue.ended;
look();
const { counters, restarts } = queue;
const [rx, tx] = [1, 9].map(
  (column) => Number(readFileSync("/proc/net/dev", "utf8").split("pong0:")[1].trim().split(/\s+/)[column]),
);
console.log(JSON.stringify({ restarts, ...verdicts([queue]), writeErrors: counters[Counter.writeErrors], rx, tx }));
device.close();

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}
