/**
 * Lines to a stream that may have lost its reader. Node.js keeps in memory whatever a pipe does not take,
 * without a bound, and a process with such text does not end. Here a bounded amount waits. Lines beyond it
 * are dropped and counted.
 */
import type { Writable } from "node:stream";

/** Characters that may wait for a reader. */
export const MAX_WAITING = 1 << 20;
/** Milliseconds for which unread text may delay the end of the process. */
const END_MS = 500;

export class BoundedLines {
  /** Number of lines dropped so far, in memory that other threads can read. */
  readonly drops = new Uint32Array(new SharedArrayBuffer(4));
  /** Called when there is room again, with the number of lines dropped meanwhile. */
  onRoom: (dropped: number) => void = () => undefined;
  readonly #stream: Writable;
  #told = 0;
  #waiting = false;

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  /** Number of lines dropped so far. */
  get dropped(): number {
    return Atomics.load(this.drops, 0);
  }

  /** Writes a line, which includes its line end. A line longer than MAX_WAITING is taken if nothing waits. */
  write(line: string): void {
    const waiting = this.#stream.writableLength;
    if (waiting > 0 && waiting + line.length > MAX_WAITING) {
      Atomics.add(this.drops, 0, 1);
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

/** Ends the process soon even if its last text still waits for a reader. Used after a signal that asked for the end. */
export function endUnread(): void {
  // If nothing waits, this timer delays nothing.
  setTimeout(() => process.exit(), END_MS).unref();
}
