/**
 * Measures a cold start, in a process of its own since V8 keeps compiled code for the whole process. `cold.js ENGINE`
 * prints, as a ColdResult, how long each step took until the first packet was answered.
 */
import { readFileSync } from "node:fs";
import { LinearMemory } from "../engine/memory.js";
import { DEFAULT_REASSEMBLY } from "../prefix/policy.js";
import type { Engine } from "../engine/contract.js";
import { moduleOf } from "../engine/create.js";
import type { BenchEngine, ColdResult } from "./report.js";
import { trafficOf, Workload } from "./workload.js";

const engine = process.argv[2] as BenchEngine;
const { table, destinations } = trafficOf(1, 1, 1);
const linear = LinearMemory.create({ mtu: 1500, reassembly: DEFAULT_REASSEMBLY, table });
const workload = new Workload(linear, destinations, 84, 1, 1, 1);

const times = [performance.now()];
const lap = () => { times.push(performance.now()); };
const instance = engine === "wasm" || engine === "wasm-scalar"
  ? await webAssembly(moduleOf(engine))
  : await javaScript();
lap();
const replies = instance.respond(1);
lap();
workload.verify(0, replies);

const [loadMs, compileMs, instantiateMs, firstPacketMs] = times.slice(1).map((time, i) => time - times[i]);
const result: ColdResult = { engine, loadMs, compileMs, instantiateMs, firstPacketMs, totalMs: times[4] - times[0] };
console.log(JSON.stringify(result));

async function webAssembly(file: URL): Promise<Engine> {
  const { load, WasmEngine } = await import("../engine/wasm.js");
  const bytes = readFileSync(file);
  lap();
  const module = new WebAssembly.Module(bytes);
  lap();
  return new WasmEngine(await load(module, linear.memory), linear.memory);
}

async function javaScript(): Promise<Engine> {
  const create = engine === "js"
    ? (await import("../engine/js.js")).createJsEngine
    : (await import("./naive.js")).createNaiveEngine;
  lap();
  lap();
  return create(linear.memory);
}
