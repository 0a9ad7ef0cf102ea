/** Tests the built module itself. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { compile } from "../../src/engine/wasm.js";
import { source } from "../support/assembly.js";
import { moduleOf } from "../../src/engine/create.js";

const text = readFileSync(source("build/release.wat"), "utf8");

test("it exports what the host calls, and nothing else", () => {
  const functions = ["prepare", "reap", "refused", "respond", "stamp", "unsubmitted"];
  assert.deepEqual(
    WebAssembly.Module.exports(compile(moduleOf("wasm"))).sort((a, b) => a.name.localeCompare(b.name)),
    functions.map((name) => ({ name, kind: "function" })),
  );
});

test("it imports its memory and nothing else: no call leaves it", () => {
  assert.deepEqual(
    WebAssembly.Module.imports(compile(moduleOf("wasm"))), [{ module: "env", name: "memory", kind: "memory" }],
  );
});

test("it has no data of its own in the memory that the host lays out", () => {
  assert.doesNotMatch(text, /\(data|\(global/);
});

const functions = new Map(
  text.split(/^ (?=\(func \$)/m).slice(1).map((body) => [/^\(func \$(\S+)/.exec(body)?.[1] ?? "", body]),
);

test("no call in the echo path: the loop of the fast path is one piece, the checksum's within it", () => {
  // Loops before it look for unfinished packets.
  const loop = /^(?:[^]*\n) {2}loop ([^]*)\n {4}br /.exec(functions.get("assembly/input/input") ?? "")?.[1];
  assert.ok(loop);
  assert.match(loop, /i32x4\.shr_u/);
  assert.doesNotMatch(loop, /\bcall(_indirect)?\b/);
});

test("no call in the rings either, except for a packet that the kernel has refused", () => {
  for (const name of ["prepare", "reap", "unsubmitted"]) {
    const calls = (functions.get(`assembly/ring/${name}`) ?? "call").match(/\bcall(_indirect)?\b.*/g) ?? [];
    assert.deepEqual(calls, name === "reap" ? ["call $assembly/cut/refused"] : []);
  }
});

test("it uses SIMD", () => {
  assert.match(text, /i32x4\.shr_u/);
});
