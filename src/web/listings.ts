/**
 * Makes lists for requests, so that any number of requests costs a bounded share of the CPU: of all the lists that are
 * being made, one has a slice at a time, and a break follows it.
 */
import { setTimeout as sleep } from "node:timers/promises";

/** A break takes so many times the time of the slice before it. */
const BREAK = 3;

export class Listings {
  /** Fulfilled when the next slice may begin. */
  #free: Promise<unknown> = Promise.resolve();

  /** Yields the pieces of a list (List in telemetry/lists.ts). Nothing is done unless the next piece is asked for. */
  async* inTurn(pieces: Generator<string, void, undefined>): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const { value, done } = await this.#slice(() => pieces.next());
      if (done) return;
      if (value !== "") yield Buffer.from(value);
    }
  }

  #slice<T>(work: () => T): Promise<T> {
    const slice = this.#free.then(() => {
      const begun = performance.now();
      const result = work();
      return { result, ms: performance.now() - begun };
    });
    this.#free = slice.then(({ ms }) => sleep(BREAK * ms, undefined, { ref: false }), () => undefined);
    return slice.then(({ result }) => result);
  }
}
