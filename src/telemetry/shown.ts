/**
 * The counters of a queue as they are shown. A worker that is started again first tries its I/O, which counts in the
 * queue's memory until the counts are set back. Meanwhile a copy from before is shown, to every thread alike.
 */

/** Shared words by which another thread sees the same. */
export interface SharedCounters {
  /** One word: 1 while the copy is shown. */
  readonly hidden: Int32Array;
  readonly copy: Float64Array;
}

export class ShownCounters {
  readonly #live: Float64Array;
  readonly shared: SharedCounters;

  /** `live` lies in the queue's memory. `shared` is what the first thread to wrap the memory has made. */
  constructor(live: Float64Array, shared?: SharedCounters) {
    this.#live = live;
    this.shared = shared ?? {
      hidden: new Int32Array(new SharedArrayBuffer(4)), copy: new Float64Array(new SharedArrayBuffer(live.byteLength)),
    };
  }

  /** The counters, by the indices of abi/counters.ts. Ask anew for each: which ones are shown changes at any time. */
  get now(): Float64Array {
    return Atomics.load(this.shared.hidden, 0) === 0 ? this.#live : this.shared.copy;
  }

  /** Shows the counters as they are now, until show(). */
  hide(): void {
    this.shared.copy.set(this.#live);
    Atomics.store(this.shared.hidden, 0, 1);
  }

  /** Shows the counters as they change. */
  show(): void {
    Atomics.store(this.shared.hidden, 0, 0);
  }
}
