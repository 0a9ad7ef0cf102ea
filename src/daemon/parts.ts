/** The parts of a run, in the order in which they started: they end the other way round. */
export class Parts {
  readonly #ends: (() => unknown)[] = [];

  /** Returns the part, and has it end by `end`, before those that started earlier. */
  add<T>(part: T, end: (part: T) => unknown): T {
    this.#ends.push(() => end(part));
    return part;
  }

  async end(): Promise<void> {
    for (const end of this.#ends.reverse()) await end();
  }
}
