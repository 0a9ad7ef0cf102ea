/** Builds one file of assembly/ by itself, so that a test can call the functions that the module keeps to itself. */
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

export type Exports = Record<string, (...args: number[]) => number>;

/** Every exported function of `file`, over `memory`. `simd`: as in the released module, or its scalar twin. */
export async function build(file: string, memory: WebAssembly.Memory, simd: boolean): Promise<Exports> {
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const { error, stderr } = await asc.main([
    file, "--config", "none", "--outFile", "out.wasm", "-O3", "--noAssert", "--runtime", "stub",
    "--importMemory", "--noExportMemory", "--sharedMemory", "--initialMemory", "1", "--maximumMemory", "65536",
    "--enable", simd ? "threads,simd" : "threads",
  ], {
    writeFile: (name, contents) => {
      if (name === "out.wasm" && typeof contents !== "string") binary = Uint8Array.from(contents);
    },
  });
  if (error || !binary) throw new Error(`asc ${file}: ${stderr.toString()}`, { cause: error });
  const { instance } = await WebAssembly.instantiate(binary, { env: { memory } });
  return instance.exports as Exports;
}

/** A file of the source tree, wherever the tests run from. */
export function source(path: string): string {
  return ROOT + path;
}
