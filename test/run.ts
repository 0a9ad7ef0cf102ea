/**
 * `node build/test/run.js TIER… [FILE…] [FLAG…]` runs the tests of whole tiers, of single files, or of both, and
 * prints which files took longest. A tier is a folder of test/; flags are those of `node --test`, written as
 * --name=value. Three files run at a time: many wait for other programs most of their time. Files that measure how fast
 * something is, or that Linux's own timers would answer, come last, one at a time, so that no other disturbs them. The
 * status is 2 if no file is named, and 1 if a test fails.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { source } from "./support/assembly.js";

const TIERS = ["fast", "deep", "net", "clients"];
const MEASURING = [
  "build/test/deep/reading.test.js", "build/test/net/bench-overload.test.js", "build/test/net/overload.test.js",
  "build/test/net/pressure-reload.test.js", "build/test/net/pressure-web.test.js", "build/test/net/tcp-linux.test.js",
  "build/test/clients/icmp.test.js", "build/test/clients/paths.test.js", "build/test/clients/prometheus.test.js",
];
const FLAGS = [
  "--test-timeout=600000",
  "--test-reporter=spec", "--test-reporter-destination=stdout",
  "--test-reporter=./build/test/support/slowest.js", "--test-reporter-destination=stdout",
];

const given = process.argv.slice(2).flatMap((argument) => TIERS.includes(argument) ? filesOf(argument) : [argument]);
const flags = given.filter((argument) => argument.startsWith("-"));
const measuring = given.filter((argument) => MEASURING.includes(argument));
const others = given.filter((argument) => !flags.includes(argument) && !measuring.includes(argument));
if (measuring.length + others.length === 0) {
  process.stderr.write(`usage: node build/test/run.js TIER… [FILE…] [--FLAG=VALUE…], where a tier is ${TIERS.join(", ")}\n`);
  process.exitCode = 2;
}
for (const [files, atATime] of [[others, 3], [measuring, 1]] as const) {
  if (files.length === 0) continue;
  const args = ["--test", ...FLAGS, `--test-concurrency=${atATime}`, ...flags, ...files];
  const { status } = spawnSync(process.execPath, args, { cwd: source(""), stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}

function filesOf(tier: string): string[] {
  const folder = `build/test/${tier}`;
  return readdirSync(source(folder)).filter((name) => name.endsWith(".test.js")).map((name) => `${folder}/${name}`);
}
