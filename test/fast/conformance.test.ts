/** docs/develop/conformance.md says what is done; this holds it to that. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { source } from "../support/assembly.js";
import { table } from "../vectors/differences.js";

const text = readFileSync(source("docs/develop/conformance.md"), "utf8");
const lines = text.split(/^- (?=\*\*[A-Z]+-?\d+\*\*)/m).slice(1);

test("each requirement has one status", () => {
  assert.ok(lines.length > 80, `${lines.length} requirements`);
  for (const line of lines) assert.match(line, /\n {2}(\*\*done\*\*: |later|\*\*different\*\*: )/, line);
});

for (const line of lines.filter((text) => text.includes("**done**"))) {
  const id = /^\*\*([A-Z]+-?\d+)\*\*/.exec(line)?.[1] ?? "?";
  test(`${id} is done: its test is there, and named after it`, () => {
    const [, file, name] = /\*\*done\*\*: (test\/[\w/.]+), “([^”]+)”/.exec(line) ?? [];
    assert.ok(file && name, `names a test: ${line}`);
    assert.ok(readFileSync(source(file), "utf8").includes(name), `${file} has a test named ${name}`);
    assert.match(name, new RegExp(`\\b${id}\\b`));
  });
}

test("where pongd differs from Linux is what test/net/linux.test.ts shows", () => {
  assert.ok(text.endsWith(`${table()}\n`), `docs/develop/conformance.md is to end with\n${table()}`);
});
