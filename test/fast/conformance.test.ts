/** Tests docs/develop/conformance.md: each requirement that it calls done has the test that it names. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { source } from "../support/assembly.js";
import { CHAIN_DIFFERENCES } from "../vectors/chain.js";
import { DIFFERENCES, table } from "../vectors/differences.js";

const text = readFileSync(source("docs/develop/conformance.md"), "utf8");
const lines = text.split(/^- (?=\*\*[A-Z]+-?\d+\*\*)/m).slice(1);

test("each requirement has one status", () => {
  assert.ok(lines.length > 80, `${lines.length} requirements`);
  for (const line of lines) assert.match(line, /\n {2}(\*\*done\*\*: |later|\*\*different\*\*: )/, line);
});

for (const line of lines.filter((text) => text.includes("**done**"))) {
  const id = /^\*\*([A-Z]+-?\d+)\*\*/.exec(line)?.[1] ?? "?";
  test(`${id} is done: its test is there, and named after it`, () => {
    const [, file, name] = /\*\*done\*\*: (test\/[\w/.-]+), “([^”]+)”/.exec(line) ?? [];
    assert.ok(file && name, `names a test: ${line}`);
    // A test's name may be split over two lines.
    const tests = readFileSync(source(file), "utf8").replace(/["`]\n\s*\+ ["`]/g, "");
    assert.ok(tests.includes(name), `${file} has a test named ${name}`);
    assert.match(name, new RegExp(`\\b${id}\\b`));
  });
}

test("where pongd differs from Linux is what test/net/linux.test.ts shows", () => {
  const whole = table(DIFFERENCES);
  assert.ok(text.endsWith(`${whole}\n`), `docs/develop/conformance.md is to end with\n${whole}`);
});

test("where a path differs from Linux's routers is what test/net/chain.test.ts shows", () => {
  const whole = table(CHAIN_DIFFERENCES);
  assert.ok(text.includes(`\n${whole}\n\n`), `docs/develop/conformance.md is to have\n${whole}`);
});
