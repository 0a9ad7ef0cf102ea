/**
 * A log-linear histogram of durations: each power of two in STEPS equal parts, so that a value is known to within
 * 1/STEPS of itself whether it is a microsecond or a second, in a fixed table that recording never grows.
 */
const STEPS = 32;
const STEP_BITS = Math.log2(STEPS);

export class Histogram {
  readonly #counts = new Uint32Array(STEPS * (32 - STEP_BITS + 1));
  #count = 0;
  #max = 0;

  /** `value`: a whole number from 0 to 2^32 - 1; nanoseconds for up to four seconds. */
  record(value: number): void {
    this.#counts[bucketOf(value)]++;
    this.#count++;
    if (value > this.#max) this.#max = value;
  }

  get count(): number {
    return this.#count;
  }

  get max(): number {
    return this.#max;
  }

  /** The least bucket's upper bound that `fraction` of the values do not exceed; 0 when there are none. */
  percentile(fraction: number): number {
    let left = Math.ceil(fraction * this.#count);
    for (const [upper, count] of this.buckets()) {
      left -= count;
      if (left <= 0) return Math.min(upper, this.#max);
    }
    return 0;
  }

  /** The greatest value that each bucket holds, and how many it has; empty ones left out. */
  * buckets(): Generator<[upper: number, count: number]> {
    for (const [bucket, count] of this.#counts.entries()) {
      if (count > 0) yield [upperOf(bucket), count];
    }
  }
}

/** Below STEPS, a bucket a value; from there on, the power of two and the STEP_BITS bits after the first. */
function bucketOf(value: number): number {
  if (value < STEPS) return value;
  const shift = 31 - Math.clz32(value) - STEP_BITS;
  return STEPS * (shift + 1) + (value >>> shift) - STEPS;
}

function upperOf(bucket: number): number {
  if (bucket < STEPS) return bucket;
  const shift = Math.floor(bucket / STEPS) - 1;
  return (bucket % STEPS + STEPS + 1) * 2 ** shift - 1;
}
