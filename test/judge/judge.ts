/**
 * `node build/test/judge/judge.js TREE [PART…]` has Node.js's own tests judge pongd's Sockets. TREE is the source of
 * Node.js, of the version that runs; only its test/ is read. Each test of test/parallel/ that is about net, http,
 * https, http2 or tls is run with its servers' connections as Sockets (preload.ts), and once more with its clients' as
 * well. PART chooses tests whose names have it, and `--list` prints all of them.
 *
 * A test that fails is run without pongd as well, and with other streams in place of Sockets (plain.ts). If one of
 * these fails, too, it is not pongd's doing. What else fails has to be in differences.ts: otherwise the status is 1.
 * docs/develop/node-tests.md has the results.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { differenceOf } from "./differences.js";

const JUDGING = /^test-(?:net|http|https|http2|tls)-.*\.m?js$/;
const TERM_MS = 12_000;
const AT_A_TIME = 2;
const SIDES = ["servers", "both"] as const;
type Side = typeof SIDES[number];
type Outcome = "passed" | "no socket" | "skipped" | "failed without" | "failed for any stream" | "failed";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { list: { type: "boolean" } } });
const [tree, ...parts] = positionals as [string?, ...string[]];
if (tree === undefined) {
  process.stderr.write("usage: node build/test/judge/judge.js TREE [--list] [PART…]\n");
  process.exit(2);
}
const folder = resolve(tree, "test/parallel");
const names = readdirSync(folder).filter((name) => JUDGING.test(name))
  .filter((name) => parts.length === 0 || parts.some((part) => name.includes(part)));
const scratch = mkdtempSync(join(tmpdir(), "pongd-judge-"));
const counts = new Map<string, number>();
try {
  const waiting = names.flatMap((name) => SIDES.map((side) => ({ name, side })));
  await Promise.all(Array.from({ length: AT_A_TIME }, async (_, place) => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await judge(next.name, next.side, place);
  }));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
for (const side of SIDES) {
  const parts = [...counts].filter(([key]) => key.startsWith(`${side}: `));
  console.log(`${side}: ${parts.map(([key, count]) => `${count} ${key.slice(side.length + 2)}`).sort().join(", ")}`);
}

async function judge(name: string, side: Side, place: number): Promise<void> {
  const { outcome, output } = await outcomeOf(name, side, place);
  const why = outcome === "failed" ? differenceOf(name) : undefined;
  const isKnown = why !== undefined;
  const isFault = outcome === "failed" && !isKnown;
  const key = `${side}: ${isKnown ? "failed as expected" : outcome}`;
  counts.set(key, (counts.get(key) ?? 0) + 1);
  if (values.list === true || isFault) console.log(`${key}: ${name}${isKnown ? `: ${why}` : ""}`);
  if (!isFault) return;
  process.exitCode = 1;
  console.log(output.replaceAll(/^/gm, "    "));
}

async function outcomeOf(name: string, side: Side, place: number): Promise<{ outcome: Outcome; output: string }> {
  const report = join(scratch, `${place}`);
  rmSync(report, { force: true });
  const { passed, output } = await run(name, place, { side, report });
  if (output.includes("1..0 # Skipped")) return { outcome: "skipped", output };
  if (!passed) {
    if (!(await run(name, place)).passed) return { outcome: "failed without", output };
    if (!(await run(name, place, { side, report: `${report}-plain`, isPlain: true })).passed) {
      return { outcome: "failed for any stream", output };
    }
    return { outcome: "failed", output };
  }
  const given = reported(report);
  return { outcome: given[side === "both" ? "clients" : "servers"] === 0 ? "no socket" : "passed", output };
}

/** Runs a test, with pongd's Sockets or without. */
function run(
  name: string, place: number,
  pongd?: { readonly side: Side; readonly report: string; readonly isPlain?: boolean },
): Promise<{ passed: boolean; output: string }> {
  const file = join(folder, name);
  const flags = /^\/\/ Flags:\s+(--.*)$/m.exec(readFileSync(file, "utf8"))?.[1].trim().split(/\s+/) ?? [];
  const preload = fileURLToPath(import.meta.resolve("./preload.js"));
  const env: NodeJS.ProcessEnv = { ...process.env, TEST_THREAD_ID: `judge${place}`, NODE_TEST_DIR: scratch };
  if (pongd) env.JUDGE_REPORT = pongd.report;
  if (pongd?.isPlain === true) env.JUDGE_PLAIN = "1";
  if (pongd?.side === "both") env.JUDGE_CLIENTS = "1";
  const child = spawn(process.execPath, [...flags, ...(pongd ? ["--import", preload] : []), file], {
    env, cwd: scratch, stdio: ["ignore", "pipe", "pipe"], detached: true,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => { output += String(chunk); });
  const term = setTimeout(() => {
    output += `\nnot over after ${TERM_MS / 1000} s\n`;
    end();
  }, TERM_MS);
  // What it has started ends with it.
  const end = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // Nothing is left.
    }
  };
  return new Promise((resolve) => {
    child.once("exit", end).once("close", (code) => {
      clearTimeout(term);
      resolve({ passed: code === 0, output });
    });
  });
}

/** How many Sockets a test's processes were given. */
function reported(file: string): { servers: number; clients: number } {
  let lines: string[] = [];
  try {
    lines = readFileSync(file, "utf8").trim().split("\n");
  } catch {
    // It was killed.
  }
  const given = { servers: 0, clients: 0 };
  for (const line of lines) {
    const { servers, clients } = JSON.parse(line) as typeof given;
    given.servers += servers;
    given.clients += clients;
  }
  return given;
}
