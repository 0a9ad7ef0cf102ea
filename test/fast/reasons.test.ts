/** Tests the reasons why packets get no reply: each has its sentence, and docs/reference.md has the same. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { DROP_REASONS } from "../../src/telemetry/verdicts.js";
import { explain, REASONS } from "../../src/telemetry/reasons.js";
import { source } from "../support/assembly.js";

describe("drop reasons", () => {
  test("each has a sentence, and a short one", () => {
    for (const reason of DROP_REASONS) assert.match(explain(reason) ?? "", /^[A-Z][^`<>]{10,105}\.$/, reason);
    assert.deepEqual(Object.keys(REASONS).sort(), [...DROP_REASONS].sort());
  });

  test("docs/reference.md's table is made of them", () => {
    const [, rows] = /^\| reason \| \|\n\|---\|---\|\n((?:\|.*\n)+)/m.exec(
      readFileSync(source("docs/reference.md"), "utf8"),
    ) ?? [];
    assert.equal(
      rows, Object.entries(REASONS).map(([reason, sentence]) => `| \`${reason}\` | ${sentence} |\n`).join(""),
    );
  });

  test("what another version drops for has none, whatever it is called", () => {
    for (const reason of ["to_come", "", "__proto__", "constructor"]) assert.equal(explain(reason), undefined);
  });
});
