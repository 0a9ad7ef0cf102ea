/**
 * Fuzzes whatever reads bytes: an input that reaches a block of code that none before did is kept, and others are made
 * from it.
 *
 *  1. the inputs of the corpus and the reader's own seeds, each by itself
 *  2. a batch of inputs made from those; only where they reached something new, again one by one, to see which
 *
 * A finding is what a reader throws, an exception that nobody catches, a rejection that nobody handles, an input that
 * takes more than TERM_MS of processor time each time it is tried, or one that does not end (watchdog.ts).
 */
import { setImmediate } from "node:timers/promises";
import { Random } from "../support/random.js";
import { Coverage, startCoverage } from "./coverage.js";
import { Mutator } from "./mutate.js";
import { Finding, type Limits, type Summary, type Target } from "./target.js";
import { Watchdog } from "./watchdog.js";

/** A reader takes inputs, and throws where what has to hold does not. */
export interface Reader {
  /** Inputs to begin with. */
  readonly seeds: readonly (string | Uint8Array)[];
  /** Texts and bytes that mean something to the reader. */
  readonly dictionary: readonly (string | Uint8Array)[];
  /** Parts of the URLs of the scripts whose blocks count. */
  readonly covers: readonly string[];
  /** Called before the first input, and close() after the last. */
  open?(): Promise<void> | void;
  close?(): Promise<void> | void;
  /** @throws what does not hold. */
  feed(input: Uint8Array): Promise<void> | void;
}

const EVENTS = ["uncaughtException", "unhandledRejection"] as const;
const TERM_MS = 2000;
const MAX_LEN = 4096;
/** The most inputs that are looked at together. */
const MAX_BATCH = 256;
/** Half of the inputs are made from one of so many that were kept last. */
const LAST = 16;
/** The most files of a corpus, and the most bytes of each. */
const FILES = 60;
const FILE_LEN = 2048;

/**
 * `load` imports the reader, and with it the code that it reads with, which must not have run before coverage is taken.
 */
export function guided(name: string, load: () => Promise<Reader> | Reader): Target {
  return new Guided(name, load);
}

class Guided implements Target {
  readonly name: string;
  readonly #load: () => Promise<Reader> | Reader;
  #opened: Reader | undefined;

  constructor(name: string, load: () => Promise<Reader> | Reader) {
    this.name = name;
    this.#load = load;
  }

  async fuzz(corpus: readonly Uint8Array[], { seconds, seed, signal }: Limits): Promise<Summary> {
    startCoverage();
    const reader = await this.#open();
    const random = new Random(seed);
    const mutator = new Mutator(random, reader.dictionary.map(bytesOf), MAX_LEN);
    const watched = new Watched(this.name, reader);
    const coverage = new Coverage(reader.covers);
    const begin = performance.now();
    const ended = () => signal.aborted || performance.now() - begin >= 1000 * seconds;
    const kept: Uint8Array[] = [];
    let inputs = 0;
    try {
      for (const input of [...corpus, ...reader.seeds.map(bytesOf)]) {
        await watched.feed(input);
        inputs++;
        if (learn(coverage)) kept.push(input);
      }
      if (kept.length === 0) kept.push(new Uint8Array(0));
      for (let size = 16; !ended();) {
        const batch: Uint8Array[] = [];
        while (batch.length < size && !ended()) {
          const from = random.oneIn(2)
            ? kept[kept.length - 1 - random.below(Math.min(LAST, kept.length))]
            : random.pick(kept);
          const input = mutator.mutate(from, random.pick(kept));
          batch.push(input);
          await watched.feed(input);
        }
        inputs += batch.length;
        const blocks = await this.#keep(batch, watched, coverage, kept);
        size = blocks ? Math.max(16, size / 2) : Math.min(MAX_BATCH, 2 * size);
        // Signals get their turn.
        await setImmediate();
      }
      return { inputs, seconds: (performance.now() - begin) / 1000, blocks: coverage.blocks, kept };
    } finally {
      watched.close();
    }
  }

