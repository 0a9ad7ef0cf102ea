/**
 * An engine by its name, over a memory. Each is loaded when asked for: whatever else is loaded would be part of a cold
 * start.
 */
import type { Engine, EngineName } from "./contract.js";
import type { LinearMemory } from "./memory.js";

/** Those that assembly/ is built to: with SIMD, or the same source without. */
export type ModuleName = "wasm" | "wasm-scalar";

export async function createEngine(name: EngineName | ModuleName, { memory }: LinearMemory): Promise<Engine> {
  if (name === "js") return (await import("./js.js")).createJsEngine(memory);
  const { compile, load, WasmEngine } = await import("./wasm.js");
  return new WasmEngine(await load(compile(moduleOf(name)), memory));
}

/** Where the built module lies. */
export function moduleOf(name: ModuleName): URL {
  return new URL(import.meta.resolve(name === "wasm" ? "#release.wasm" : "#scalar.wasm"));
}
