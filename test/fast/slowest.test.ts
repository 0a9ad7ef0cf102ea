/** Tests the reporter that names the files that took longest. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import type { TestEvent } from "node:test/reporters";
import slowest from "../support/slowest.js";
import { source } from "../support/assembly.js";

test("of twelve files, the ten that took longest are named, the slowest first", async () => {
  async function* events(): AsyncGenerator<TestEvent> {
    for (let i = 1; i <= 12; i++) {
      const file = resolve(`${i}.test.js`);
      for (const name of ["a test", file]) {
        yield await Promise.resolve(
          { type: "test:complete", data: { name, file, nesting: 0, details: { duration_ms: 100 * i } } } as TestEvent,
        );
      }
    }
  }
  let text = "";
  for await (const part of slowest(events())) text += part;
  const [title, ...lines] = text.trim().split("\n");
  assert.equal(title, "the files that took longest, of 12:");
  assert.deepEqual(
    lines.map((line) => line.trim()),
    [12, 11, 10, 9, 8, 7, 6, 5, 4, 3].map((i) => `${(i / 10).toFixed(1)} s  ${i}.test.js`),
  );
});

test("node --test reports a file as the reporter expects, whether its tests pass or fail", () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "pongd-slowest-")));
  for (const [name, body] of [["passes", ""], ["fails", "throw new Error();"]]) {
    const suite = `describe("a suite", () => { test("a test", () => { ${body} }); });`;
    writeFileSync(join(folder, `${name}.test.mjs`), `import { describe, test } from "node:test"; ${suite}`);
  }
  // With this variable, node --test would report to the runner of this file.
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  const reporter = source("build/test/support/slowest.js");
  const args = ["--test", `--test-reporter=${reporter}`, "passes.test.mjs", "fails.test.mjs"];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8", env });
  rmSync(folder, { recursive: true });
  const [title, ...lines] = stdout.trim().split("\n");
  assert.equal(title, "the files that took longest, of 2:", stderr);
  assert.deepEqual(
    lines.map((line) => line.replace(/\d+\.\d/, "N").trim()).sort(), ["N s  fails.test.mjs", "N s  passes.test.mjs"],
  );
  assert.equal(status, 1);
});
