/** The built module itself. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { compile } from "../../src/engine/wasm.js";
import { source } from "../support/assembly.js";

const text = readFileSync(source("build/release.wat"), "utf8");

test("it exports what the host calls, and nothing else", () => {
  const functions = ["prepare", "reap", "respond", "unsubmitted"];
  assert.deepEqual(WebAssembly.Module.exports(compile()).sort((a, b) => a.name.localeCompare(b.name)), functions.map((name) => ({ name, kind: "function" })));
});

test("it imports its memory and nothing else: no call leaves it", () => {
  assert.deepEqual(WebAssembly.Module.imports(compile()), [{ module: "env", name: "memory", kind: "memory" }]);
});

test("it has no data of its own in the memory that the host lays out", () => {
  assert.doesNotMatch(text, /\(data|\(global/);
});

test("no call in the echo path, or in any other: each export is one function", () => {
  assert.equal(text.match(/^ \(func \$/gm)?.length, WebAssembly.Module.exports(compile()).length);
  assert.doesNotMatch(text, /\bcall(_indirect)?\b/);
});

test("it uses SIMD", () => {
  assert.match(text, /i32x4\.shr_u/);
});
