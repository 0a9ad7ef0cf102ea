/**
 * Keeps threads from being ended while they load koffi: Node.js aborts the whole process then (napi_throw fails in a
 * thread that is being terminated). A thread that ends by process.exit(), or by itself, waits for the threads below it
 * that are loading, and none of them begins any more. terminate() is not told of in time, so it is not covered.
 */
import { getEnvironmentData, setEnvironmentData } from "node:worker_threads";

/** Threads inherit it from the thread that starts them: the gates of all above it. */
const KEY = "pongd: gates";
/** The longest that the end of a thread waits, in ms. */
const MAX_WAIT_MS = 1000;

// A gate's words.
const LOADING = 0;
const ENDING = 1;

const above = getEnvironmentData(KEY) as unknown as readonly Int32Array[] | undefined ?? [];
const own = new Int32Array(new SharedArrayBuffer(8));
setEnvironmentData(KEY, [...above, own]);

process.once("exit", () => {
  Atomics.store(own, ENDING, 1);
  const until = performance.now() + MAX_WAIT_MS;
  for (let left = MAX_WAIT_MS; left > 0; left = until - performance.now()) {
    const loading = Atomics.load(own, LOADING);
    if (loading === 0) return;
    Atomics.wait(own, LOADING, loading, left);
  }
});

for (const gate of above) Atomics.add(gate, LOADING, 1);
if (above.some((gate) => Atomics.load(gate, ENDING) !== 0)) {
  leave();
  // This thread is being ended, or will be at once.
  Atomics.wait(own, LOADING, 0);
}

/** Says that koffi is loaded. */
export function leave(): void {
  for (const gate of above) {
    Atomics.sub(gate, LOADING, 1);
    Atomics.notify(gate, LOADING);
  }
}
