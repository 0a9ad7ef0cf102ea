/** Runs wrk(1), for less than a second if need be: its own option has whole ones. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Loaded } from "./load.js";

const SIGINT = 2;
/** Milliseconds between two looks at whether wrk has started. */
const LOOK_MS = 2;
/** Seconds after which it ends by itself. */
const MARGIN = 10;
const US: Readonly<Record<string, number>> = { us: 1, ms: 1000, s: 1e6, m: 6e7 };

export function hasWrk(): boolean {
  return spawnSync("wrk", ["--version"], { stdio: "ignore" }).error === undefined;
}

/** Loads a server, and says what came of it. wrk ends when this process does. @throws Error if a request fails */
export async function runWrk(url: string, connections: number, seconds: number): Promise<Loaded> {
  const args = ["-t", "1", "-c", String(connections), "-d", `${Math.ceil(seconds) + MARGIN}s`, "--latency", url];
  const wrk = spawn("wrk", args, { stdio: ["ignore", "pipe", "pipe"] });
  const kill = () => { wrk.kill("SIGKILL"); };
  process.once("exit", kill);
  let output = "";
  for (const stream of [wrk.stdout, wrk.stderr]) stream.on("data", (chunk) => { output += String(chunk); });
  const closed = once(wrk, "close");
  const ended = () => wrk.exitCode !== null || wrk.signalCode !== null;
  while (!ended() && !catchesInterrupt(wrk.pid)) await sleep(LOOK_MS);
  await Promise.race([sleep(seconds * 1000), closed]);
  wrk.kill("SIGINT");
  await closed;
  process.off("exit", kill);
  return parseWrk(output);
}

/** Reads wrk's output. @throws Error if requests have failed */
export function parseWrk(output: string): Loaded {
  const count = Number(/^\s*(\d+) requests in /m.exec(output)?.[1]);
  const perSecond = Number(/^Requests\/sec:\s+([\d.]+)$/m.exec(output)?.[1]);
  const failures = /^\s*(?:Socket errors|Non-2xx or 3xx responses): .*$/m.exec(output)?.[0].trim();
  if (failures !== undefined || !(count > 0 && perSecond > 0)) {
    throw new Error(`wrk: ${failures ?? `no figures, but "${output.trim()}"`}`);
  }
  const us = (percentile: string) => {
    const found = new RegExp(`^\\s*${percentile}%\\s+([\\d.]+)(us|ms|s|m)$`, "m").exec(output);
    return found && Number(found[1]) * US[found[2]];
  };
  return { count, seconds: count / perSecond, p50Us: us("50"), p99Us: us("99") };
}

/** Returns whether a process would not just die of SIGINT. wrk has started then. */
function catchesInterrupt(pid = 0): boolean {
  try {
    const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return mask !== undefined && (BigInt(`0x${mask}`) >> BigInt(SIGINT - 1) & 1n) === 1n;
  } catch {
    return false;
  }
}
