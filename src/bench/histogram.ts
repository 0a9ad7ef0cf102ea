/**
 * A log-linear histogram of durations. Each power of two is divided into STEPS equal parts, so a value is known to
 * within 1/STEPS of itself, whether it is a microsecond or a second. The table is fixed, and recording never allocates.
 */
const STEPS = 32;
const STEP_BITS = Math.log2(STEPS);

export class Histogram {
  readonly #counts = new Uint32Array(STEPS * (32 - STEP_BITS + 1));
  #count = 0;
  #max = 0;

  /** Records a value: a whole number from 0 to 2^32 - 1, which is up to four seconds in nanoseconds. */
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

  /** Returns the upper bound of the first bucket that completes `fraction` of the values; 0 if there are no values. */
  percentile(fraction: number): number {
    let left = Math.ceil(fraction * this.#count);
    for (const [upper, count] of this.buckets()) {
      left -= count;
      if (left <= 0) return Math.min(upper, this.#max);
    }
    return 0;
  }

  /** Yields the greatest value that each bucket may hold and its count, without empty buckets. */
  * buckets(): Generator<[upper: number, count: number]> {
    for (const [bucket, count] of this.#counts.entries()) {
      if (count > 0) yield [upperOf(bucket), count];
    }
  }
}

/**
 * Returns the bucket of a value. Below STEPS each value has its own. Above, a bucket is given by the power of two and
 * the STEP_BITS bits after the first.
 */
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
