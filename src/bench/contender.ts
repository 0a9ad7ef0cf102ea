/**
 * One engine on a thread of its own, as in pongd: V8 compiles what exists once in a thread better than what exists
 * twice (engine/js.ts). It runs when told to, so that its rivals' threads are idle meanwhile.
 */
import { parentPort, workerData } from "node:worker_threads";
import { LinearMemory } from "../engine/memory.js";
import { DEFAULT_REASSEMBLY } from "../prefix/policy.js";
import { messageOf } from "../base/failure.js";
import { createEngine } from "./engines.js";
import type { BenchEngine } from "./report.js";
import { median } from "./stats.js";
import { trafficOf, Workload } from "./workload.js";

/** A packet of the usual MTU lies in a slot of that size, however small it is. */
const MTU = 1500;
/** Least packets between two readings of the clock, which takes as long as four of them. */
const MIN_PACKETS = 64;
const CLOCK_READS = 99;

export interface ContenderInput {
  readonly engine: BenchEngine;
  readonly packetBytes: number;
  readonly batch: number;
  readonly prefixes: number;
  readonly seed: number;
}

/** Nanoseconds a packet, or why not. The message that asks for it is how many nanoseconds to spend. */
export type RunResult = { readonly nsPerPacket: number } | { readonly error: string };

const { engine: name, packetBytes, batch, prefixes, seed } = workerData as ContenderInput;
const calls = Math.ceil(MIN_PACKETS / batch);
// One for each packet, and each in a prefix of its own where there are that many. What a lookup reads is in the caches,
// like the packets.
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
  // Nothing is timed whose output has not been found right, in the code that V8 has made of it by now.
  for (let call = 0; call < workload.calls; call++) {
    workload.receive(call);
    workload.verify(call, engine.respond(batch, 0));
  }
  workload.restore();
  workload.receive(0);

  const packets = batch * workload.calls;
  const clock = clockNs();
  let spent = 0;
  let times = 0;
  for (; spent < ns; times++) {
    const start = process.hrtime.bigint();
    let replies = engine.respond(batch, 0);
    // As the I/O would between two small batches.
    for (let call = 1; call < workload.calls; call++) {
      workload.receive(call);
      replies += engine.respond(batch, 0);
    }
    spent += Number(process.hrtime.bigint() - start);
    if (replies !== packets) throw new Error(`answered ${replies} of ${packets} packets`);
    workload.restore();
    if (workload.calls > 1) workload.receive(0);
  }
  return (spent / times - clock) / packets;
}

/** What reading the clock adds to what lies between two readings. */
function clockNs(): number {
  return median(Array.from({ length: CLOCK_READS }, () => {
    const start = process.hrtime.bigint();
    return Number(process.hrtime.bigint() - start);
  }));
}
