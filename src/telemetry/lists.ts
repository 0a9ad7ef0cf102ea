/**
 * Makes lists for HTTP: reads the parameters that a URL may have, and turns a walk over all queues' memories into lines
 * of JSON. A walk over a million records takes a while, so it is made in slices.
 */
import { EXIT, Failure } from "../base/failure.js";
import type { Endpoint } from "../engine/records.js";
import { formatBytes, parseBlock, type Block } from "../prefix/prefixes.js";
import { PIECE_LEN } from "./prefixreplies.js";

/** Lines that a list has unless a limit is given, and at most. */
export const DEFAULT_LIMIT = 500;
export const MAX_LIMIT = 50_000;
/** Milliseconds of a slice. */
const SLICE_MS = 5;

/** Names of the lists, which are their paths, too. */
export type ListName = "connections" | "sessions";

/** A list that the web server gives. */
export interface List {
  /**
   * Returns the lines that the parameters ask for, in pieces. Each step of the iteration is a slice of the walk; an
   * empty piece says that it found nothing. The next step may come at any time.
   * @throws Failure (usage) if a parameter is wrong
   */
  lines(parameters: URLSearchParams): Generator<string, void, undefined>;
}

/** A queue whose records are listed. */
export interface Listed {
  readonly index: number;
  readonly memory: WebAssembly.Memory;
}

/** Reads a URL's parameters. Each of its functions throws a Failure (usage). */
export class Parameters<Name extends string> {
  readonly #parameters: URLSearchParams;
  readonly #dashes: string;

  /** `dashes` stands before the names in messages. */
  constructor(parameters: URLSearchParams, known: readonly Name[], dashes: string) {
    this.#parameters = parameters;
    this.#dashes = dashes;
    for (const name of parameters.keys()) {
      if (!known.some((each) => each === name)) {
        throw this.wrong(name, `unknown parameter; expected one of ${known.join(", ")}`);
      }
    }
  }

  wrong(name: string, what: string): Failure {
    return new Failure(`${this.#dashes}${name}: ${what}`, EXIT.USAGE);
  }

  value(name: Name): string | undefined {
    const values = this.#parameters.getAll(name);
    if (values.length > 1) throw this.wrong(name, "it is given twice");
    return values.at(0);
  }

  whole(name: Name, most: number): number | undefined {
    const text = this.value(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
    if (!(value >= 1 && value <= most)) throw this.wrong(name, `"${text}" is not a whole number from 1 to ${most}`);
    return value;
  }

  block(name: Name): Block | undefined {
    const text = this.value(name);
    try {
      return text === undefined ? undefined : parseBlock(text);
    } catch (error) {
      throw error instanceof Failure ? this.wrong(name, error.message) : error;
    }
  }
}

/**
 * Yields the lines of all queues in pieces, `limit` lines at most. `walk` yields what is to be a line, and undefined
 * now and then.
 */
export function* piecesOf<Queue>(
  queues: readonly Queue[], limit: number, walk: (queue: Queue) => Iterable<object | undefined>,
): Generator<string, void, undefined> {
  let piece = "";
  let left = limit;
  let since = performance.now();
  for (const queue of queues) {
    for (const line of walk(queue)) {
      if (line) {
        piece += `${JSON.stringify(line)}\n`;
        if (--left === 0) break;
      }
      if (piece.length < PIECE_LEN && performance.now() - since < SLICE_MS) continue;
      yield piece;
      piece = "";
      since = performance.now();
    }
    if (left === 0) break;
  }
  yield piece;
}

/** Returns the keys of both ends. */
export function endsOf({ local, remote }: { readonly local: Endpoint; readonly remote: Endpoint }): object {
  return {
    localAddress: formatBytes(local.bytes), localPort: local.port,
    remoteAddress: formatBytes(remote.bytes), remotePort: remote.port,
  };
}

/** Rounds to microseconds. */
export function rounded(ms: number): number;
export function rounded(ms: number | undefined): number | undefined;
export function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(1000 * ms) / 1000;
}

/** Returns nanoseconds of CLOCK_MONOTONIC. */
export function monotonic(): number {
  return Number(process.hrtime.bigint());
}
