/**
 * Finds out which blocks of code have run, from V8 by way of its inspector (Profiler.takePreciseCoverage). Taking stock
 * costs a millisecond or two, so it is done for many inputs at once. V8 reports ranges of characters, an inner one
 * after the one around it, and leaves out those that ran as often as the one around them. So what has run is kept by
 * character, and a block begins wherever a range ever did.
 */
import { Session, type Profiler } from "node:inspector";

/** The part of a script that has run. */
interface Ran {
  /** A byte for each character: 1 if it has run. */
  ran: Uint8Array;
  /** Places where a block begins. */
  readonly starts: Set<number>;
}

/** The parts of each script that ran in some time, by the script's URL. */
export type Stock = ReadonlyMap<string, Readonly<Ran>>;

let session: Session | undefined;

/** Starts to cover the whole process, from now on to its end. V8 tells no blocks of a function that ran before. */
export function startCoverage(): Session {
  if (session) return session;
  session = new Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  return session;
}

export class Coverage {
  readonly #session = startCoverage();
  readonly #covers: readonly string[];
  readonly #scripts = new Map<string, Ran>();

  /** `covers`: parts of URLs; a script whose URL has one of them counts. */
  constructor(covers: readonly string[]) {
    this.#covers = covers;
    this.take();
  }

  /** Returns what ran since the last time. */
  take(): Stock {
    const stock = new Map<string, Ran>();
    // A session of the same thread calls back before it returns.
    this.#session.post("Profiler.takePreciseCoverage", (error, { result }) => {
      if (error) throw error;
      for (const { url, functions } of result) {
        if (this.#covers.some((part) => url.includes(part))) stock.set(url, paint(functions));
      }
    });
    return stock;
  }

  /** True if something in the stock never ran before. */
  isFresh(stock: Stock): boolean {
    for (const [url, { ran }] of stock) {
      const before = this.#scripts.get(url)?.ran;
      for (let i = 0; i < ran.length; i++) if (ran[i] === 1 && before?.[i] !== 1) return true;
    }
    return false;
  }

  /** Counts the stock among what has run. */
  add(stock: Stock): void {
    for (const [url, { ran, starts }] of stock) {
      let script = this.#scripts.get(url);
      if (!script) this.#scripts.set(url, script = { ran: new Uint8Array(0), starts: new Set() });
      for (const start of starts) script.starts.add(start);
      if (ran.length > script.ran.length) script.ran = lengthened(script.ran, ran.length);
      for (let i = 0; i < ran.length; i++) script.ran[i] |= ran[i];
    }
  }

  /** Returns a name for each block in the stock, of those that are known by now. */
  blocksIn(stock: Stock): Set<string> {
    const blocks = new Set<string>();
    for (const [url, { ran }] of stock) {
      for (const start of this.#scripts.get(url)?.starts ?? []) if (ran[start] === 1) blocks.add(`${url}:${start}`);
    }
    return blocks;
  }

  /** The number of blocks that have run. */
  get blocks(): number {
    let count = 0;
    for (const { ran, starts } of this.#scripts.values()) for (const start of starts) count += ran[start];
    return count;
  }
}

function paint(functions: readonly Profiler.FunctionCoverage[]): Ran {
  const ranges = functions.flatMap(({ ranges }) => ranges);
  const ran = new Uint8Array(Math.max(...ranges.map(({ endOffset }) => endOffset)));
  for (const { startOffset, endOffset, count } of ranges) ran.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  return { ran, starts: new Set(ranges.map(({ startOffset }) => startOffset)) };
}

function lengthened(bytes: Uint8Array, length: number): Uint8Array {
  const longer = new Uint8Array(length);
  longer.set(bytes);
  return longer;
}
