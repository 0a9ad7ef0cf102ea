/**
 * How long the packet loop may sleep before something is due. Coarse: until then, and the kernel wakes it up some tens
 * of microseconds late. Fine: it has itself woken by as much earlier as waking up has lately taken, and then looks at
 * the clock instead of sleeping.
 */
export const PRECISIONS = ["coarse", "fine"] as const;
export type Precision = typeof PRECISIONS[number];

/** Longest time in ns by which the loop wakes up early: a processor that is busy does not make it spin for longer. */
const MAX_EARLY_NS = 250_000;
/** By how much the time to wake up early changes with each sleep, in ns. */
const STEP_NS = 500;
/** It becomes longer by so many steps if the loop woke up late, and else shorter by one: one sleep in 8 is late. */
const LATE_STEPS = 7;
/** Rounds in a row without a sleep. Where no time passes while a processor computes, as in a simulation, they end. */
const MAX_ROUNDS = 1000;

export class Wait {
  readonly #now: () => number;
  #earlyNs = MAX_EARLY_NS / 2;
  /** When the loop had itself woken; 0 if it did not sleep, or for other reasons. */
  #until = 0;
  #rounds = 0;

  /** `now` returns the time on the clock of deadlines, in ns. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Returns for how many ns the loop may sleep if something is due at `deadline`; 0 if it is to look at the clock. */
  before(deadline: number): number {
    const now = this.#now();
    const left = Math.max(0, Math.ceil(deadline - now));
    if (left <= this.#earlyNs && ++this.#rounds <= MAX_ROUNDS) {
      this.#until = 0;
      return 0;
    }
    this.#rounds = 0;
    const sleep = left > this.#earlyNs ? left - this.#earlyNs : left;
    this.#until = now + sleep;
    return sleep;
  }

  /** Learns from a sleep that has brought no packet how long waking up takes. */
  slept(): void {
    if (this.#until === 0) return;
    const late = this.#now() - this.#until;
    this.#until = 0;
    // Something else has ended the sleep, or it was a long one, which ends early.
    if (late < 0) return;
    const change = late > this.#earlyNs ? LATE_STEPS * STEP_NS : -STEP_NS;
    this.#earlyNs = Math.min(MAX_EARLY_NS, Math.max(0, this.#earlyNs + change));
  }
}
