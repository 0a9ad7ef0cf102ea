/** The engine that assembly/ compiles to. Its whole interface is one function; the types come with the built module. */
import { readFileSync } from "node:fs";
import { instantiate } from "#release";
import type { Engine } from "./engine.js";

/** Compiles the built module once; a compiled module can be handed to any number of workers. */
export function compile(file = new URL(import.meta.resolve("#release.wasm"))): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(file));
}

export class WasmEngine implements Engine {
  readonly name = "wasm";
  readonly respond: (count: number) => number;

  private constructor(respond: (count: number) => number) {
    this.respond = respond;
  }

  static async instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Promise<WasmEngine> {
    const exports = await instantiate(module, { env: { memory } });
    return new WasmEngine(exports.respond);
  }
}
