/** Builds one file of assembly/ by itself, so that a test can call the functions that the module keeps to itself. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

export type Exports = Record<string, (...args: number[]) => number>;

/** Builds `file` with the options of asconfig.json's `target`, and returns its exported functions, over `memory`. */
export async function build(file: string, memory: WebAssembly.Memory, target: "release" | "scalar"): Promise<Exports> {
  const { instance } = await WebAssembly.instantiate(asc(file, target), { env: { memory } });
  return instance.exports as Exports;
}

/** Compiles `file` with the options of asconfig.json's `target`, except where `others` has another value. */
export function asc(file: string, target: "release" | "scalar", others: Options = {}): Buffer<ArrayBuffer> {
  const dir = mkdtempSync(join(tmpdir(), "pongd-test-"));
  try {
    const out = join(dir, "out.wasm");
    // asc would add an entry on the command line to those in asconfig.json, so only the options are taken from there.
    const { options, targets } = JSON.parse(readFileSync(source("asconfig.json"), "utf8")) as Config;
    const flags = Object.entries(
      { ...options, ...targets[target], ...others, outFile: out, textFile: undefined, bindings: undefined },
    )
      .filter(([, value]) => value !== undefined)
      .flatMap(([name, value]) => typeof value === "boolean" ? [`--${name}`] : [`--${name}`, String(value)]);
    execFileSync(
      process.execPath,
      [source("node_modules/assemblyscript/bin/asc.js"), file, "--config", "none", ...flags],
      { cwd: ROOT },
    );
    return readFileSync(out);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

type Options = Record<string, string | number | true | string[] | undefined>;

interface Config {
  options: Options;
  targets: Record<string, Options>;
}

/** Returns the path of a file of the project, wherever the tests run from. */
export function source(path: string): string {
  return ROOT + path;
}
