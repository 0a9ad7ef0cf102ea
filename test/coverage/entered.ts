/**
 * Is loaded before everything else where `npm run coverage` runs tests. It replaces the built module by the one in the
 * folder that ENTERED names, which is unoptimized and has a probe in every function. When the thread ends, it leaves
 * there which functions were entered.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { threadId } from "node:worker_threads";
import type { Hits } from "../fuzz/engine/probes.js";

export const PROBED = "probed.wasm";
export const HITS = ".hits";

const folder = process.env.ENTERED;
if (folder !== undefined) {
  const built = ["release.wasm", "scalar.wasm"].map((name) => readFileSync(new URL(`../../${name}`, import.meta.url)));
  const probed = readFileSync(join(folder, PROBED));
  const instances: WebAssembly.Instance[] = [];
  const { instantiate, Module } = WebAssembly;

  WebAssembly.Module = class extends Module {
    constructor(bytes: BufferSource) {
      super(Buffer.isBuffer(bytes) && built.some((module) => module.equals(bytes)) ? probed : bytes);
    }
  };
  WebAssembly.instantiate = (async (...args: Parameters<typeof instantiate>) => {
    const result = await instantiate(...args) as WebAssembly.Instance | WebAssembly.WebAssemblyInstantiatedSource;
    const instance = "instance" in result ? result.instance : result;
    if ("hits0" in instance.exports) instances.push(instance);
    return result;
  }) as typeof instantiate;

  process.on("exit", () => {
    const hits = instances.map(({ exports }) => Object.entries(exports as unknown as Hits)
      .filter(([name]) => name.startsWith("hits"))
      .map(([, { value }]) => BigInt.asUintN(64, value).toString(16))
      .join(" "));
    if (hits.length > 0) writeFileSync(join(folder, `${process.pid}-${threadId}${HITS}`), hits.join("\n"));
  });
}
