/**
 * Runs one engine on a thread of its own, as pongd does: V8 optimizes code that exists once in a thread better than
 * code that exists twice (engine/js.ts). It runs only when told to, so that its rivals' threads are idle meanwhile.
 */
import { parentPort, workerData } from "node:worker_threads";
import { LinearMemory } from "../engine/memory.js";
import { DEFAULT_REASSEMBLY } from "../prefix/policy.js";
import { messageOf } from "../base/failure.js";
import { createEngine } from "./engines.js";
import type { BenchEngine } from "./report.js";
import { median } from "./stats.js";
import { trafficOf, Workload } from "./workload.js";

/** MTU of the memory: small packets lie in slots of this size, too, as they usually do. */
const MTU = 1500;
/** Fewest packets between two readings of the clock. A reading takes as long as four packets. */
const MIN_PACKETS = 64;
const CLOCK_READS = 99;

export interface ContenderInput {
  readonly engine: BenchEngine;
  readonly packetBytes: number;
  readonly batch: number;
  readonly prefixes: number;
  readonly seed: number;
}

/** Nanoseconds per packet, or an error. The message that asks for a run is the number of nanoseconds to spend. */
export type RunResult = { readonly nsPerPacket: number } | { readonly error: string };

const { engine: name, packetBytes, batch, prefixes, seed } = workerData as ContenderInput;
const calls = Math.ceil(MIN_PACKETS / batch);
// Each packet has a destination of its own, in a prefix of its own if there are that many. What a lookup reads is in
// the caches, like the packets.
const { table, destinations } = trafficOf(prefixes, batch * calls, seed);
const linear = LinearMemory.create({ mtu: Math.max(packetBytes, MTU), reassembly: DEFAULT_REASSEMBLY, table });
const engine = await createEngine(name, linear);
const workload = new Workload(linear, destinations, packetBytes, batch, calls, seed);

parentPort?.on("message", (ns: number) => {
  let result: RunResult;
  try {
    result = { nsPerPacket: run(ns) };
  } catch (error) {
    result = { error: `${name}, ${packetBytes} bytes, batches of ${batch}: ${messageOf(error)}` };
  }
  parentPort?.postMessage(result);
});

function run(ns: number): number {
  // Every output is verified before anything is timed. This also has V8 compile the code.
  for (let call = 0; call < workload.calls; call++) {
    workload.receive(call);
    workload.verify(call, engine.respond(batch));
  }
  workload.restore();
  workload.receive(0);

  const packets = batch * workload.calls;
  const clock = clockNs();
  let spent = 0;
  let times = 0;
  for (; spent < ns; times++) {
    const start = process.hrtime.bigint();
    let replies = engine.respond(batch);
    // The I/O would do this between two small batches, too.
    for (let call = 1; call < workload.calls; call++) {
      workload.receive(call);
      replies += engine.respond(batch);
    }
    spent += Number(process.hrtime.bigint() - start);
    if (replies !== packets) throw new Error(`answered ${replies} of ${packets} packets`);
    workload.restore();
    if (workload.calls > 1) workload.receive(0);
  }
  return (spent / times - clock) / packets;
}

/** Measures the time that reading the clock adds to a measurement. */
function clockNs(): number {
  return median(Array.from({ length: CLOCK_READS }, () => {
    const start = process.hrtime.bigint();
    return Number(process.hrtime.bigint() - start);
  }));
}
