/** Every engine there is to compare: the two that pongd runs, and two that show what they gain. */
import type { Engine } from "../engine/contract.js";
import type { LinearMemory } from "../engine/memory.js";
import type { BenchEngine } from "./report.js";

/** Loaded when asked for: what else is loaded would be part of a cold start. */
export async function createEngine(name: BenchEngine, { memory }: LinearMemory): Promise<Engine> {
  switch (name) {
    case "js": return (await import("../engine/js.js")).createJsEngine(memory);
    case "js-naive": return (await import("./naive.js")).createNaiveEngine(memory);
    case "wasm":
    case "wasm-scalar": {
      const { compile, load, WasmEngine } = await import("../engine/wasm.js");
      return new WasmEngine(await load(compile(moduleOf(name)), memory));
    }
  }
}

/** The built module: with SIMD, or the same source without. */
export function moduleOf(name: "wasm" | "wasm-scalar"): URL {
  return new URL(import.meta.resolve(name === "wasm" ? "#release.wasm" : "#scalar.wasm"));
}
