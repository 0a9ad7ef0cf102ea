/**
 * The two clocks of an engine, as it finds them in its memory: NOW, which nobody sets and all waiting depends on, and
 * WALL, which is told to others. Both are written once before each call of the engine.
 */
import { DEADLINE, NOW, WALL } from "../../abi/control.js";

const HIGH = 2 ** 32;
const NS_PER_MS = 1e6;

export class Clock {
  readonly #words: Uint32Array;
  readonly #times: BigUint64Array;
  /** Nanoseconds of CLOCK_MONOTONIC at which this thread's performance.now() began. */
  readonly #origin = Number(process.hrtime.bigint()) - performance.now() * NS_PER_MS;

  constructor({ buffer }: WebAssembly.Memory) {
    this.#words = new Uint32Array(buffer);
    this.#times = new BigUint64Array(buffer);
  }

  /** Writes the time that it is: NOW to the nanosecond, WALL to the millisecond. */
  read(): void {
    const now = this.now;
    // A store keeps a number modulo 2^32.
    this.#words[NOW / 4] = now;
    this.#words[NOW / 4 + 1] = now / HIGH;
    // The product has more than 53 bits, so its lower half is computed by itself.
    const ms = Date.now();
    const low = Math.imul(ms, NS_PER_MS) >>> 0;
    this.#words[WALL / 4] = low;
    this.#words[WALL / 4 + 1] = Math.round((ms * NS_PER_MS - low) / HIGH);
  }

  /** Writes other times, in nanoseconds; by default the same for both clocks. */
  set(now: bigint, wall = now): void {
    this.#times[NOW / 8] = now;
    this.#times[WALL / 8] = wall;
  }

  /** Nanoseconds of CLOCK_MONOTONIC. */
  get now(): number {
    return this.#origin + performance.now() * NS_PER_MS;
  }

  /** Time in nanoseconds at which the engine is to be called even if no packet came; 0 for never. */
  get deadline(): number {
    return this.#words[DEADLINE / 4] + HIGH * this.#words[DEADLINE / 4 + 1];
  }
}
