/**
 * Makes renderings of the metrics, so that any number of requests costs a bounded share of the CPU and of memory.
 *
 *  - A request is met by a rendering that begins after it. All requests that come before one begins share it.
 *  - One is made at a time. The more time it took, the longer is the break before the next one.
 *  - A rendering lives for as long as somebody reads it. If too many bytes are alive, those who read the oldest one,
 *    which are the slowest, are cut.
 */
import type { ServerResponse } from "node:http";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { cut } from "../net/response.js";
import { expose, type Exposition, type Format, type Metrics } from "./exposition.js";

/** A break takes so many times the time of the rendering before it, and at most MAX_BREAK_MS. */
const BREAK = 10;
const MAX_BREAK_MS = 1000;
/** Most bytes of all renderings that somebody reads. The newest is always kept. */
const MAX_BYTES = 48 << 20;

export class Renderings {
  readonly #maxBytes: number;
  /** Renderings that have not begun, by format. */
  readonly #next = new Map<string, Promise<Exposition>>();
  /** Those who read each rendering, the oldest one first. */
  readonly #readers = new Map<Exposition, Set<ServerResponse>>();
  /** Fulfilled when the next rendering may begin. */
  #free: Promise<unknown> = Promise.resolve();

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes of all renderings that somebody reads. */
  get bytes(): number {
    return [...this.#readers.keys()].reduce((sum, { length }) => sum + length, 0);
  }

  /** Returns a rendering that begins after this call. @throws what the metrics throw. */
  get(metrics: Metrics, format: Format): Promise<Exposition> {
    const key = JSON.stringify(format);
    const shared = this.#next.get(key);
    if (shared) return shared;
    // Requests that have come at the same time are read before it begins.
    const rendering = this.#free.then(() => setImmediate()).then(() => {
      this.#next.delete(key);
      return timed(() => expose(metrics, format));
    });
    this.#free = rendering.then(({ ms }) => pause(BREAK * ms), () => pause(MAX_BREAK_MS));
    const exposition = rendering.then(({ result }) => result);
    this.#next.set(key, exposition);
    return exposition;
  }

  /** Notes that a response reads a rendering until it is closed. */
  read(rendering: Exposition, response: ServerResponse): void {
    const readers = this.#readers.get(rendering) ?? new Set();
    this.#readers.set(rendering, readers.add(response));
    response.once("close", () => {
      readers.delete(response);
      if (readers.size === 0) this.#readers.delete(rendering);
    });
    for (let bytes = this.bytes; bytes > this.#maxBytes && this.#readers.size > 1;) {
      const [[oldest, slowest]] = this.#readers;
      this.#readers.delete(oldest);
      bytes -= oldest.length;
      for (const reader of slowest) cut(reader);
    }
  }
}

function pause(ms: number): Promise<void> {
  return sleep(Math.min(ms, MAX_BREAK_MS), undefined, { ref: false });
}

async function timed<T>(make: () => Promise<T>): Promise<{ readonly result: T; readonly ms: number }> {
  const begun = performance.now();
  const result = await make();
  return { result, ms: performance.now() - begun };
}
