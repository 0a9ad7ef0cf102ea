/** The parts of a run, in the order in which they started. They end in reverse order. */
export class Parts {
  readonly #ends: (() => unknown)[] = [];

  /** Registers a part, to be ended by `end` before those that started earlier. Returns the part. */
  add<T>(part: T, end: (part: T) => unknown): T {
    this.#ends.push(() => end(part));
    return part;
  }

  async end(): Promise<void> {
    for (const end of this.#ends.reverse()) await end();
  }
}
