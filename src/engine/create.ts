/**
 * Creates an engine by its name, over a memory. An engine is loaded only when asked for, since loading the others would
 * delay a cold start.
 */
import type { Engine, EngineName } from "./contract.js";
import type { LinearMemory } from "./memory.js";

/** The modules that assembly/ is built to: with SIMD, and from the same source without. */
export type ModuleName = "wasm" | "wasm-scalar";

export async function createEngine(name: EngineName | ModuleName, { memory }: LinearMemory): Promise<Engine> {
  if (name === "js") return (await import("./js.js")).createJsEngine(memory);
  const { compile, load, WasmEngine } = await import("./wasm.js");
  return new WasmEngine(await load(compile(moduleOf(name)), memory), memory);
}

/** Returns where the built module lies. */
export function moduleOf(name: ModuleName): URL {
  return new URL(import.meta.resolve(name === "wasm" ? "#release.wasm" : "#scalar.wasm"));
}
