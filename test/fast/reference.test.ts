/** Tests docs/reference.md: its tables are made from the source and are up to date. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { SETTINGS } from "../../src/config/keys.ts";
import { withSettings } from "../../src/help/reference.ts";
import { source } from "../support/assembly.ts";

describe("the table of settings", () => {
  const document = readFileSync(source("docs/reference.md"), "utf8");

  test("is what the settings yield", () => {
    const mend = "docs/reference.md is out of date; run: node build/src/help/rewrite.js";
    assert.equal(document, withSettings(document), mend);
  });

  test("has one row for each setting, and no other", () => {
    const [, section] = /^## Settings\n(.*?)(?=^## |(?![^]))/ms.exec(document) ?? [];
    const keys = [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, key]) => key);
    assert.deepEqual(keys, SETTINGS.map(({ key }) => key));
  });

  test("is replaced alone: the text around it stays", () => {
    const rest = (text: string) => text.split("\n").filter((line) => !/^\| (`|key |---)/.test(line));
    for (const old of ["| old |\n| --- |\n\n", ""]) {
      const changed = withSettings(`# A\n\n## Settings\n\nBefore.\n\n${old}After.\n\n## B\n\n| other |\n`);
      assert.deepEqual(rest(changed).filter(Boolean), ["# A", "## Settings", "Before.", "After.", "## B", "| other |"]);
      assert.ok(changed.indexOf("| `ttl` |") < changed.indexOf("\n## B"));
    }
  });
});
