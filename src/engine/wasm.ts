/**
 * The module that assembly/ is compiled to: the engine, and the rings of src/io/uring.ts. Its types
 * come with the built module.
 */
import { readFileSync } from "node:fs";
import { STAMPED_COUNT } from "../../abi/control.js";
import { instantiate } from "#release";
import type { Engine } from "./contract.js";

/** The exports of the module, over one memory. */
export type Assembly = Awaited<ReturnType<typeof instantiate>>;

/** Compiles a built module. The compiled module can be handed to any number of workers. */
export function compile(file: URL): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(file));
}

export function load(module: WebAssembly.Module, memory: WebAssembly.Memory): Promise<Assembly> {
  return instantiate(module, { env: { memory } });
}

export class WasmEngine implements Engine {
  readonly respond: Engine["respond"];

  /** `setTime` writes the time again for what says when it is sent; without it, it is the time of the call. */
  constructor({ respond, stamp }: Assembly, { buffer }: WebAssembly.Memory, setTime?: () => void) {
    const words = new Uint32Array(buffer);
    this.respond = (count) => {
      const replies = respond(count);
      if (words[STAMPED_COUNT / 4] !== 0) {
        setTime?.();
        stamp();
      }
      return replies;
    };
  }
}