  /** Keeps the inputs of a batch that reached something new, and returns whether the batch did. */
  async #keep(
    batch: readonly Uint8Array[], watched: Watched, coverage: Coverage, kept: Uint8Array[],
  ): Promise<boolean> {
    const stock = coverage.take();
    if (!coverage.isFresh(stock)) return false;
    for (const input of batch) {
      await watched.feed(input);
      if (learn(coverage)) kept.push(input);
    }
    // Blocks that ran in the batch, but not when its inputs were tried again, count as well.
    coverage.add(stock);
    return true;
  }

  async replay(input: Uint8Array): Promise<void> {
    const reader = await this.#open();
    await reader.feed(input);
  }

  async minimize(inputs: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
    startCoverage();
    const reader = await this.#open();
    const short = inputs.filter(({ length }) => length <= FILE_LEN).sort((a, b) => a.length - b.length);
    const coverage = new Coverage(reader.covers);
    for (const input of short) {
      await reader.feed(input);
      coverage.add(coverage.take());
    }
    const reached: { input: Uint8Array; blocks: Set<string> }[] = [];
    for (const input of short) {
      await reader.feed(input);
      reached.push({ input, blocks: coverage.blocksIn(coverage.take()) });
    }
    // The input that adds most is chosen, again and again. That gives nearly the fewest, but not the fewest.
    const chosen: Uint8Array[] = [];
    const done = new Set<string>();
    while (chosen.length < FILES) {
      const added = reached.map(({ blocks }) => [...blocks].filter((block) => !done.has(block)).length);
      const most = added.indexOf(Math.max(...added));
      if (most < 0 || added[most] === 0) break;
      chosen.push(reached[most].input);
      for (const block of reached[most].blocks) done.add(block);
    }
    return chosen;
  }

  async close(): Promise<void> {
    await this.#opened?.close?.();
    this.#opened = undefined;
  }

  async #open(): Promise<Reader> {
    if (this.#opened) return this.#opened;
    const reader = await this.#load();
    await reader.open?.();
    return this.#opened = reader;
  }
}

/** Returns whether something new ran since the last time, and counts it. */
function learn(coverage: Coverage): boolean {
  const stock = coverage.take();
  const fresh = coverage.isFresh(stock);
  if (fresh) coverage.add(stock);
  return fresh;
}

function bytesOf(input: string | Uint8Array): Uint8Array {
  return typeof input === "string" ? Buffer.from(input) : input;
}

/** Feeds a reader, and watches for what it must not do. */
class Watched {
  readonly #reader: Reader;
  readonly #watchdog: Watchdog;
  /** Errors that nobody has caught. */
  readonly #uncaught: unknown[] = [];
  readonly #catch = (error: unknown) => { this.#uncaught.push(error); };

  constructor(target: string, reader: Reader) {
    this.#reader = reader;
    this.#watchdog = new Watchdog(target);
    for (const event of EVENTS) process.on(event, this.#catch);
  }

  /** @throws Finding */
  async feed(input: Uint8Array): Promise<void> {
    try {
      let tookMs = Infinity;
      for (let tries = 0; tries < 3 && tookMs > TERM_MS; tries++) tookMs = Math.min(tookMs, await this.#once(input));
      if (tookMs > TERM_MS) throw new Error(`took ${Math.round(tookMs)} ms of processor time`);
    } catch (error) {
      throw new Finding(input, error);
    }
  }

  close(): void {
    this.#watchdog.close();
    for (const event of EVENTS) process.off(event, this.#catch);
  }

  /** Feeds the reader once, and returns how long it took, in ms of processor time. */
  async #once(input: Uint8Array): Promise<number> {
    this.#watchdog.watch(input);
    const before = process.cpuUsage();
    const done = this.#reader.feed(input);
    // Most readers return no promise, and a turn of the event loop for each input would take most of their time.
    if (done) await done;
    const { user, system } = process.cpuUsage(before);
    if (this.#uncaught.length > 0) throw this.#uncaught[0];
    return (user + system) / 1000;
  }
}
