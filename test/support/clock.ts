/**
 * Sets the wall clock forward for every thread of the process, but not the machine's own, which everybody uses. `node
 * --import clock.js` with PONGD_TEST_CLOCK="MS FILE" sets it forward by MS milliseconds as soon as FILE exists. Workers
 * start with this file, too.
 */
import { existsSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { argv, env } from "node:process";
import threads, { type WorkerOptions } from "node:worker_threads";

const [, ms, file] = /^(-?\d+) (.*)$/.exec(env.PONGD_TEST_CLOCK ?? "") ?? ["", "0", ""];
const real = Date.now;
let isSet = false;
Date.now = () => {
  isSet ||= existsSync(file);
  return isSet ? real() + Number(ms) : real();
};

if (threads.isMainThread) {
  threads.Worker = class extends threads.Worker {
    constructor(filename: string | URL, options?: WorkerOptions) {
      super(new URL(import.meta.url), { ...options, argv: [String(filename)] });
    }
  };
  syncBuiltinESMExports();
} else if (argv.length > 2) {
  await import(argv[2]);
}
