/**
 * A wall clock that is set, for every thread of the process: `node --import clock.js` with PONGD_TEST_CLOCK="AT MS", where AT is an instant of
 * the monotonic clock in ns, and MS what it is set forward by then. (This machine's own clock is everybody's.) A worker begins here, too.
 */
import { syncBuiltinESMExports } from "node:module";
import { argv, env, hrtime } from "node:process";
import threads, { type WorkerOptions } from "node:worker_threads";

const [at, ms] = (env.PONGD_TEST_CLOCK ?? "0 0").split(" ").map(Number);
const real = Date.now;
Date.now = () => Number(hrtime.bigint()) < at ? real() : real() + ms;

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
