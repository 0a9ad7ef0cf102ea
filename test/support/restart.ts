/**
 * Ends and starts the worker of one device again and again while packets come: `restart.js TIMES IO ENGINE`. The device
 * stays, so that its own count can be compared with the workers'. Prints both.
 */
import { readFileSync } from "node:fs";
import { Counter, Protocol, REPLIES } from "../../abi/counters.js";
import type { EngineName } from "../../src/engine/contract.js";
import { DEFAULT_REASSEMBLY } from "../../src/prefix/policy.js";
import type { IoChoice } from "../../src/io/contract.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { tableOf } from "../../src/engine/table.js";
import { parseAddress, parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { Queue } from "../../src/daemon/queue.js";
import { TunDevice } from "../../src/tun/device.js";

const [, , times, io, engine] = process.argv;
const host = parseAddress("10.99.0.1");
const prefix = parsePrefix("10.99.0.0/16");
const device = new TunDevice({ name: "pong0", mtu: 1500, queues: 1 });
await device.routing.configure([host], [prefix]);
const table = tableOf(serving([prefix]), { hosts: [host] });
let written = 0;
let received = 0;
for (let i = 0; i < Number(times); i++) {
  const memory = LinearMemory.create({ mtu: 1500, reassembly: DEFAULT_REASSEMBLY, table });
  const queue = new Queue(
    { index: 0, fd: device.queues[0], engine: engine as EngineName, io: io as IoChoice, spin: 0, precision: "coarse",
      memory },
  );
  await queue.running;
  const { counters } = queue;
  while (counters[REPLIES + Protocol.icmp] < 20) await new Promise(setImmediate);
  queue.stop();
  await queue.ended;
  written += counters[REPLIES + Protocol.icmp] - counters[Counter.writeErrors];
  received += counters[Counter.packetsReceived];
}
const statistic = (name: string) => Number(
  readFileSync(`/proc/net/dev`, "utf8").split("pong0:")[1].trim().split(/\s+/)[name === "rx" ? 1 : 9],
);
console.log(JSON.stringify({ written, rx: statistic("rx"), received, tx: statistic("tx") }));
device.close();
