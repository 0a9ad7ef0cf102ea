/**
 * Has a worker's engine run into a trap while packets come: `crash.js IO`. Prints the counts before the crash, and
 * those after as many packets again have been answered.
 */
import { spawn } from "node:child_process";
import { NEXT_TABLE } from "../../abi/control.js";
import { Counter, Drop, DROPPED } from "../../abi/counters.js";
import { DEFAULT_REASSEMBLY } from "../../src/prefix/policy.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { tableOf } from "../../src/engine/table.js";
import type { IoChoice } from "../../src/io/contract.js";
import { verdicts } from "../../src/telemetry/verdicts.js";
import { parseAddress, parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { Queue } from "../../src/daemon/queue.js";
import { TunDevice } from "../../src/tun/device.js";

const [host, prefix] = [parseAddress("10.99.0.1"), parsePrefix("10.99.0.0/16")];
const device = new TunDevice({ name: "pong0", mtu: 1500, queues: 1 });
await device.routing.configure([host], [prefix]);
const said: string[] = [];
const queue = new Queue({
  index: 0, fd: device.queues[0], engine: "wasm", io: process.argv[2] as IoChoice, spin: 0, precision: "coarse",
  memory: LinearMemory.create(
    { mtu: 1500, reassembly: DEFAULT_REASSEMBLY, table: tableOf(serving([prefix]), { hosts: [host] }) },
  ),
  crashed: (_, crash) => {
    said.push(crash.message);
    words[NEXT_TABLE / 4] = table;
    return undefined;
  },
});
const words = new Uint32Array(queue.memory.memory.buffer);
const table = words[NEXT_TABLE / 4];
const answered = async (count: number) => {
  while (verdicts([queue]).replied < count) await new Promise(setImmediate);
};
await queue.running;
const flood = spawn("ping", ["-q", "-i", "0.002", "-W", "1", "10.99.1.1"], { stdio: "ignore" });
await answered(20);
// The engine looks for its table beyond the memory, and traps.
Atomics.store(words, NEXT_TABLE / 4, 0xffff0000);
while (said.length === 0) await new Promise(setImmediate);
const before = verdicts([queue]);
await answered(before.replied + 20);
flood.kill();
queue.stop();
await queue.ended;
const { restarts, counters } = queue;
console.log(JSON.stringify({
  said, restarts, before, after: verdicts([queue]), lost: counters[DROPPED + Drop.worker_crash],
  received: counters[Counter.packetsReceived],
}));
device.close();
