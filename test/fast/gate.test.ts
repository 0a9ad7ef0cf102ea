/** Tests that the end of a thread waits for the threads below it that load koffi. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { source } from "../support/assembly.js";

const LIBC = source("build/src/sys/libc.js");

/** Its words: the thread is about to load koffi, it may go on, it has loaded it. */
const THREAD = `
const words = require("node:worker_threads").workerData;
const load = require("node:module")._extensions[".node"];
require("node:module")._extensions[".node"] = (...args) => {
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
  Atomics.wait(words, 1, 0);
  load(...args);
  Atomics.store(words, 2, 1);
};
import(${JSON.stringify(LIBC)});
`;

test("a process that ends while a thread loads koffi ends when that is done", () => {
  const code = `
    import { Worker } from "node:worker_threads";
    const words = new Int32Array(new SharedArrayBuffer(12));
    process.once("exit", () => {
      Atomics.store(words, 1, 1);
      Atomics.notify(words, 1);
    });
    await import(${JSON.stringify(LIBC)});
    process.once("exit", () => { process.exitCode = Atomics.load(words, 2) === 1 ? 7 : 8; });
    new Worker(${JSON.stringify(THREAD)}, { eval: true, execArgv: [], workerData: words });
    Atomics.wait(words, 0, 0);
    process.exit();
  `;
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    encoding: "utf8", timeout: 60_000,
  });
  assert.equal(status, 7, stderr);
});
