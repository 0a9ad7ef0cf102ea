/**
 * Lines to a stream that somebody may have stopped reading. Node.js keeps in memory what a pipe does not take, without
 * a bound, and a process with such text does not end. Here a bounded amount waits, and lines beyond it are counted and
 * dropped.
 */
import type { Writable } from "node:stream";

/** Characters that may wait for a reader. */
export const MAX_WAITING = 1 << 20;
/** How long text may hold up the end, in ms. */
const END_MS = 500;

export class BoundedLines {
  /** How many lines were dropped. */
  dropped = 0;
  /** Called when there is room again, with how many lines were dropped meanwhile. */
  onRoom: (dropped: number) => void = () => undefined;
  readonly #stream: Writable;
  #told = 0;
  #waiting = false;

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  /** `line`: with its end. One that is longer than what may wait is taken where nothing waits. */
  write(line: string): void {
    const waiting = this.#stream.writableLength;
    if (waiting > 0 && waiting + line.length > MAX_WAITING) {
      this.dropped++;
      return;
    }
    if (this.#stream.write(line) || this.#waiting) return;
    this.#waiting = true;
    this.#stream.once("drain", () => {
      this.#waiting = false;
      const dropped = this.dropped - this.#told;
      this.#told = this.dropped;
      if (dropped > 0) this.onRoom(dropped);
    });
  }
}

/** Has the process end soon, though what it wrote last waits for a reader: after a signal that asked for the end. */
export function endUnread(): void {
  // Where nothing waits, this timer holds up nothing.
  setTimeout(() => process.exit(), END_MS).unref();
}
