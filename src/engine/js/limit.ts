/** Rates in the JavaScript engine, with the steps of assembly/limit.ts. */
import { NOW, SEED } from "../../../abi/control.js";
import { PREFIX_BUCKETS, SOURCE_BUCKETS, SOURCES } from "../../../abi/limits.js";
import { FIRST_PREFIX, LIMIT_PREFIX, LIMIT_SOURCE, PREFIX_LIMITS, SOURCE_LIMIT } from "../../../abi/tables.js";

const HIGH = 2 ** 32;
const NS_PER_MS = 1e6;

export interface Limiter {
  /**
   * Returns whether a packet may be answered. `answers` and `prefix` are its destination's. `table` is a word index.
   * `high` and `low` hold the first 56 bits of an IPv6 source, or 6 and the first 24 bits of an IPv4 source, in memory
   * order.
   */
  permits(answers: number, table: number, prefix: number, high: number, low: number): boolean;
}

export function createLimiter(buffer: ArrayBufferLike): Limiter {
  const i32 = new Int32Array(buffer);
  const f32 = new Float32Array(buffer);
  const f64 = new Float64Array(buffer);

  function permits(answers: number, table: number, prefix: number, high: number, low: number): boolean {
    if ((answers & LIMIT_SOURCE) !== 0) {
      const hash = mix(mix(high ^ i32[SEED / 4]) ^ low) & SOURCES - 1;
      if (!take(SOURCE_BUCKETS / 8 + 2 * hash, table + SOURCE_LIMIT / 4)) return false;
    }
    const index = prefix - FIRST_PREFIX;
    return (answers & LIMIT_PREFIX) === 0
      || take(PREFIX_BUCKETS / 8 + 2 * index, table + PREFIX_LIMITS / 4 + 2 * index);
  }

  /** The halves of a time are subtracted one by one: a difference is exact as a number, a time may not be. */
  function take(bucket: number, limit: number): boolean {
    const low = i32[NOW / 4] >>> 0;
    const high = i32[NOW / 4 + 1] >>> 0;
    const last = 2 * bucket + 2;
    const passedNs = (high - (i32[last + 1] >>> 0)) * HIGH + (low - (i32[last] >>> 0));
    const gained = Math.max(0, passedNs) / NS_PER_MS * f32[limit];
    const missing = Math.max(0, Math.min(f32[limit + 1], f64[bucket]) - gained);
    const one = missing + 1 <= f32[limit + 1];
    f64[bucket] = one ? missing + 1 : missing;
    i32[last] = low;
    i32[last + 1] = high;
    return one;
  }

  return { permits };
}

function mix(hash: number): number {
  let h = Math.imul(hash ^ hash >>> 16, 0x85ebca6b);
  h = Math.imul(h ^ h >>> 13, 0xc2b2ae35);
  return h ^ h >>> 16;
}
