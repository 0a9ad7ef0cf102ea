/**
 * Makes the engines targets of `npm run fuzz`, one for each family, fuzzed by a thread that this one watches. An input
 * is a journal (journal.ts): a configuration, and packets in an order. Its packets are what is counted.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { Finding, type Limits, type Summary, type Target } from "../target.js";
import { replay } from "./loop.js";
import { Makers } from "./makers.js";
import { shrink } from "./shrink.js";
import { END, OVER, TURNS, type Order, type Outcome } from "./thread.js";
import type { Family } from "./world.js";

/** The journal has room for some ten thousand packets. */
const JOURNAL_SIZE = 1 << 24;
/** A train of packets takes less than a millisecond, so an engine that takes this long does not come back. */
const STALLED_MS = 30_000;

export function engineTarget(family: Family): Target {
  return {
    name: family,
    fuzz: (corpus, limits) => fuzz(family, corpus, limits),
    replay: (input) => replay(family, input, makers()),
    minimize: (inputs) => minimize(family, inputs),
    close: () => Promise.resolve(),
  };
}

/** @throws Finding */
async function fuzz(
  family: Family, corpus: readonly Uint8Array[], { seconds, seed, signal }: Limits,
): Promise<Summary> {
  const journal = new SharedArrayBuffer(JOURNAL_SIZE);
  const state = new Int32Array(new SharedArrayBuffer(12));
  const thread = new Worker(
    new URL("thread.js", import.meta.url),
    { workerData: { family, seed, seconds, corpus, journal, state } satisfies Order },
  );
  const end = () => Atomics.store(state, OVER, 1);
  signal.addEventListener("abort", end);
  let turns = 0;
  const watchdog = new AbortController();
  const watch = setInterval(() => {
    const now = Atomics.load(state, TURNS);
    if (now === turns) watchdog.abort();
    turns = now;
  }, STALLED_MS);
  const soFar = () => Uint8Array.from(new Uint8Array(journal, 0, state[END]));
  try {
    const [
      { seconds: took, packets, branches, kept, error },
    ] = await once(thread, "message", { signal: watchdog.signal }) as [Outcome];
    if (error !== undefined) throw new Finding(await shrink(soFar(), async (bytes) => what(family, bytes)), error);
    return { inputs: packets, seconds: took, blocks: branches, kept };
  } catch (error) {
    if (!watchdog.signal.aborted) throw error;
    // The engine does not tell where it stands in what it was given.
    throw new Finding(soFar(), new Error("the engine does not come back", { cause: error }));
  } finally {
    clearInterval(watch);
    signal.removeEventListener("abort", end);
    await thread.terminate();
  }
}

/** Returns what does not hold, without the numbers in it. */
async function what(family: Family, bytes: Uint8Array): Promise<string | undefined> {
  try {
    await replay(family, bytes, makers());
    return undefined;
  } catch (error) {
    return String(error).replace(/\d+/g, "N");
  }
}

/** Returns the inputs that reach what none before them does, beginning with the smallest. */
async function minimize(family: Family, inputs: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
  const own = new Makers();
  const needed: Uint8Array[] = [];
  for (const input of [...inputs].sort((a, b) => a.length - b.length)) {
    const before = own.reached;
    await replay(family, input, own);
    own.fresh();
    if (own.reached > before) needed.push(input);
  }
  return needed;
}

let shared: Makers | undefined;

function makers(): Makers {
  return shared ??= new Makers();
}
