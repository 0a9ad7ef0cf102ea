/** Tests what has Node.js's own tests judge sockets, by a test in their form. */
import "../support/process.js";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { source } from "../support/assembly.js";

/** Milliseconds after which a process will never end by itself. */
const HUNG_MS = 100_000;

for (const [side, clients] of [["servers", {}], ["both", { JUDGE_CLIENTS: "1" }]] as const) {
  test(`judge: a test's process has Sockets, ${side}, and ends by itself`, () => {
    const folder = mkdtempSync(join(tmpdir(), "pongd-judge-"));
    try {
      const report = join(folder, "report");
      const { status, stderr } = spawnSync(
        process.execPath, ["--import", source("build/test/judge/preload.js"), source("build/test/judge/sample.js")],
        { env: { ...process.env, JUDGE_REPORT: report, ...clients }, encoding: "utf8", timeout: HUNG_MS },
      );
      assert.equal(status, 0, stderr);
      assert.deepEqual(JSON.parse(readFileSync(report, "utf8")), { servers: 1, clients: side === "both" ? 1 : 0 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}
