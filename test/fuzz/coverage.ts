/**
 * Which blocks of code have run, from V8 by way of its inspector (Profiler.takePreciseCoverage). Taking stock costs a
 * millisecond or two, so it is done for many inputs at once. V8 reports ranges of characters, an inner one after the
 * one around it, and leaves out those that ran as often as the one around them; so what has run is kept by character,
 * and a block is what begins where a range ever did.
 */
import { Session, type Profiler } from "node:inspector";

/** What of a script has run. */
interface Ran {
  /** By character: 1 where it has. */
  ran: Uint8Array;
  /** Where a block begins. */
  readonly starts: Set<number>;
}

/** What ran in some time, by the script's URL. */
export type Stock = ReadonlyMap<string, Readonly<Ran>>;

let session: Session | undefined;

/** Of the whole process, from now on to its end: of a function that ran before, V8 tells no blocks. */
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

  /** `covers`: what is in the URL of each script that counts. */
  constructor(covers: readonly string[]) {
    this.#covers = covers;
    this.take();
  }

  /** What ran since the last time. */
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

  /** Whether something of that never ran before. */
  isFresh(stock: Stock): boolean {
    for (const [url, { ran }] of stock) {
      const before = this.#scripts.get(url)?.ran;
      for (let i = 0; i < ran.length; i++) if (ran[i] === 1 && before?.[i] !== 1) return true;
    }
    return false;
  }

  /** Counts it among what ran. */
  add(stock: Stock): void {
    for (const [url, { ran, starts }] of stock) {
      let script = this.#scripts.get(url);
      if (!script) this.#scripts.set(url, script = { ran: new Uint8Array(0), starts: new Set() });
      for (const start of starts) script.starts.add(start);
      if (ran.length > script.ran.length) script.ran = lengthened(script.ran, ran.length);
      for (let i = 0; i < ran.length; i++) script.ran[i] |= ran[i];
    }
  }

  /** A name for each block in it, of those that are known by now. */
  blocksIn(stock: Stock): Set<string> {
    const blocks = new Set<string>();
    for (const [url, { ran }] of stock) {
      for (const start of this.#scripts.get(url)?.starts ?? []) if (ran[start] === 1) blocks.add(`${url}:${start}`);
    }
    return blocks;
  }

  /** How many have run. */
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
