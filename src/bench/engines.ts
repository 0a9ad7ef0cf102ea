/** Creates the engines to compare: the two that pongd runs, and two that show what those gain. */
import type { Engine } from "../engine/contract.js";
import { createEngine as create } from "../engine/create.js";
import type { LinearMemory } from "../engine/memory.js";
import type { BenchEngine } from "./report.js";

export async function createEngine(name: BenchEngine, linear: LinearMemory): Promise<Engine> {
  if (name === "js-naive") return (await import("./naive.js")).createNaiveEngine(linear.memory);
  return create(name, linear);
}
