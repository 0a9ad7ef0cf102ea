/** Which takers there are in a thread, so that each is closed once. */
import type { Taker } from "./services.js";

export class Takers {
  /** Connections of each that is not closed. */
  readonly #connections = new Map<Taker, number>();
  #used = new Set<Taker>();

  /** These may get connections from now on; others only keep those that they have. */
  use(takers: Iterable<Taker>): void {
    this.#used = new Set(takers);
    for (const taker of this.#used) if (!this.#connections.has(taker)) this.#connections.set(taker, 0);
    for (const taker of this.#connections.keys()) this.#look(taker);
  }

  opened(taker: Taker): void {
    this.#connections.set(taker, this.#count(taker) + 1);
  }

  closed(taker: Taker): void {
    this.#connections.set(taker, this.#count(taker) - 1);
    this.#look(taker);
  }

  #count(taker: Taker): number {
    return this.#connections.get(taker) ?? 0;
  }

  #look(taker: Taker): void {
    if (this.#used.has(taker) || this.#count(taker) > 0) return;
    this.#connections.delete(taker);
    taker.close?.();
  }
}
