/**
 * The two clocks of an engine, as it finds them in its memory: NOW, which nobody sets and all waiting depends on, and
 * WALL, which is told to others. Both are written once before each call of the engine.
 */
import { DEADLINE, NOW, WALL } from "../../abi/control.js";

const HIGH = 2 ** 32;
const NS_PER_MS = 1e6;
/** How often the clocks are compared, in ns: a small step of the wall clock is noticed by then. */
const COMPARED_EVERY = 1e9;
/** Times that they are, of which one counts: the thread may lose its processor in between, and hardly each time. */
const COMPARISONS = 5;

export class Clock {
  readonly #words: Uint32Array;
  readonly #times: BigUint64Array;
  readonly #wall: () => bigint;
  /** Nanoseconds of CLOCK_MONOTONIC at which this thread's performance.now() began. */
  readonly #origin = Number(process.hrtime.bigint()) - performance.now() * NS_PER_MS;
  /** By how much the wall clock is ahead of NOW, in two words and in ms, and when they are to be compared again. */
  #low = 0;
  #high = 0;
  #ms = 0;
  #again = 0;

  /** `wall` returns the nanoseconds since 1970, by default as well as Node.js alone knows them. */
  constructor({ buffer }: WebAssembly.Memory, wall = () => BigInt(Date.now()) * BigInt(NS_PER_MS)) {
    this.#words = new Uint32Array(buffer);
    this.#times = new BigUint64Array(buffer);
    this.#wall = wall;
  }

  /** Writes the time that it is, to the nanosecond. */
  read(): void {
    let now = this.now;
    // Both clocks are slewed alike, so that only a step of the wall clock changes how far it is ahead (adjtimex(2)).
    // Date.now() has the milliseconds that are over. If they are not those of WALL, the clock was set.
    const ahead = now / NS_PER_MS + this.#ms - Date.now();
    if (now >= this.#again || ahead < -0.1 || ahead > 1.1) now = this.#compare();
    const low = now + this.#low;
    const words = this.#words;
    // A store keeps a number modulo 2^32.
    words[NOW / 4] = now;
    words[NOW / 4 + 1] = now / HIGH;
    words[WALL / 4] = low;
    words[WALL / 4 + 1] = this.#high + Math.floor(low / HIGH);
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

  /** Compares the clocks, and returns what NOW is then. */
  #compare(): number {
    let shortest = Infinity;
    let offset = 0n;
    for (let i = 0; i < COMPARISONS; i++) {
      const before = this.now;
      const wall = this.#wall();
      const took = this.now - before;
      if (took >= shortest) continue;
      shortest = took;
      offset = wall - BigInt(Math.round(before + took / 2));
    }
    this.#low = Number(BigInt.asUintN(32, offset));
    this.#high = Number(offset >> 32n);
    this.#ms = Number(offset) / NS_PER_MS;
    const now = this.now;
    this.#again = now + COMPARED_EVERY;
    return now;
  }
}
