/**
 * Long work on the event loop is done in slices. Between two slices everything else gets its turn: signals, timers,
 * notifications.
 */
import { setImmediate } from "node:timers/promises";
import { EXIT, Failure } from "./failure.js";

/** Length of a slice in ms. */
export const SLICE_MS = 10;

/** Items between two looks at the time. */
const ITEMS_AT_ONCE = 64;

/** Error in work that was ended by Pace.stop(). */
export class Stopped extends Failure {
  constructor() {
    super("pongd is stopping", EXIT.RUNTIME);
  }
}

/** Tells a piece of work when to let others run: `if (pace.over) await pace.turn()`. */
export class Pace {
  #since = performance.now();
  #stopped = false;

  /** True if the slice has taken long enough. */
  get over(): boolean {
    return this.#stopped || performance.now() - this.#since >= SLICE_MS;
  }

  /**
   * Lets the event loop go round once. The next slice begins then.
   * @throws Stopped
   */
  async turn(): Promise<void> {
    if (!this.#stopped) await setImmediate();
    if (this.#stopped) throw new Stopped();
    this.#since = performance.now();
  }

  /**
   * Calls `visit` with each item, in slices.
   * @throws Stopped
   */
  async each<T>(items: Iterable<T>, visit: (item: T) => void): Promise<void> {
    let count = 0;
    for (const item of items) {
      visit(item);
      if (++count % ITEMS_AT_ONCE === 0 && this.over) await this.turn();
    }
  }

  /** Ends the work at its next turn, and all later work likewise. */
  stop(): void {
    this.#stopped = true;
  }
}
