/**
 * The engines side by side, packets in memory, no device: nanoseconds a packet, by packet size. Engines take turns, so that a
 * machine whose speed drifts does so under all of them; the median of the rounds is printed.
 */
import { BATCH } from "../abi.js";
import { ENGINE_NAMES, type Engine, type EngineName } from "../engine/engine.js";
import { createJsEngine } from "../engine/js.js";
import { LinearMemory } from "../engine/memory.js";
import { compile, load, WasmEngine } from "../engine/wasm.js";
import { trieOf, parseAddress, parsePrefix } from "../prefixes.js";
import { Workload } from "./workload.js";

const SIZES = [28, 84, 128, 576, 1500, 9000, 65535];
const ROUNDS = 15;
const ROUND_NS = 20_000_000;
const MTU = 65535;

const module = compile();
const policy = { trie: trieOf([parsePrefix("10.99.0.0/16")], [parseAddress("10.99.0.1")]), ttl: 64, ignoreEcho: false };

async function create(name: EngineName, packetBytes: number): Promise<{ engine: Engine; workload: Workload }> {
  const linear = LinearMemory.create(MTU);
  linear.setPolicy(policy);
  const engine = name === "js" ? createJsEngine(linear.memory) : new WasmEngine(await load(module, linear.memory));
  return { engine, workload: new Workload(linear, packetBytes, BATCH) };
}

/** Nanoseconds a packet, over one round of at least `ns`. */
function round({ engine, workload }: { engine: Engine; workload: Workload }, ns: number): number {
  let spent = 0;
  let batches = 0;
  for (; spent < ns; batches++) {
    const start = process.hrtime.bigint();
    const replies = engine.respond(BATCH);
    spent += Number(process.hrtime.bigint() - start);
    if (replies !== BATCH) throw new Error(`${engine.name} answered ${replies} of ${BATCH} packets`);
    workload.restore();
  }
  return spent / batches / BATCH;
}

const row = (...cells: string[]) => cells.map((cell) => cell.padStart(9)).join("");
console.log(`node ${process.versions.node}, v8 ${process.versions.v8}, batches of ${BATCH}, median of ${ROUNDS} rounds, ns a packet`);
console.log(row("bytes", ...ENGINE_NAMES, "js/wasm"));
for (const size of SIZES) {
  const contenders = await Promise.all(ENGINE_NAMES.map((name) => create(name, size)));
  const rounds = contenders.map((): number[] => []);
  for (let i = 0; i < ROUNDS; i++) contenders.forEach((contender, c) => rounds[c].push(round(contender, ROUND_NS)));
  const [wasm, js] = rounds.map((times) => times.sort((a, b) => a - b)[ROUNDS >> 1]);
  console.log(row(String(size), wasm.toFixed(1), js.toFixed(1), (js / wasm).toFixed(2)));
}
