/** Fuzzes a family in a thread until it is told that it is enough, and says what came of it. target.ts watches it. */
import { parentPort, workerData } from "node:worker_threads";
import { HEADER_LEN } from "./journal.js";
import { Loop } from "./loop.js";
import type { Family } from "./world.js";

/**
 * Words that both threads see: where the journal ends, how often the engines have been given something, and whether the
 * thread is to end at once.
 */
export const END = 0;
export const TURNS = 1;
export const OVER = 2;

export interface Order {
  readonly family: Family;
  readonly seed: number;
  /** Seconds from when the corpus has been tried. */
  readonly seconds: number;
  readonly corpus: readonly Uint8Array[];
  readonly journal: SharedArrayBuffer;
  readonly state: Int32Array;
}

export interface Outcome {
  readonly seconds: number;
  readonly packets: number;
  readonly branches: number;
  readonly kept: readonly Uint8Array[];
  /** The error, where something does not hold of what is in the journal. */
  readonly error?: unknown;
}

if (parentPort) {
  const { family, seed, seconds, corpus, journal, state } = workerData as Order;
  const loop = new Loop(family, seed, journal, (end) => {
    Atomics.store(state, END, end);
    Atomics.add(state, TURNS, 1);
  });
  let began = performance.now();
  const isOver = () => Atomics.load(state, OVER) !== 0 || performance.now() - began > seconds * 1000;
  let error: unknown;
  try {
    for (const bytes of corpus) await loop.seed(bytes);
    began = performance.now();
    while (!isOver()) await loop.round(isOver);
  } catch (thrown) {
    error = thrown;
  }
  const kept = loop.kept.slice(corpus.length).map(({ configuration, entries }) => {
    const bytes = Buffer.alloc(HEADER_LEN + entries.length);
    bytes.writeUInt32LE(configuration);
    bytes.set(entries, HEADER_LEN);
    return new Uint8Array(bytes);
  });
  parentPort.postMessage({
    seconds: (performance.now() - began) / 1000, packets: loop.packets, branches: loop.makers.reached, kept, error,
  } satisfies Outcome);
}
