/**
 * `node build/test/run.js TIER… [FILE…] [FLAG…]`: runs the tests of whole tiers, of single files, or of both, two files at a time, and
 * prints which files took longest. A tier is a folder of test/; flags are those of `node --test`.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { source } from "./support/assembly.js";

const TIERS = ["fast", "deep", "net", "clients"];
const FLAGS = [
  "--test-timeout=600000", "--test-concurrency=2",
  "--test-reporter=spec", "--test-reporter-destination=stdout",
  "--test-reporter=./build/test/support/slowest.js", "--test-reporter-destination=stdout",
];

const rest = process.argv.slice(2).flatMap((argument) => TIERS.includes(argument) ? filesOf(argument) : [argument]);
const { status } = spawnSync(process.execPath, ["--test", ...FLAGS, ...rest], { cwd: source(""), stdio: "inherit" });
process.exitCode = status ?? 1;

function filesOf(tier: string): string[] {
  const folder = `build/test/${tier}`;
  return readdirSync(source(folder)).filter((name) => name.endsWith(".test.js")).map((name) => `${folder}/${name}`);
}
