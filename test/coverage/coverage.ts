/**
 * `npm run coverage -- [FILE…]` runs the fast and the deep tests, or those of the given compiled files. It prints what
 * they have not run through: lines of src/, as Node.js itself counts them, and functions of assembly/. It ends with
 * status 1 if a test fails, or if a function is never entered and has no reason in UNENTERED.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { probed } from "../fuzz/engine/probes.js";
import { asc, source } from "../support/assembly.js";
import { HITS, PROBED } from "./entered.js";

/**
 * Tests of the module or the package as built, or of how long something takes and how much; and those that go on for
 * long in what others enter, which an unoptimized module would slow down most.
 */
const OTHERWISE = [
  "module", "supply", "package", "reading", "scrape", "fuzz", "reassembly", "replay", "stream-stress",
];
/** Functions that no test enters, and why that is right. */
const OWN_MODULE = "the module of test/recover/ enters it";
const UNENTERED: Record<string, string> = {
  "tcp/runs/halve": OWN_MODULE,
  "tcp/starved/begin": OWN_MODULE,
  "tcp/starved/expire": OWN_MODULE,
  "tcp/starved/sendAgain": OWN_MODULE,
  "tcp/starved/sentAgain": OWN_MODULE,
};

const folder = mkdtempSync(join(tmpdir(), "pongd-coverage-"));
try {
  const unoptimized = asc("assembly/index.ts", "release", { optimizeLevel: 0, converge: undefined, debug: true });
  const { wasm, probes } = probed(unoptimized, "functions");
  writeFileSync(join(folder, PROBED), wasm);

  const files = process.argv.length > 2 ? process.argv.slice(2) : ["fast", "deep"].flatMap(testsIn);
  const include = ["--experimental-test-coverage", "--test-coverage-include=build/src/**"];
  const { status } = spawnSync(process.execPath, [source("build/test/run.js"), ...include, ...files], {
    stdio: "inherit",
    env: {
      PACKETS: "100000", ...process.env,
      ENTERED: folder, NODE_OPTIONS: `--import=${new URL("./entered.js", import.meta.url).href}`,
    },
  });

  const hit = new Set<number>();
  for (const file of readdirSync(folder).filter((name) => name.endsWith(HITS))) {
    for (const line of readFileSync(join(folder, file), "utf8").split("\n")) {
      line.split(" ").forEach((word, global) => {
        for (let bits = BigInt(`0x${word}`), bit = 0; bits > 0n; bits >>= 1n, bit++) {
          if (bits & 1n) hit.add(64 * global + bit);
        }
      });
    }
  }
  const never = probes.filter((_, i) => !hit.has(i)).map((name) => name.replace(/^assembly\//, ""));
  process.stdout.write(`assembly/: ${probes.length - never.length} of ${probes.length} functions are entered\n`);
  for (const name of never) {
    process.stdout.write(`never entered: ${name}${name in UNENTERED ? `: ${UNENTERED[name]}` : ""}\n`);
  }
  process.exitCode = status === 0 && never.every((name) => name in UNENTERED) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}

function testsIn(folder: string): string[] {
  const names = readdirSync(source(`build/test/${folder}`)).filter(
    (name) => name.endsWith(".test.js") && !OTHERWISE.includes(name.replace(".test.js", "")),
  );
  return names.map((name) => `build/test/${folder}/${name}`);
}
