/**
 * Makes the engines that are fuzzed: the module as it is built, and its twin without SIMD with a probe on every branch.
 */
import { readFileSync } from "node:fs";
import { moduleOf } from "../../../src/engine/create.js";
import { load, WasmEngine } from "../../../src/engine/wasm.js";
import type { Maker } from "../../support/engines.js";
import { probed, type Fresh, type Hits } from "./probes.js";

export class Makers {
  /** The number of probes. */
  readonly total: number;
  /** Probes that were run through so far, by whatever engine. */
  reached = 0;
  readonly #release = new WebAssembly.Module(readFileSync(moduleOf("wasm")));
  readonly #scalar: WebAssembly.Module;
  #exports: WebAssembly.Exports | undefined;

  constructor() {
    const { wasm, probes } = probed(readFileSync(moduleOf("wasm-scalar")), "branches");
    this.#scalar = new WebAssembly.Module(wasm);
    this.total = probes.length;
  }

  /** Returns how many branches the engines that all() made last have run through, and no engine before them. */
  fresh(): number {
    const count = this.#exports ? (this.#exports.fresh as Fresh)() : 0;
    this.reached += count;
    return count;
  }

  all(): Maker[] {
    return [
      async ({ memory }) => new WasmEngine(await load(this.#release, memory), memory),
      ({ memory }) => {
        const { exports } = new WebAssembly.Instance(this.#scalar, { env: { memory } });
        // Branches that other engines have run through are not new.
        for (const [name, global] of Object.entries(this.#exports ?? {}).filter(([name]) => name.startsWith("hits"))) {
          (exports as unknown as Hits)[name as "hits0"].value = (global as Hits["hits0"]).value;
        }
        (exports.fresh as Fresh)();
        this.#exports = exports;
        return { respond: exports.respond as (count: number) => number };
      },
    ];
  }
}
