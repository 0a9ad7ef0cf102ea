/**
 * Ends the process where an input does not end: a thread looks once a second whether the input is still the same one.
 * It leaves the input among the findings, since the thread that runs it cannot.
 */
import { Worker, isMainThread, workerData } from "node:worker_threads";
import { writeSync } from "node:fs";
import { saveFinding } from "./corpus.js";

/** The longest that one input may take, on whatever machine. */
const TERM_S = 60;
const MAX_LEN = 1 << 20;
/** Words of the shared memory: how many inputs there were, and the last one's length. Its bytes come behind them. */
const COUNT = 0;
const LENGTH = 1;
const HEADER_LEN = 8;

export class Watchdog {
  readonly #memory = new SharedArrayBuffer(HEADER_LEN + MAX_LEN);
  readonly #words = new Int32Array(this.#memory, 0, 2);
  readonly #bytes = new Uint8Array(this.#memory, HEADER_LEN);
  readonly #worker: Worker;

  constructor(target: string) {
    this.#worker = new Worker(
      new URL(import.meta.url), { workerData: { watched: this.#memory, target } satisfies Watched },
    );
    this.#worker.unref();
  }

  /** Begins to watch another input. */
  watch(input: Uint8Array): void {
    this.#bytes.set(input.subarray(0, MAX_LEN));
    this.#words[LENGTH] = Math.min(input.length, MAX_LEN);
    Atomics.add(this.#words, COUNT, 1);
  }

  close(): void {
    void this.#worker.terminate();
  }
}

interface Watched {
  readonly watched: SharedArrayBuffer;
  readonly target: string;
}

if (!isMainThread && (workerData as Partial<Watched> | null)?.watched) watch(workerData as Watched);

function watch({ watched, target }: Watched): void {
  const words = new Int32Array(watched, 0, 2);
  let seen = -1;
  let seconds = 0;
  setInterval(() => {
    const count = Atomics.load(words, COUNT);
    seconds = count === seen ? seconds + 1 : 0;
    seen = count;
    if (seconds < TERM_S) return;
    const file = saveFinding(target, new Uint8Array(watched, HEADER_LEN, words[LENGTH]).slice());
    writeSync(
      2, `fuzz: ${target}: an input did not end within ${TERM_S} s; again: npm run fuzz -- ${target} --input ${file}\n`,
    );
    process.kill(process.pid, "SIGKILL");
  }, 1000);
}
