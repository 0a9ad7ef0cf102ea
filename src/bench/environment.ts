/** Records what a run depends on, for whoever repeats or doubts it. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, release } from "node:os";
import { fileURLToPath } from "node:url";
import { version } from "../base/version.js";
import type { Environment } from "./report.js";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const GOVERNOR = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";

/** `seed`: the seed of the packets' contents. */
export function environment(seed: number): Environment {
  return {
    date: new Date().toISOString(),
    pongd: version,
    commit: commit(),
    node: process.versions.node,
    v8: process.versions.v8,
    kernel: release(),
    cpu: cpus().at(0)?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    governor: read(GOVERNOR),
    arguments: process.argv.slice(2),
    nodeFlags: [...process.execArgv, ...process.env.NODE_OPTIONS?.split(" ").filter(Boolean) ?? []],
    seed,
  };
}

function commit(): string | null {
  const git = (...args: string[]) => execFileSync(
    "git", ["-C", ROOT, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
  ).trim();
  try {
    // An installed package may lie in another project's repository.
    return `${git("rev-parse", "--show-toplevel")}/` === ROOT
      ? git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
      : null;
  } catch {
    return null;
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return null;
  }
}
