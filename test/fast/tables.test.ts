/**
 * Tests the tables in docs/ that list names: metrics with their labels, exit statuses, and drops that are no faults.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { PREFIX_REPLIES } from "../../abi/counters.js";
import { MAX_HOP_ERRORS } from "../../abi/hops.js";
import { PREFIX_EFFECTS_SIZE } from "../../abi/links.js";
import { EXIT } from "../../src/base/failure.js";
import { PrefixList } from "../../src/prefix/list.js";
import { parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { ServiceCounts } from "../../src/telemetry/servicecounts.js";
import { source } from "../support/assembly.js";
import { metricsOf, textOf } from "../support/exposed.js";

test("docs/reference.md has every metric with its labels, and no other", async () => {
  const counters = new Float64Array(PREFIX_REPLIES + 1);
  const prefixes = serving([parsePrefix("10.99.0.0/16")]).prefixes.map((prefix) => ({ ...prefix, name: "lab" }));
  const accepting = [
    { protocol: "tcp", service: "echo", counter: 0 }, { protocol: "udp", service: "echo", counter: 0 },
  ] as const;
  const threads = [new ServiceCounts()];
  threads[0].beat(0);
  threads[0].responded(0, 200, 0);
  const services = () => ({ names: ["http"], threads: threads.map(({ buffer }) => buffer) });
  const effects = new Float64Array(PREFIX_EFFECTS_SIZE / 8).fill(1);
  const hopErrors = [{ path: "far", hop: "10.98.0.1", errors: new Float64Array(MAX_HOP_ERRORS).fill(1, 0, 2) }];
  const queues = [
    { index: 0, engine: "wasm", io: "uring", counters, restarts: 0, accepting, effects, hopErrors },
  ] as const;
  const metrics = metricsOf(
    queues, { prefixes: PrefixList.of(prefixes) }, { txDropped: () => 0 },
    { reach: { answering: true }, web: { successful: true }, log: { dropped: 0 }, services },
  );
  const text = await textOf(metrics);
  const samples = [...text.matchAll(/^(pongd_\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+$/gm)];
  const exposed = new Map(samples.map(([, name, labels = ""]) => {
    const names = [...labels.matchAll(/(\w+)=/g)].map(([, label]) => label).filter((label) => label !== "le");
    return [name, names.sort().join(",")];
  }));
  const named = section("docs/reference.md", "Metrics").matchAll(/`(pongd_\w+)(?:\{(.*?)\})?`/g);
  const documented = [...named].map(([, name, labels = ""]) => [name, labels.split(",").sort().join(",")]);
  assert.deepEqual(documented.sort(), [...exposed].sort());
});

test("docs/reference.md has every exit status", () => {
  const rows = section("docs/reference.md", "Exit statuses").matchAll(/^\| (\d) \|/gm);
  const documented = [...rows].map(([, status]) => Number(status));
  assert.deepEqual(documented, [0, ...Object.values(EXIT)]);
});

test("docs/monitoring.md has the drops that the rules take for no fault", () => {
  const rules = readFileSync(source("deploy/prometheus/pongd.rules.yml"), "utf8");
  const [, reasons] = /reason!~"([\w|]+)"/.exec(rules) ?? [];
  const table = section("docs/monitoring.md", "Which drops are faults");
  const rows = table.split("\n").filter((line) => line.startsWith("| `"));
  const documented = rows.flatMap((row) => [...row.split("|")[1].matchAll(/`(\w+)`/g)].map(([, reason]) => reason));
  assert.deepEqual(documented.sort(), reasons.split("|").sort());
});

/** Returns the text between a second-level heading and the next one. */
function section(file: string, heading: string): string {
  const text = `${readFileSync(source(file), "utf8")}\n## `;
  const [, body] = text.split(`\n## ${heading}\n`);
  return body.slice(0, body.indexOf("\n## "));
}
